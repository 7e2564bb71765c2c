//! Where the programs are that deploy/scripts/tools.sh brings.

use std::path::PathBuf;

use crate::repository;

/// Ours, where tools.sh has put one; else the one on PATH.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    let ours = repository::root().join("target/tools").join(name);
    if ours.is_file() { ours } else { name.into() }
}
