//! How much memory this process holds, where the system says: on Linux.

/// Peak resident memory in bytes.
pub(super) fn peak() -> Option<u64> {
    field("VmHWM:")
}

/// Resident memory in bytes.
pub(super) fn current() -> Option<u64> {
    field("VmRSS:")
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
