//! The rights in the chart are those of the tables in docs/rights.md: no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use chatroom_tests::repository;
use serde_json::Value;

use crate::helm::{Rendering, with_helm};

/// Group and resource → verbs.
type Rights = BTreeMap<(String, String), BTreeSet<String>>;

#[test]
fn the_operator_has_the_rights_of_the_table_in_all_namespaces() {
    with_helm("the_operator_has_the_rights_of_the_table_in_all_namespaces", |helm| {
        let rendering = helm.render(["--set=rbac.aggregate=false"]).unwrap();
        assert_eq!(granted(rendering.one("ClusterRole")), table_of_the_operator());
        assert!(rendering.all("Role").is_empty() && rendering.all("RoleBinding").is_empty());
        leads(rendering.one("ClusterRoleBinding"), rendering.one("ClusterRole"), &rendering);
    });
}

#[test]
fn the_operator_has_the_same_rights_in_each_namespace_of_a_list_and_none_elsewhere() {
    with_helm("the_operator_has_the_same_rights_in_each_namespace_of_a_list_and_none_elsewhere", |helm| {
        let rendering = helm.render(["--set=watchNamespaces={team-a,team-b}", "--set=rbac.aggregate=false"]).unwrap();
        assert!(rendering.all("ClusterRole").is_empty() && rendering.all("ClusterRoleBinding").is_empty());
        let (roles, bindings) = (rendering.all("Role"), rendering.all("RoleBinding"));
        let namespaces: Vec<_> = roles.iter().map(|role| &role["metadata"]["namespace"]).collect();
        assert_eq!(namespaces, ["team-a", "team-b"]);
        assert_eq!(bindings.len(), roles.len());
        for (role, binding) in roles.iter().zip(bindings) {
            assert_eq!(granted(role), table_of_the_operator());
            assert_eq!(binding["metadata"]["namespace"], role["metadata"]["namespace"]);
            leads(binding, role, &rendering);
        }
    });
}

#[test]
fn people_have_the_rights_of_the_table() {
    with_helm("people_have_the_rights_of_the_table", |helm| {
        let rendering = helm.render(["--set=watchNamespaces={team-a}"]).unwrap();
        let roles = rendering.all("ClusterRole");
        let table = table_of_people();
        assert_eq!(roles.len(), table.len());
        for (role, rights) in table {
            let name = format!("release-chatroom-operator-{role}");
            let found = roles.iter().find(|found| found["metadata"]["name"] == name).expect("the role is there");
            assert_eq!(granted(found), rights, "{role}");
            let label = format!("rbac.authorization.k8s.io/aggregate-to-{role}");
            assert_eq!(found["metadata"]["labels"][&label], "true");
        }
    });
}

#[test]
fn nobody_may_do_anything_with_secrets_but_make_one_and_nothing_is_granted_by_a_star() {
    with_helm("nobody_may_do_anything_with_secrets_but_make_one_and_nothing_is_granted_by_a_star", |helm| {
        for set in ["--set=watchNamespaces=null", "--set=watchNamespaces={team-a}"] {
            let rendering = helm.render([set]).unwrap();
            for role in rendering.all("ClusterRole").into_iter().chain(rendering.all("Role")) {
                for ((group, resource), verbs) in granted(role) {
                    if resource.starts_with("secrets") {
                        assert_eq!(verbs, BTreeSet::from(["create".to_owned()]), "{set}");
                    }
                    let words = verbs.iter().chain([&group, &resource]);
                    assert_eq!(words.filter(|word| word.contains('*')).count(), 0, "{set}: {group} {resource}");
                }
            }
        }
    });
}

#[test]
fn the_tables_are_read_as_the_page_says() {
    let page = "## One\n\n| group | resource | verbs | why |\n|---|---|---|---|\n| core | `pods` | get, list | look |\n\n## Two\n\n| a |\n|---|\n| b |\n";
    assert_eq!(rows(page, "One"), [["core", "pods", "get, list", "look"]]);
    assert_eq!(rows(page, "Two"), [["b"]]);
}

/// The binding gives this role to the operator's account.
fn leads(binding: &Value, role: &Value, rendering: &Rendering) {
    assert_eq!(binding["roleRef"]["kind"], role["kind"]);
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let account = &rendering.one("ServiceAccount")["metadata"];
    let subjects = binding["subjects"].as_array().unwrap();
    assert_eq!(subjects.len(), 1);
    assert_eq!((&subjects[0]["name"], &subjects[0]["namespace"]), (&account["name"], &account["namespace"]));
    assert_eq!(rendering.one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"], account["name"]);
}

/// What the rules of a role grant. A right that is granted twice is a mistake, too.
fn granted(role: &Value) -> Rights {
    let mut rights = Rights::new();
    for rule in role["rules"].as_array().unwrap() {
        assert!(rule["resourceNames"].is_null(), "the tables know no names");
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                let group = if group.is_empty() { "core" } else { &group }.to_owned();
                let earlier = rights.insert((group, resource.clone()), words(&rule["verbs"]).into_iter().collect());
                assert!(earlier.is_none(), "{resource} stands in two rules");
            }
        }
    }
    rights
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn table_of_the_operator() -> Rights {
    let mut rights = Rights::new();
    for row in rows(&page(), "The operator") {
        let [group, resource, verbs, why] = <[String; 4]>::try_from(row).expect("group, resource, verbs, why");
        assert!(!why.is_empty(), "{resource}: a right has a reason");
        assert!(rights.insert((group, resource.clone()), split(&verbs)).is_none(), "{resource} stands in two rows");
    }
    assert!(!rights.is_empty(), "docs/rights.md has the operator's table");
    rights
}

fn table_of_people() -> BTreeMap<String, Rights> {
    let mut roles = BTreeMap::<String, Rights>::new();
    for row in rows(&page(), "People") {
        let [role, group, resource, verbs] = <[String; 4]>::try_from(row).expect("role, group, resource, verbs");
        roles.entry(role).or_default().insert((group, resource), split(&verbs));
    }
    roles
}

fn page() -> String {
    std::fs::read_to_string(repository::root().join("docs/rights.md")).expect("docs/rights.md is there")
}

fn split(verbs: &str) -> BTreeSet<String> {
    verbs.split(", ").map(str::to_owned).collect()
}

/// The rows of the table below a heading, without its head.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split("\n## ").map(|section| section.trim_start_matches("## "));
    let section = section.into_iter().find(|section| section.lines().next() == Some(heading));
    let section = section.unwrap_or_else(|| panic!("the page has a section {heading:?}"));
    let lines = section.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells = lines.map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect());
    cells.skip(2).collect()
}
