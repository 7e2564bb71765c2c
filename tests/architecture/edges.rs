//! Who may depend on whom: the edges of the workspace and what must never be in a program's dependency tree.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use chatroom_tests::repository;

/// Every crate of ours and the crates of ours that it may use.
const EDGES: [(&str, &[&str]); 6] = [
    ("chatroom-api", &[]),
    ("chatroom-settings", &[]),
    ("chatroom-operator", &["chatroom-api", "chatroom-settings"]),
    ("chatroom-gateway", &["chatroom-settings"]),
    ("chatroom-tests", &["chatroom-api", "chatroom-gateway", "chatroom-operator", "chatroom-settings"]),
    (
        "chatroom-bench",
        &["chatroom-api", "chatroom-gateway", "chatroom-operator", "chatroom-settings", "chatroom-tests"],
    ),
];

/// What a crate must not reach, and why.
const NEVER: [(&str, &[&str], &str); 2] = [
    (
        "chatroom-gateway",
        &["kube", "kube-client", "kube-core", "k8s-openapi"],
        "it faces the internet and holds no cluster credentials",
    ),
    ("chatroom-operator", &["redis"], "it never speaks with Redis: it asks the gateways"),
];

/// The contracts are types and nothing else: all that they use directly.
const CONTRACTS: [(&str, &[&str]); 2] =
    [("chatroom-api", &["k8s-openapi", "kube", "schemars", "serde", "serde_json"]), ("chatroom-settings", &["serde"])];

/// Crate → crates that it uses outside of its tests.
type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_workspace_has_exactly_the_edges_of_the_design() {
    assert_eq!(wrong_edges(&own_edges(&metadata())), Vec::<String>::new());
}

#[test]
fn no_program_reaches_what_it_must_not_know() {
    assert_eq!(forbidden_reach(&all_edges(&metadata())), Vec::<String>::new());
}

#[test]
fn the_contracts_are_types_and_nothing_else() {
    let metadata = metadata();
    for (name, allowed) in CONTRACTS {
        let package = metadata.workspace_packages().into_iter().find(|package| package.name == name);
        let package = package.unwrap_or_else(|| panic!("{name} is a crate of the workspace"));
        let uses = package.dependencies.iter().filter(|used| used.kind == DependencyKind::Normal);
        let more: Vec<_> = uses.map(|used| &used.name).filter(|used| !allowed.contains(&used.as_str())).collect();
        assert!(more.is_empty(), "{name} is a contract and should not use {more:?}");
    }
}

#[test]
fn an_edge_that_the_design_does_not_have_is_found() {
    let mut graph = designed();
    graph.get_mut("chatroom-gateway").unwrap().insert("chatroom-operator".into());
    graph.insert("chatroom-new".into(), BTreeSet::new());
    let wrong = wrong_edges(&graph);
    assert_eq!(wrong, ["chatroom-gateway may not use chatroom-operator", "chatroom-new is no crate of the design"]);
}

#[test]
fn a_forbidden_crate_is_found_through_others() {
    let mut graph = designed();
    graph.get_mut("chatroom-gateway").unwrap().insert("helper".into());
    graph.insert("helper".into(), BTreeSet::from(["kube-client".to_owned()]));
    let found = forbidden_reach(&graph);
    assert_eq!(found, ["chatroom-gateway reaches kube-client: it faces the internet and holds no cluster credentials"]);
}

fn wrong_edges(graph: &Graph) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, uses) in graph {
        match EDGES.iter().find(|(own, _)| own == name) {
            None => wrong.push(format!("{name} is no crate of the design")),
            Some((_, allowed)) => wrong.extend(
                uses.iter()
                    .filter(|used| !allowed.contains(&used.as_str()))
                    .map(|used| format!("{name} may not use {used}")),
            ),
        }
    }
    wrong
}

fn forbidden_reach(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for (name, never, why) in NEVER {
        let reached = reach(graph, name);
        found.extend(
            never
                .iter()
                .filter(|forbidden| reached.contains(**forbidden))
                .map(|forbidden| format!("{name} reaches {forbidden}: {why}")),
        );
    }
    found
}

fn reach(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![from.to_owned()];
    while let Some(name) = ahead.pop() {
        for used in graph.get(&name).into_iter().flatten() {
            if reached.insert(used.clone()) {
                ahead.push(used.clone());
            }
        }
    }
    reached
}

fn designed() -> Graph {
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    EDGES.iter().map(|(name, uses)| (name.to_string(), set(uses))).collect()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(repository::root().join("Cargo.toml"))
        .other_options(["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .expect("cargo tells what the workspace is made of")
}

/// Edges between crates of ours, as the manifests declare them; those of tests too, as a loop is a loop.
fn own_edges(metadata: &Metadata) -> Graph {
    let own = metadata.workspace_packages();
    let names: BTreeSet<_> = own.iter().map(|package| package.name.to_string()).collect();
    own.iter()
        .map(|package| {
            let uses = package.dependencies.iter().map(|used| used.name.clone()).filter(|name| names.contains(name));
            (package.name.to_string(), uses.collect())
        })
        .collect()
}

/// Edges of everything that is compiled into a program; what only tests use is left out.
fn all_edges(metadata: &Metadata) -> Graph {
    let name_of: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
    let resolve = metadata.resolve.as_ref().expect("dependencies were asked for");
    let mut graph = Graph::new();
    for node in &resolve.nodes {
        let used =
            node.deps.iter().filter(|used| used.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        // Two versions of one crate are one name here: whoever reaches one of them reaches the crate.
        graph.entry(name_of[&node.id].clone()).or_default().extend(used.map(|used| name_of[&used.pkg].clone()));
    }
    graph
}
