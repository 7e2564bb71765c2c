//! Where things are in the repository.

use std::path::{Path, PathBuf};

/// Directories that hold no source of ours.
const NOT_OURS: [&str; 3] = ["target", "node_modules", "vendor"];

/// The root of the workspace.
///
/// # Panics
/// When this crate does not lie in a folder of the workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in a folder of the workspace")
}

/// The Helm chart.
#[must_use]
pub fn chart() -> PathBuf {
    root().join("charts/chatroom-operator")
}

/// Every file below `directory` with this extension, sorted; what is hidden, built or fetched is left out.
///
/// # Panics
/// When a directory cannot be read.
#[must_use]
pub fn files_with_extension(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(directory, extension, &mut found);
    found.sort();
    found
}

/// `path` as people write it: relative to the root, with slashes.
///
/// # Panics
/// When `path` is not below the root.
#[must_use]
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("the path was found below the root").to_string_lossy().replace('\\', "/")
}

fn collect(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let entry = entry.expect("a directory can be listed to its end");
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        if name.starts_with('.') || NOT_OURS.contains(&name.as_ref()) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
}
