//! The only reader of the environment among the tests.

use std::ffi::OsString;
use std::path::PathBuf;

/// Set to `1` to run the end-to-end tests on the cluster of `KUBECONFIG`.
pub const E2E: &str = "CHATROOM_E2E";
/// Set to `1` to run the tests with an API server of their own.
pub const API_SERVER: &str = "CHATROOM_API_SERVER";
/// The directory of the built programs; absent: beside the running test, built when needed.
pub const BINARIES: &str = "CHATROOM_BINARIES";
/// The program Helm with which the chart is tested; absent: that of `target/tools`, else the one on `PATH`.
pub const HELM: &str = "CHATROOM_HELM";

/// Whether the end-to-end tests were asked for.
#[must_use]
pub fn e2e_is_wanted() -> bool {
    read(E2E).is_some_and(|value| value == "1")
}

/// Whether the tests with an API server were asked for.
#[must_use]
pub fn api_server_is_wanted() -> bool {
    read(API_SERVER).is_some_and(|value| value == "1")
}

/// Where the built programs are, when somebody says so.
#[must_use]
pub fn binaries_directory() -> Option<PathBuf> {
    read(BINARIES).map(PathBuf::from)
}

/// The Helm that somebody chose.
#[must_use]
pub fn helm() -> Option<PathBuf> {
    read(HELM).map(PathBuf::from)
}

/// The cargo that runs the tests, else the one on PATH.
#[must_use]
pub fn cargo() -> OsString {
    read("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The variables that cargo sets for the test that it runs. A cargo that inherits them builds half of the dependencies
/// anew, because build scripts (ring's is one) look at them.
pub fn set_by_cargo_for_this_test() -> impl Iterator<Item = OsString> {
    const BEGINNINGS: [&str; 5] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| BEGINNINGS.iter().any(|beginning| name.to_string_lossy().starts_with(beginning)))
}

#[expect(clippy::disallowed_methods, reason = "this is the file that reads the environment")]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
