//! The C library's allocator, told what an export does: matrices of a few megabytes, taken and given back thousands of
//! times. By default each goes back to the kernel, and costs a page fault for every 4 KiB when it is taken again: a quarter of
//! the time of an export.

/// Keeps freed memory for reuse, in one heap for all threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_freed_memory() {
    // SAFETY: called before any other thread exists; unknown or refused parameters change nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Other C libraries have nothing to tell.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_freed_memory() {}
