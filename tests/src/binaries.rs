//! The built programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::environment;
use crate::repository;

/// `chatroom`, the tool for people.
pub const TOOL: &str = "chatroom";
/// `chatroom-operator`.
pub const OPERATOR: &str = "chatroom-operator";
/// `chatroom-gateway`.
pub const GATEWAY: &str = "chatroom-gateway";

/// The directory of the built programs, as fresh as the source.
///
/// Cargo builds a package's programs for that package's own tests only, so this asks it once per test process; it
/// answers in a moment when nothing changed.
///
/// # Panics
/// When they cannot be built.
#[must_use]
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| environment::binaries_directory().unwrap_or_else(build))
}

/// The path of one program.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    directory().join(name)
}

fn build() -> PathBuf {
    // target/<profile>/deps/<test>
    let test = std::env::current_exe().expect("a running program has a path");
    let profile_directory = test.ancestors().nth(2).expect("a test lies two below its profile").to_owned();
    let profile = match profile_directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let mut cargo = Command::new(environment::cargo());
    for name in environment::set_by_cargo_for_this_test() {
        cargo.env_remove(name);
    }
    let status = cargo
        .current_dir(repository::root())
        .args(["build", "--quiet", "--profile", profile])
        .args(["--package", "chatroom-operator", "--package", "chatroom-gateway", "--bins"])
        .status()
        .expect("cargo runs, as it runs this test");
    assert!(status.success(), "the programs could not be built");
    profile_directory
}
