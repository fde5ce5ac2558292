//! The `tmoe` command line.

pub mod plot;
