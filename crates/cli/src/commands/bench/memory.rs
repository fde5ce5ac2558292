//! How much memory this process holds, where the system says: on Linux.

use serde::Serialize;

/// Memory that is held.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Memory {
    /// Resident bytes.
    pub(super) resident: u64,
    /// Those of them that are a file's: the system takes them back when it needs memory, and reads them again.
    pub(super) of_files: u64,
}

/// Peak resident memory in bytes.
pub(super) fn peak() -> Option<u64> {
    field("VmHWM:")
}

/// What is held now.
pub(super) fn current() -> Option<Memory> {
    Some(Memory { resident: field("VmRSS:")?, of_files: field("RssFile:")? })
}

/// Makes the peak what is held now; false where that cannot be done.
pub(super) fn reset_peak() -> bool {
    // Documented in proc_pid_clear_refs(5).
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn field(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
