//! Writing to standard output so that a full disk or a closed pipe behind it is an error and no panic.

use std::io::{ErrorKind, Write};

use crate::Failure;

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Whoever reads the output has seen enough, as `head` has.
pub(crate) fn is_closed_pipe(failure: &Failure) -> bool {
    failure.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
