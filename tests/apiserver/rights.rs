//! What the operator may do, asked of a real API server, and that it gets on with no right more.

use std::collections::BTreeSet;

use chatroom_api::ChatRoom;
use chatroom_tests::repository;
use chatroom_tests::wait::until;
use futures_util::{StreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::audit::Request;
use crate::children::KEPT;
use crate::control_plane::ControlPlane;
use crate::operator::{NAMESPACE, Operator, chart};
use crate::world::{A_WHILE, in_namespace, is_skipped, manifest};

/// Everything that can be asked of a resource.
const VERBS: [&str; 11] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "escalate",
    "bind",
    "impersonate",
];

/// What the operator has nothing to do with, but what an intruder would like.
const TEMPTING: [(&str, &str); 27] = [
    ("*", "*"),
    ("", "pods/exec"),
    ("", "pods/attach"),
    ("", "pods/portforward"),
    ("", "pods/log"),
    ("", "pods/ephemeralcontainers"),
    ("", "pods/eviction"),
    ("", "nodes"),
    ("", "nodes/proxy"),
    ("", "namespaces"),
    ("", "persistentvolumeclaims"),
    ("", "serviceaccounts/token"),
    ("", "users"),
    ("", "groups"),
    ("", "events"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("coordination.k8s.io", "leases"),
    ("chatroom.dev", "chatrooms/scale"),
    ("chatroom.dev", "chatrooms/finalizers"),
];

/// Group, resource with its subresource, verb.
type Right = (String, String, String);

#[tokio::test]
async fn the_operator_may_do_what_the_page_says_and_nothing_else() {
    in_namespace("rights", async |world| {
        let granted = page();
        let named = granted.iter().map(|(group, resource, _)| (group.clone(), resource.clone()));
        let tempting = TEMPTING.map(|(group, resource)| (group.to_owned(), resource.to_owned()));
        let resources: BTreeSet<_> = named.chain(tempting).collect();
        let rights = resources.into_iter().flat_map(|(group, resource)| {
            VERBS.into_iter().map(move |verb| (group.clone(), resource.clone(), verb.to_owned()))
        });
        let user = &world.plane.operator().user;
        let allowed: BTreeSet<Right> = stream::iter(rights)
            .map(async |right| may(&world.client, user, &world.namespace, &right).await.then_some(right))
            .buffer_unordered(16)
            .filter_map(std::future::ready)
            .collect()
            .await;
        assert_eq!(allowed, granted);
    })
    .await;
}

#[tokio::test]
async fn the_rights_of_the_chart_are_enough_in_the_whole_cluster() {
    in_namespace("enough", async |world| {
        world.apply("lobby", json!({})).await;
        world.settled("lobby").await;
        world.apply("lobby", json!({"podDisruptionBudget": {"enabled": false}, "replicas": 3})).await;
        world.settled("lobby").await;
        world.is_told("lobby", "Deleted").await;
        let asked = world.plane.audit().of(&world.plane.operator().user);
        let here = |request: &&Request| request.namespace == world.namespace || request.namespace.is_empty();
        assert!(asked.iter().any(|request| request.namespace.is_empty()), "it watches the whole cluster");
        assert_eq!(refused(asked.iter().filter(here)), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn with_a_list_of_namespaces_a_role_in_each_of_them_is_enough() {
    if is_skipped("with_a_list_of_namespaces_a_role_in_each_of_them_is_enough") {
        return;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    // One of its own: on the shared one there is an operator for the rooms of every namespace.
    let plane = ControlPlane::start().await.unwrap_or_else(|error| panic!("it did not come up: {error:#}"));
    let client = plane.client().await.expect("the administrator's kubeconfig works");
    let manifests = chart("keeper", &["--no-hooks", "--set=watchNamespaces={team-a,team-b,later}"]).unwrap();
    let (later, now): (Vec<_>, Vec<_>) =
        documents(&manifests).into_iter().partition(|object| object["metadata"]["namespace"] == "later");
    assert!(now.iter().chain(&later).all(|object| !is_right_in_the_cluster(object)), "{manifests}");
    for namespace in ["team-a", "team-b", "team-c"] {
        make_namespace(&plane, namespace);
    }
    let list = watched(&now);
    let operator =
        Operator::install_as(&plane, "keeper", &as_list(&now), &[("WATCH_NAMESPACES", &list)]).await.unwrap();

    for namespace in ["team-c", "team-b", "team-a"] {
        make_room(&client, namespace).await;
    }
    comes_about(&plane, &client, "team-a").await;
    comes_about(&plane, &client, "team-b").await;
    let rooms: Api<ChatRoom> = Api::namespaced(client.clone(), "team-c");
    assert_eq!(rooms.get("lobby").await.unwrap().status, None, "nobody looks after this one");

    make_namespace(&plane, "later");
    plane.kubectl(&["apply", "--server-side", "--filename=-"], &as_list(&later)).unwrap();
    make_room(&client, "later").await;
    comes_about(&plane, &client, "later").await;

    let asked = plane.audit().of(&operator.user);
    let outside = asked.iter().filter(|request| !["team-a", "team-b", "later"].contains(&request.namespace.as_str()));
    assert_eq!(outside.map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    // Before there was a role in it, nothing but the question whether there is one.
    assert_eq!(refused(asked.iter().filter(|request| request.namespace != "later")), Vec::<String>::new());
    let refused = refused(asked.iter().filter(|request| request.namespace == "later"));
    assert!(refused.iter().all(|request| request.starts_with("list chatrooms")), "{refused:#?}");
    operator.stops().await;
}

/// The children are there, and the status tells of them.
async fn comes_about(plane: &ControlPlane, client: &Client, namespace: &str) {
    let rooms: Api<ChatRoom> = Api::namespaced(client.clone(), namespace);
    let what = format!("the room in {namespace} has come about");
    let seen = until(&what, A_WHILE, async || {
        for child in KEPT {
            let api: Api<kube::api::DynamicObject> = Api::namespaced_with(client.clone(), namespace, &child.resource());
            let found = api.get(&child.name("lobby")).await;
            found.map_err(|error| format!("{error}\n{}", plane.last_words("keeper")))?;
        }
        let room = rooms.get("lobby").await.map_err(|error| error.to_string())?;
        room.status.and_then(|status| status.url).ok_or_else(|| "no URL in the status".to_owned())
    });
    assert_eq!(seen.await, format!("ws://lobby.{namespace}.svc/"));
}

async fn make_room(client: &Client, namespace: &str) {
    let rooms: Api<ChatRoom> = Api::namespaced(client.clone(), namespace);
    let room = serde_json::from_value(manifest("lobby", &json!({}))).expect("this is a room");
    let made = rooms.create(&PostParams::default(), &room).await.expect("a good room is taken");
    assert_eq!(made.name_any(), "lobby");
}

fn make_namespace(plane: &ControlPlane, name: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    plane
        .kubectl(&["apply", "--server-side", "--filename=-"], &namespace.to_string())
        .expect("a namespace can be made");
}

/// What the Deployment of the chart tells the operator.
fn watched(objects: &[Value]) -> String {
    let deployment = objects.iter().find(|object| object["kind"] == "Deployment").expect("the chart has one");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let variables = container["env"].as_array().expect("it has variables");
    let variable = variables.iter().find(|variable| variable["name"] == "WATCH_NAMESPACES");
    variable.and_then(|variable| variable["value"].as_str()).expect("one of them is the list").to_owned()
}

/// A right of the operator that reaches beyond namespaces; the roles for people are not bound to it.
fn is_right_in_the_cluster(object: &Value) -> bool {
    object["kind"] == "ClusterRoleBinding"
}

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("helm writes YAML"));
    documents.filter(|document| !document.is_null()).collect()
}

fn as_list(objects: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

fn refused<'a>(requests: impl Iterator<Item = &'a Request>) -> Vec<String> {
    requests.filter(|request| request.code == 403).map(ToString::to_string).collect()
}

/// The table "The operator" of the page about rights.
fn page() -> BTreeSet<Right> {
    let text = std::fs::read_to_string(repository::root().join("docs/rights.md")).expect("the page is there");
    let section = text.split("\n## ").find(|section| section.starts_with("The operator")).expect("the page has it");
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.flat_map(|row| {
        let [_, group, resource, verbs, ..] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("not a row: {row}");
        };
        let group = if group == "core" { "" } else { group };
        verbs.split(", ").map(|verb| (group.to_owned(), resource.to_owned(), verb.to_owned())).collect::<Vec<_>>()
    })
    .collect()
}

async fn may(client: &Client, user: &str, namespace: &str, right: &Right) -> bool {
    let (group, resource, verb) = right;
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource.as_str(), None),
    };
    let attributes = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        verb: Some(verb.clone()),
        group: Some(group.clone()),
        resource: Some(resource.to_owned()),
        subresource,
        ..ResourceAttributes::default()
    };
    let groups = ["system:authenticated", "system:serviceaccounts"].map(str::to_owned);
    let spec = SubjectAccessReviewSpec {
        user: Some(user.to_owned()),
        groups: Some(groups.into_iter().chain([format!("system:serviceaccounts:{NAMESPACE}")]).collect()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await.expect("the API server says who may what");
    answer.status.expect("it has an opinion").allowed
}
