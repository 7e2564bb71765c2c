//! Every workflow: its actions are pinned by commit, and it does nothing that is not a target of the Makefile.

use std::collections::BTreeSet;
use std::path::PathBuf;

use chatroom_tests::repository;
use serde_json::Value;

#[test]
fn every_action_of_a_workflow_is_pinned_by_its_commit() {
    assert_eq!(each_workflow(&unpinned), NOTHING);
}

#[test]
fn every_command_of_a_workflow_is_a_target_of_the_makefile() {
    let makefile = repository::root().join("Makefile");
    let makefile = std::fs::read_to_string(makefile).expect("the Makefile can be read");
    let targets = targets(&makefile);
    assert_eq!(each_workflow(&|text| foreign(text, &targets)), NOTHING);
}

#[test]
fn an_action_that_is_pinned_by_less_than_its_commit_is_found() {
    let text = "
        jobs:
          one:
            uses: some/repository/.github/workflows/shared.yml@main
          two:
            steps:
              - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
              - uses: actions/cache@v5
              - uses: actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fcca
              - uses: docker://alpine
              - run: make check";
    assert_eq!(
        unpinned(text),
        [
            "some/repository/.github/workflows/shared.yml@main",
            "actions/cache@v5",
            "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fcca",
            "docker://alpine",
        ]
    );
}

#[test]
fn a_command_that_is_not_make_with_a_target_is_found() {
    let text = "
        jobs:
          one:
            steps:
              - run: make check
              - run: make chek
              - run: make check && curl example.com
              - run: |
                  make check
                  cargo test
          two: {steps: [{run: \"make\"}]}";
    assert_eq!(
        foreign(text, &targets(".PHONY: check\ncheck: ## looks\n\t@true\n")),
        ["make chek", "make check && curl example.com", "cargo test", "make"]
    );
}

const NOTHING: [&str; 0] = [];

/// What `judge` finds in each workflow, with its file's name before it.
fn each_workflow(judge: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
    let directory = repository::root().join(".github/workflows");
    let mut files: Vec<PathBuf> = ["yml", "yaml"]
        .into_iter()
        .flat_map(|extension| repository::files_with_extension(&directory, extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are no workflows in {}", directory.display());
    let judged = files.iter().flat_map(|path| {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        judge(&text).into_iter().map(|found| format!("{}: {found}", repository::relative(path)))
    });
    judged.collect()
}

/// The actions and shared workflows that are not named with 40 hexadecimal digits.
fn unpinned(text: &str) -> Vec<String> {
    let is_commit = |name: &str| name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pinned = |uses: &String| uses.split_once('@').is_some_and(|(_, version)| is_commit(version));
    values_of("uses", text).into_iter().filter(|uses| !pinned(uses)).collect()
}

/// The lines of commands that are not `make` with one of its targets.
fn foreign(text: &str, targets: &BTreeSet<String>) -> Vec<String> {
    let runs = values_of("run", text);
    let lines = runs.iter().flat_map(|run| run.lines()).map(str::trim).filter(|line| !line.is_empty());
    let is_target = |line: &&str| line.strip_prefix("make ").is_some_and(|target| targets.contains(target));
    lines.filter(|line| !is_target(line)).map(str::to_owned).collect()
}

/// The texts under the key `key`, wherever it stands.
fn values_of(key: &str, text: &str) -> Vec<String> {
    let workflow: Value = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
    let mut found = Vec::new();
    collect(key, &workflow, &mut found);
    found
}

fn collect(key: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                match inner {
                    Value::String(text) if name == key => found.push(text.clone()),
                    _ => collect(key, inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(key, item, found)),
        _ => {}
    }
}

/// The targets that `make help` lists.
fn targets(makefile: &str) -> BTreeSet<String> {
    let named = makefile.lines().filter_map(|line| line.split_once(": ## "));
    named.map(|(target, _)| target.to_owned()).collect()
}
