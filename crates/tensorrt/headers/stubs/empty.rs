//! Nothing: see ../README.md.
