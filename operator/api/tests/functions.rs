//! The rules about functions: who breaks one hears what would be right.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::sync::LazyLock;

use chatroom_api::ChatRoom;
use kube::CustomResourceExt;
use kube::core::cel::{CompiledSchema, compile_schema, validate_compiled};
use serde_json::{Value, json};

static RULES: LazyLock<CompiledSchema> = LazyLock::new(|| {
    let crd = serde_json::to_value(ChatRoom::crd()).unwrap();
    compile_schema(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
});

/// What is said about a spec, each with its field.
fn refusals(spec: &Value) -> Vec<(String, String)> {
    let room = json!({"metadata": {"name": "lobby"}, "spec": spec});
    match validate_compiled(&RULES, &room, None) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_vec().into_iter().map(|error| (error.field_path, error.message)).collect(),
    }
}

/// A spec with these functions and nothing else.
fn functions(more: &Value) -> Value {
    let mut functions = json!({"dialect": "Tencent"});
    functions.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"functions": functions})
}

#[test]
fn functions_that_are_right_are_taken() {
    let all = json!({
        "register": {"url": "http://chat.default.svc/register", "timeoutSeconds": 9, "onFailure": "Accept"},
        "transport": {"url": "https://chat.example.com:8443/a/b?c=d%20e&f=(1)", "timeoutSeconds": 900, "onFailure": "Ignore"},
        "cleanup": {"url": "http://[fd00::7]:80", "timeoutSeconds": 60},
        "signingSecretRef": {"name": "keys"},
        "caSecretRef": {"name": "ca", "key": "root.pem"},
        "tencent": {"serviceName": "My chat", "stage": "prod", "transportAction": "DataSend", "forwardRequest": true},
    });
    let mut specs = vec![functions(&all)];
    specs.extend(
        ["register", "transport", "cleanup"].map(|name| functions(&json!({name: {"url": "http://127.0.0.1:9000?x"}}))),
    );
    let mut beside_broadcast = functions(&json!({"register": {"url": "http://a"}, "cleanup": {"url": "http://a"}}));
    beside_broadcast["broadcast"] = json!({"excludeSender": false});
    specs.push(beside_broadcast);
    for spec in specs {
        assert_eq!(refusals(&spec), [], "{spec}");
        let read: Result<chatroom_api::ChatRoomSpec, _> = serde_json::from_value(spec.clone());
        assert_eq!(serde_json::to_value(read.unwrap()).unwrap()["functions"], spec["functions"], "nothing is lost");
    }
}

#[test]
fn a_url_that_no_gateway_could_call_is_refused_wherever_it_stands() {
    let message = "url is http:// or https://, a host, and maybe a port, a path and a query, as in http://chat.default.svc/register: no user, no password, no fragment, no spaces";
    for url in [
        "chat.default.svc/register",
        "ws://chat.default.svc/",
        "HTTP://chat.default.svc/",
        "http:///register",
        "http://:80/",
        "http://user:password@chat.default.svc/",
        "http://user@chat.default.svc/",
        "http://chat.default.svc/#top",
        "http://chat.default.svc/a b",
        "http://chat.default.svc/ä",
        "http://chat.default.svc:/",
        "http://chat.default.svc:123456/",
        "http://[fd00::7/",
        "http://chat.default.svc/\n",
    ] {
        for function in ["register", "transport", "cleanup"] {
            let said = refusals(&functions(&json!({function: {"url": url}})));
            assert_eq!(said, [(format!("spec.functions.{function}.url"), message.to_owned())], "{url}");
        }
    }
}

#[test]
fn each_rule_says_what_would_be_right() {
    let secret = "name must be the name of a Secret: lower case letters, digits, '-' and '.'";
    let cleanup = |more: Value| {
        let mut spec = functions(&json!({"cleanup": {"url": "http://a"}}));
        spec["functions"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let mut beside_transport = functions(&json!({"transport": {"url": "http://a"}}));
    beside_transport["broadcast"] = json!({});
    let cases = [
        (
            functions(&json!({"tencent": {"stage": "prod"}})),
            "spec.functions",
            "name at least one function: register, transport or cleanup; without any, leave functions out",
        ),
        (
            cleanup(json!({"dialect": "Another", "tencent": {}})),
            "spec.functions.tencent",
            "tencent is for dialect Tencent: leave it out, or change dialect",
        ),
        (
            beside_transport,
            "spec.broadcast",
            "with functions.transport the function decides who hears what: leave out broadcast, or functions.transport",
        ),
        (cleanup(json!({"signingSecretRef": {"name": "Keys"}})), "spec.functions.signingSecretRef.name", secret),
        (cleanup(json!({"caSecretRef": {"name": "-"}})), "spec.functions.caSecretRef.name", secret),
        (
            cleanup(json!({"caSecretRef": {"name": "ca", "key": "a/b"}})),
            "spec.functions.caSecretRef.key",
            "key must be a key of a Secret: letters, digits, '-', '_' and '.'",
        ),
    ];
    for (spec, field, message) in cases {
        assert_eq!(refusals(&spec), [(field.to_owned(), message.to_owned())], "{spec}");
    }
}
