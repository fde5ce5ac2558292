//! SHA-256 of files and of bytes that pass by.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256 digest as 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sha256Hex(String);

impl Sha256Hex {
    fn from_digest(digest: &[u8]) -> Self {
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hashes everything written through it.
pub struct HashingWriter<W> {
    inner: W,
    digest: Sha256,
    bytes: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Starts with an empty digest; `inner` receives every byte unchanged.
    pub fn new(inner: W) -> Self {
        Self { inner, digest: Sha256::new(), bytes: 0 }
    }

    /// The inner writer, the digest of what was written, and how many bytes that were.
    pub fn finish(self) -> (W, Sha256Hex, u64) {
        (self.inner, Sha256Hex::from_digest(&self.digest.finalize()), self.bytes)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.digest.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The digest of bytes in memory.
pub fn hash_bytes(bytes: &[u8]) -> Sha256Hex {
    Sha256Hex::from_digest(&Sha256::digest(bytes))
}

/// The digest and the length of a file, read once in blocks.
pub fn hash_file(path: &Path) -> io::Result<(Sha256Hex, u64)> {
    // Read in blocks rather than mapped: a file that shrinks meanwhile is an error, not a signal.
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut block = vec![0u8; 1 << 20];
    let mut bytes = 0u64;
    loop {
        let count = match file.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(&block[..count]);
        bytes += count as u64;
    }
    Ok((Sha256Hex::from_digest(&digest.finalize()), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_published_digest_of_abc_comes_out_of_every_way_to_hash() {
        assert_eq!(hash_bytes(b"abc").as_str(), ABC);

        let mut writer = HashingWriter::new(Vec::new());
        writer.write_all(b"a").unwrap();
        writer.write_all(b"bc").unwrap();
        let (inner, digest, bytes) = writer.finish();
        assert_eq!((inner.as_slice(), digest.as_str(), bytes), (&b"abc"[..], ABC, 3));

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        let (digest, bytes) = hash_file(file.path()).unwrap();
        assert_eq!((digest.as_str(), bytes), (ABC, 3));
    }
}
