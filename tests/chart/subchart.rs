//! The chart as a dependency of somebody's own chart.

use std::fs;

use chatroom_tests::repository;
use serde_json::json;
use tempfile::TempDir;

use crate::helm::{Helm, chart, with_helm};

#[test]
fn it_works_as_a_dependency() {
    with_helm("it_works_as_a_dependency", |helm| {
        let parent =
            parent(helm, "global: {storageClass: fast, imageRegistry: mirror:5000}\nchat: {image: {tag: 1.2.3}}\n");
        let rendering = helm.render_chart(parent.path(), "parent", [""; 0]).unwrap();
        let deployment = rendering.one("Deployment");
        assert_eq!(deployment["metadata"]["name"], "parent-chat", "an alias stands for the chart's name");
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "mirror:5000/chatroom-dev/operator:1.2.3");
        assert!(rendering.find("CustomResourceDefinition").is_some());
    });
}

#[test]
fn it_refuses_a_typing_error_as_a_dependency_too() {
    with_helm("it_refuses_a_typing_error_as_a_dependency_too", |helm| {
        let parent = parent(helm, "chat: {image: {tga: 1.2.3}}\n");
        let refusal = helm.render_chart(parent.path(), "parent", [""; 0]).unwrap_err();
        assert!(refusal.contains("tga"), "{refusal}");
    });
}

/// A chart with ours as its only dependency, called `chat`, and these values.
fn parent(helm: &Helm, values: &str) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let own = chart();
    let definition = json!({
        "apiVersion": "v2",
        "name": "parent",
        "version": "1.0.0",
        "dependencies": [{
            "name": "chatroom-operator",
            "alias": "chat",
            "version": env!("CARGO_PKG_VERSION"),
            "repository": format!("file://{}", own.display()),
        }],
    });
    let write = |file: &str, text: &str| {
        fs::write(directory.path().join(file), text).unwrap_or_else(|error| panic!("{file}: {error}"));
    };
    write("Chart.yaml", &serde_yaml::to_string(&definition).expect("JSON is YAML"));
    write("values.yaml", values);
    let path = directory.path().to_string_lossy().into_owned();
    helm.run(["dependency", "update", &path])
        .unwrap_or_else(|error| panic!("{} as a dependency: {error}", repository::relative(&own)));
    directory
}
