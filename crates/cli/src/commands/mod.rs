//! One file per command.

pub(crate) mod bench;
pub(crate) mod evaluate;
pub(crate) mod forecast;
pub(crate) mod providers;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod verify;
