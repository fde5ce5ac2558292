//! The server under load, a process of its own.

use std::error::Error;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;

/// A running `tmoe serve`, ended with this value.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(package: &Path, options: &[&str]) -> Result<Self, Box<dyn Error>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = Command::new(env!("CARGO_BIN_EXE_tmoe"))
            .arg("serve")
            .arg(format!("bench={}", package.display()))
            .args(["--listen", &address.to_string(), "--log-level", "error"])
            .args(options)
            .stdin(Stdio::null())
            .spawn()?;
        let mut server = Self { process, address };
        let begin = Instant::now();
        while !server.is_ready() {
            if let Some(status) = server.process.try_wait()? {
                return Err(format!("the server ended early: {status}").into());
            }
            if begin.elapsed() > Duration::from_secs(60) {
                return Err("the server is not ready after a minute".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn is_ready(&self) -> bool {
        let answer = Client::connect(self.address).and_then(|mut client| client.get("/health/ready"));
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Bytes that it holds.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        Ok(kilobytes.ok_or(io::ErrorKind::Unsupported)? * 1024)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) -> io::Result<ExitStatus> {
        Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        self.process.wait()
    }

    /// Ends it at once.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
