//! Every Rust file: is it part of a program, does it say what it is for, is it of a size to read, is it safe?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;
use chatroom_tests::repository;

use crate::source::{Declaration, read};

/// Lines up to which a file is comfortable to read.
const COMFORTABLE: usize = 450;

/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

#[test]
fn every_rust_file_is_reached_from_a_program_a_library_or_a_test() {
    assert_eq!(lost(&all_files(), &roots(), &|path| std::fs::read_to_string(path).ok()), Vec::<String>::new());
}

#[test]
fn every_rust_file_says_first_what_it_is_for() {
    assert_eq!(
        each_file(|text| (!begins_with_purpose(text)).then(|| "its first line is no `//!` sentence".into())),
        NOTHING
    );
}

#[test]
fn no_rust_file_is_longer_than_one_likes_to_read() {
    let lengths: BTreeMap<String, usize> =
        all_files().iter().map(|path| (repository::relative(path), text_of(path).lines().count())).collect();
    assert_eq!(too_long(&lengths, LONGER), NOTHING);
}

#[test]
fn no_rust_file_is_unsafe() {
    let unsafe_word = |text: &str| {
        let source = read(text, &["crate"]).unwrap_or_else(|error| panic!("{error} in a file that compiles"));
        (!source.unsafe_lines.is_empty()).then(|| format!("`unsafe` on lines {:?}", source.unsafe_lines))
    };
    assert_eq!(each_file(unsafe_word), NOTHING);
}

#[test]
fn every_crate_keeps_the_lints_of_the_workspace() {
    let manifests = repository::files_with_extension(repository::root(), "toml")
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml") && path.parent() != Some(repository::root()));
    let without: Vec<String> = manifests
        .filter(|path| !text_of(path).replace(' ', "").contains("[lints]\nworkspace=true"))
        .map(|path| repository::relative(&path))
        .collect();
    assert_eq!(without, NOTHING);
}

#[test]
fn a_file_in_no_module_tree_is_found() {
    let files = BTreeMap::from([
        ("src/lib.rs", "mod door; mod old; mod r#in { mod deep; }"),
        ("src/old/mod.rs", "mod beside;"),
        ("src/old/beside.rs", ""),
        ("src/door.rs", "#[cfg(test)] mod tests; #[path = \"odd.rs\"] mod even;"),
        ("src/door/tests.rs", ""),
        ("src/odd.rs", ""),
        ("src/in/deep.rs", "mod old;"),
        ("src/in/deep/old/mod.rs", "mod style;"),
        ("src/in/deep/old/style.rs", ""),
        ("src/forgotten.rs", "mod below;"),
        ("src/forgotten/below.rs", ""),
    ]);
    let all: Vec<PathBuf> = files.keys().map(PathBuf::from).collect();
    let read = |path: &Path| files.get(path.to_str()?).map(ToString::to_string);
    assert_eq!(lost(&all, &["src/lib.rs".into()], &read), ["src/forgotten.rs", "src/forgotten/below.rs"]);
}

#[test]
fn a_file_without_a_purpose_is_found() {
    assert!(begins_with_purpose("//! Says what it is for.\n"));
    assert!(!begins_with_purpose("use std::fs;\n"));
    assert!(!begins_with_purpose("//!\n//! Later.\n"));
    assert!(!begins_with_purpose(""));
}

#[test]
fn a_long_file_without_a_reason_and_a_reason_without_a_long_file_are_found() {
    let lengths = BTreeMap::from([("a.rs".to_owned(), 451), ("b.rs".to_owned(), 900), ("c.rs".to_owned(), 450)]);
    let found = too_long(&lengths, &[("b.rs", "a table"), ("c.rs", "was long once"), ("d.rs", "is gone")]);
    assert_eq!(
        found,
        [
            "a.rs has 451 lines: is it one file?",
            "c.rs has 450 lines and needs no exception",
            "d.rs is not there and needs no exception",
        ]
    );
}

const NOTHING: [&str; 0] = [];

/// The files that no root reaches through `mod`.
fn lost(all: &[PathBuf], roots: &[PathBuf], text_of: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut reached = BTreeSet::new();
    let mut ahead: Vec<(PathBuf, bool)> = roots.iter().map(|root| (root.clone(), true)).collect();
    while let Some((file, is_root)) = ahead.pop() {
        let Some(text) = text_of(&file) else { continue };
        if !reached.insert(file.clone()) {
            continue;
        }
        let source = read(&text, &["crate"]).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for module in source.modules {
            ahead.extend(places(&file, is_root, &module).into_iter().map(|place| (place, false)));
        }
    }
    all.iter().filter(|file| !reached.contains(*file)).map(|file| shown(file)).collect()
}

/// Where the compiler looks for a module that `file` declares.
fn places(file: &Path, is_root: bool, module: &Declaration) -> Vec<PathBuf> {
    let beside = file.parent().expect("a file lies in a directory");
    if let Some(path) = &module.path {
        return vec![beside.join(path)];
    }
    let opens_folder = is_root || file.ends_with("mod.rs");
    let own_folder = if opens_folder { beside.to_owned() } else { file.with_extension("") };
    let below = own_folder.join(module.name.iter().map(|name| name.trim_start_matches("r#")).collect::<PathBuf>());
    vec![below.with_extension("rs"), below.join("mod.rs")]
}

fn begins_with_purpose(text: &str) -> bool {
    text.lines().next().and_then(|line| line.strip_prefix("//! ")).is_some_and(|words| words.len() > 5)
}

fn too_long(lengths: &BTreeMap<String, usize>, longer: &[(&str, &str)]) -> Vec<String> {
    let excepted = |file: &str| longer.iter().any(|(name, _)| *name == file);
    let unexplained = lengths
        .iter()
        .filter(|(file, lines)| **lines > COMFORTABLE && !excepted(file))
        .map(|(file, lines)| format!("{file} has {lines} lines: is it one file?"));
    let unneeded = longer.iter().filter_map(|(file, _)| match lengths.get(*file) {
        None => Some(format!("{file} is not there and needs no exception")),
        Some(lines) if *lines <= COMFORTABLE => Some(format!("{file} has {lines} lines and needs no exception")),
        Some(_) => None,
    });
    unexplained.chain(unneeded).collect()
}

fn each_file(judge: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let judged = all_files().into_iter().filter_map(|path| Some((judge(&text_of(&path))?, path)));
    judged.map(|(wrong, path)| format!("{}: {wrong}", repository::relative(&path))).collect()
}

fn all_files() -> Vec<PathBuf> {
    repository::files_with_extension(repository::root(), "rs")
}

/// The first file of each program, library and test.
fn roots() -> Vec<PathBuf> {
    let metadata = MetadataCommand::new()
        .manifest_path(repository::root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo tells what the workspace is made of");
    let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
    targets.map(|target| target.src_path.into_std_path_buf()).collect()
}

fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(repository::root()).unwrap_or(path).display().to_string()
}
