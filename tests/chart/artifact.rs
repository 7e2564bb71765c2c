//! What Chart.yaml says of the chart is true.

use chatroom_api::ChatRoom;
use chatroom_operator::room::Defaults;
use chatroom_operator::tool::manifest::Manifest;
use kube::{CustomResourceExt as _, Resource as _};
use serde_json::{Value, json};

use crate::helm::{text_of, with_helm};

const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn chart_operator_and_images_are_of_one_version() {
    let chart = chart_yaml();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&json!(OWN_VERSION), &json!(OWN_VERSION)));
}

#[test]
fn the_images_are_those_that_run() {
    with_helm("the_images_are_those_that_run", |helm| {
        let rendering = helm.render::<&str>([]).unwrap();
        let container = &rendering.one("Deployment")["spec"]["template"]["spec"]["containers"][0];
        let running = [&container["image"], &container["env"][1]["value"], &container["env"][2]["value"]];
        let images = annotation("images");
        let told: Vec<_> = images.as_array().unwrap().iter().map(|image| &image["image"]).collect();
        assert_eq!(told, running);
    });
}

#[test]
fn the_resource_definition_is_ours() {
    let own = ChatRoom::crd();
    let told = annotation("crds");
    assert_eq!(told.as_array().map(Vec::len), Some(1));
    assert_eq!(told[0]["kind"], ChatRoom::kind(&()).as_ref());
    assert_eq!(told[0]["version"], ChatRoom::version(&()).as_ref());
    assert_eq!(told[0]["name"], own.metadata.name.unwrap());
}

#[test]
fn the_example_is_a_good_room() {
    let examples = annotation("crdsExamples");
    let examples = examples.as_array().unwrap();
    assert!(!examples.is_empty());
    for example in examples {
        let defaults = Defaults { gateway_image: "gateway:1".into(), redis_image: "redis:1".into() };
        let manifest = Manifest::parse(&example.to_string()).unwrap_or_else(|invalid| panic!("{example}: {invalid}"));
        manifest.validate(|_| "uid".into(), &defaults).unwrap_or_else(|invalid| panic!("{example}: {invalid}"));
    }
}

fn chart_yaml() -> Value {
    serde_yaml::from_str(&text_of("Chart.yaml")).expect("Chart.yaml is YAML")
}

/// An annotation for Artifact Hub, which is YAML within YAML.
fn annotation(key: &str) -> Value {
    let chart = chart_yaml();
    let text =
        chart["annotations"][format!("artifacthub.io/{key}")].as_str().expect("the annotation is there").to_owned();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{key}: {error}"))
}
