//! Manifest files: as strict as the API server, and saying what would be right.

use chatroom_operator::room::Violation;
use chatroom_operator::tool::crd::crd;
use chatroom_operator::tool::manifest::Manifest;

const HEAD: &str = "apiVersion: chatroom.dev/v1alpha1\nkind: ChatRoom\nmetadata: {name: lobby}\n";

fn refused(text: &str) -> Vec<Violation> {
    Manifest::parse(text).expect_err(text).violations
}

fn refused_spec(spec: &str) -> Violation {
    let mut violations = refused(&format!("{HEAD}spec: {spec}\n"));
    assert_eq!(violations.len(), 1, "{violations:?}");
    violations.remove(0)
}

#[test]
fn the_committed_crd_is_the_one_of_this_code() {
    assert!(include_str!("../../../crds/chatrooms.yaml") == crd(), "crds/chatrooms.yaml differs: run `make generate`");
}

#[test]
fn a_misspelt_field_is_named_with_those_that_there_are() {
    let violation = refused_spec("{rollout: {surge: 1}}");
    assert_eq!(violation.field, "spec.rollout.surge");
    assert_eq!(violation.message, "there is no such field; here go maxSurge, maxUnavailable");
    assert_eq!(refused_spec("{pod: {env: [{name: A, vale: b}]}}").field, "spec.pod.env[0].vale");
    assert_eq!(refused(&format!("{HEAD}specs: {{}}\nspec: {{}}\n"))[0].field, "specs");
}

#[test]
fn a_field_that_is_nearly_right_is_named_with_the_one_that_was_meant() {
    for (spec, meant) in [
        ("{rollout: {maxSurg: 1}}", "rollout.maxSurge"),
        ("{limits: {maxMessageByte: 1}}", "limits.maxMessageBytes"),
        ("{limits: {maxmessagebytes: 1}}", "limits.maxMessageBytes"),
        ("{replica: 1}", "replicas"),
        // In the wrong place.
        ("{maxMessageBytes: 1}", "limits.maxMessageBytes"),
        ("{pod: {preStopSeconds: 1}}", "drain.preStopSeconds"),
        ("{pod: {env: [{name: A, vale: b}]}}", "pod.env[0].value"),
        ("{overrides: {deploymnt: {}}}", "overrides.deployment"),
    ] {
        let said = format!("there is no such field; did you mean `{meant}`?");
        assert_eq!(refused_spec(spec).message, said, "{spec}");
    }
    assert_eq!(
        refused(&format!("{HEAD}specs: {{}}\nspec: {{}}\n"))[0].message,
        "there is no such field; did you mean `spec`?"
    );
    // Several have that name, and none is near.
    assert!(refused_spec("{annotations: {a: b}}").message.starts_with("there is no such field; here go "));
}

#[test]
fn a_kind_or_a_version_that_is_nearly_right_is_named_with_the_one_that_was_meant() {
    for (head, field, meant) in [
        ("apiVersion: chatroom.dev/v1alpha1\nkind: Chatroom\n", "kind", "; did you mean `kind: ChatRoom`?"),
        ("apiVersion: v1\nkind: Secrets\n", "kind", "; did you mean `kind: Secret`?"),
        (
            "apiVersion: chatroom.dev/v1\nkind: ChatRoom\n",
            "apiVersion",
            "; did you mean `apiVersion: chatroom.dev/v1alpha1`?",
        ),
    ] {
        let violation = refused(head).remove(0);
        assert_eq!(violation.field, field);
        assert!(violation.message.ends_with(meant), "{violation}");
    }
}

#[test]
fn whole_numbers_are_called_so() {
    let said = refused_spec("{replicas: \"3\"}").to_string();
    assert!(said.starts_with("spec.replicas: invalid type: string \"3\", expected a whole number at line 4"), "{said}");
    let said = refused_spec("{limits: {slowSeconds: 1.5}}").to_string();
    assert!(said.contains("expected a whole number"), "{said}");
    let said = refused_spec("{webClient: \"yes\"}").to_string();
    assert!(said.contains("expected true or false"), "{said}");
}

#[test]
fn fields_that_do_not_exist_cannot_be_smuggled_in() {
    for spec in [
        "{redis: {external: {urlSecretRef: {name: a, namespace: kube-system}}}}",
        "{pod: {hostNetwork: true}}",
        "{pod: {volumes: [{name: a, hostPath: {path: /}}]}}",
    ] {
        assert!(refused_spec(spec).message.starts_with("there is no such field"), "{spec}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_field_and_line() {
    let violation = refused_spec("{replicas: \"3\"}");
    assert!(violation.to_string().starts_with("spec.replicas: invalid type"), "{violation}");
    assert!(violation.to_string().contains("line 4"), "{violation}");
}

#[test]
fn a_fraction_without_quotes_is_refused_as_the_api_server_does() {
    let violation = refused_spec("{pod: {resources: {limits: {cpu: 0.5}}}}");
    let said = "spec.pod.resources.limits.cpu: invalid type: floating point `0.5`, expected an integer or a string";
    assert!(violation.to_string().starts_with(said), "{violation}");
}

#[test]
fn the_bounds_of_the_schema_hold() {
    let cases = [
        ("{replicas: -1}", "spec.replicas: must be 0 to 500, is -1"),
        ("{replicas: 501}", "spec.replicas: must be 0 to 500, is 501"),
        ("{allowedOrigins: []}", "spec.allowedOrigins: must have at least 1 entries, has 0"),
        (
            "{allowedOrigins: [\"http://a\", \"http://a\"]}",
            "spec.allowedOrigins[1]: \"http://a\" stands here twice: keep one of them",
        ),
        (
            "{pod: {env: [{name: A}, {name: A, value: b}]}}",
            "spec.pod.env[1]: \"A\" stands here twice: keep one of them",
        ),
        ("{broadcast: {onlineSuffix: \"\"}}", "spec.broadcast.onlineSuffix: must have at least 1 characters, has 0"),
    ];
    for (spec, said) in cases {
        assert_eq!(refused_spec(spec).to_string(), said);
    }
}

#[test]
fn the_rules_of_the_crd_hold() {
    let violation = refused_spec("{image: {repository: chat/gateway}}");
    assert_eq!(violation.field, "spec.image");
    assert!(violation.message.starts_with("image.repository needs image.tag or image.digest"), "{violation}");
}

#[test]
fn secrets_beside_the_room_are_read() {
    let text = format!(
        "{HEAD}spec: {{}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: redis}}\n\
         data: {{url: cmVkaXM6Ly9h, old: eA==}}\nstringData: {{url: \"redis://b\"}}\n---\n"
    );
    let manifest = Manifest::parse(&text).unwrap();
    assert_eq!(manifest.secret("redis", "url"), Some(b"redis://b".as_slice()));
    assert_eq!(manifest.secret("redis", "old"), Some(b"x".as_slice()));
    assert_eq!(manifest.secret("redis", "new"), None);
}

#[test]
fn a_file_holds_exactly_one_room_and_otherwise_secrets() {
    let room = format!("{HEAD}spec: {{}}\n");
    assert_eq!(refused("")[0].message, "the file must hold one ChatRoom, and holds 0");
    assert_eq!(refused(&format!("{room}---\n{room}"))[0].message, "the file must hold one ChatRoom, and holds 2");
    let pod = refused(&format!("{room}---\napiVersion: v1\nkind: Pod\n"));
    assert_eq!(pod[0].message, "the file takes one chatroom.dev/v1alpha1 ChatRoom and v1 Secrets, not a v1 Pod");
    assert!(refused("spec: {}")[0].message.starts_with("every document needs apiVersion and kind"));
}

#[test]
fn what_is_no_yaml_is_refused_with_its_place() {
    assert!(refused("a: [")[0].message.contains("line"), "{:?}", refused("a: ["));
    assert!(refused(&format!("{HEAD}spec: {{}}\nspec: {{}}\n"))[0].message.contains("duplicate"));
}

#[test]
fn what_kubectl_printed_can_be_read_again() {
    let text = "apiVersion: chatroom.dev/v1alpha1\nkind: ChatRoom\nmetadata:\n  name: lobby\n  namespace: chat\n  \
                uid: abc\n  resourceVersion: \"7\"\nspec: {replicas: 1, path: /, webClient: false}\nstatus: {replicas: 1}\n";
    Manifest::parse(text).unwrap();
}
