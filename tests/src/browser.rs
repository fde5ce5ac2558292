//! Where a browser is that pages can be tested in. Shared with `cargo xtask`, which can install one.

use std::env;
use std::path::PathBuf;

/// The variable that names a Chromium or Chrome; `cargo xtask test` sets it where `cargo xtask browser` has installed one.
pub const BROWSER: &str = "TMOE_CHROMIUM";

/// What Chromium and Chrome are called on a PATH.
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// The browser that [`BROWSER`] names, or the first on the PATH.
pub fn find() -> Option<PathBuf> {
    if let Some(chosen) = env::var_os(BROWSER).filter(|path| !path.is_empty()) {
        return Some(chosen.into());
    }
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}
