//! The programs that this tier needs: where they are, and how they are asked.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chatroom_tests::repository;
pub(crate) use chatroom_tests::tools::path;

/// etcd, the API server and the controllers in one binary, as tests/cluster/build.sh makes it.
pub(crate) fn kube() -> PathBuf {
    repository::root().join("target/cluster/bin/kube")
}

/// What is missing on this machine, with the next step; `None`: nothing.
pub(crate) fn missing() -> Option<String> {
    if !kube().is_file() {
        return Some("target/cluster/bin/kube is not there: tests/cluster/build.sh makes it".to_owned());
    }
    let answers =
        |program: &str| Command::new(program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    for (name, next) in [
        ("kubectl", "deploy/scripts/tools.sh brings it"),
        ("helm", "deploy/scripts/tools.sh brings it"),
        ("openssl", "deploy/scripts/packages.sh says how to install it"),
    ] {
        if answers(&path(name).to_string_lossy()).is_err() {
            return Some(format!("there is no {name}: {next}"));
        }
    }
    None
}

/// Runs a program to its end and answers what it wrote to stdout.
///
/// # Errors
/// What it wrote to stderr, when it ended with a failure.
pub(crate) fn run(program: &Path, arguments: &[&str], input: &str) -> Result<String, String> {
    let story = |what: &dyn std::fmt::Display| format!("{} {}: {what}", program.display(), arguments.join(" "));
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(repository::root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| story(&error))?;
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // Whoever does not read its input to the end says why on stderr.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| story(&error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(story(&String::from_utf8_lossy(&output.stderr)))
    }
}
