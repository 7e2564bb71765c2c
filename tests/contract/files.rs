//! Generated files are as the source would make them.

use chatroom_operator::tool::crd::crd;
use chatroom_operator::tool::reference::reference;
use chatroom_tests::repository;

#[test]
fn the_resource_definition_and_its_copy_in_the_chart_are_fresh() {
    for file in ["crds/chatrooms.yaml", "charts/chatroom-operator/files/crds/chatrooms.yaml"] {
        is_fresh(file, &crd());
    }
}

#[test]
fn the_reference_of_the_fields_is_fresh() {
    is_fresh("docs/reference.md", &reference());
}

fn is_fresh(file: &str, expected: &str) {
    let path = repository::root().join(file);
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}; `make generate` writes it"));
    // Not `assert_eq`: two thousand lines beside two thousand lines help nobody.
    let first = text.lines().zip(expected.lines()).position(|(one, other)| one != other);
    assert!(
        text == expected,
        "{file} differs, first in line {:?}; `make generate` writes it",
        first.map(|line| line + 1)
    );
}
