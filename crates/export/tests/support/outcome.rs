//! Running a command line as a user does, and judging what the user meets. The tests of both binaries include this
//! file.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What a finished command left on its streams.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code; none if a signal ended the process.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Outcome {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.stdin(Stdio::null()).output().expect("the command starts"))
    }

    /// Asserts that the command did its work, and gives its standard output.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, Some(0), "expected success: {self:#?}");
        self.stdout
    }

    /// Asserts that the command failed as a user should see it: exit code 1, nothing on standard output, and on
    /// standard error one line that holds all of `facts`.
    #[track_caller]
    pub(crate) fn failure(&self, facts: &[&str]) {
        assert_eq!(self.code, Some(1), "expected exit code 1: {self:#?}");
        assert_eq!(self.stdout, "", "expected no output: {self:#?}");
        assert!(self.stderr.starts_with("error: "), "expected `error: …`: {self:#?}");
        assert_eq!(self.stderr.lines().count(), 1, "expected one line: {self:#?}");
        self.says(facts);
    }

    /// Asserts that the command line was refused: exit code 2, and all of `facts` on standard error.
    #[track_caller]
    pub(crate) fn usage_error(&self, facts: &[&str]) {
        assert_eq!(self.code, Some(2), "expected exit code 2: {self:#?}");
        assert_eq!(self.stdout, "", "expected no output: {self:#?}");
        self.says(facts);
    }

    #[track_caller]
    fn says(&self, facts: &[&str]) {
        assert!(!self.stderr.contains("panicked"), "expected no panic: {self:#?}");
        for fact in facts {
            assert!(self.stderr.contains(fact), "expected {fact:?} in: {self:#?}");
        }
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// The names of everything in a folder, hidden files too, in order.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| {
            entry.expect("the folder is readable").file_name().into_string().expect("names are UTF-8")
        })
        .collect();
    names.sort();
    names
}

/// A command whose files cannot grow beyond so many blocks (of 512 or 1024 bytes, as the shell has it): writes fail as
/// they do on a full disk.
#[cfg(unix)]
pub(crate) fn on_a_full_disk(program: &str, blocks: u32) -> Command {
    let mut command = Command::new("sh");
    // Without the trap, the system ends the process instead of failing the write.
    command.args(["-c", &format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$@""#), "sh", program]);
    command
}

/// Starts a command, sends it a signal (`INT` is Ctrl-C) once `ready`, and waits for its end.
///
/// A command that ended before it was ready gets no signal, and shows as it ended.
#[cfg(unix)]
pub(crate) fn interrupted(command: &mut Command, signal: &str, ready: impl Fn() -> bool) -> Outcome {
    let mut child: Child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let begin = Instant::now();
    while !ready() && child.try_wait().expect("the child can be waited for").is_none() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the command neither began its work nor ended");
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = format!("kill -{signal} {}", child.id());
    // It fails if the child is gone, which the outcome tells.
    Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().expect("sh starts");
    Outcome::from(child.wait_with_output().expect("the child can be waited for"))
}

/// Runs a command whose standard output nobody reads any more, as when it is piped into `head`.
pub(crate) fn without_a_reader(command: &mut Command) -> Outcome {
    let mut child: Child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    Outcome::from(child.wait_with_output().expect("the child can be waited for"))
}

/// The program under test, which the suite names as `PROGRAM`, with these arguments.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(crate::PROGRAM);
    command.args(arguments);
    command
}

/// Runs the program under test with these arguments.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Outcome {
    Outcome::of(&mut command(arguments))
}

/// Arguments of different types as one list.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => {
        [$(std::ffi::OsStr::new(&$argument).to_owned()),*]
    };
}
pub(crate) use arguments;
