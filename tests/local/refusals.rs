//! What cannot be run: exit code 2, and words that say what would be right.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use chatroom_tests::process::Process;
use chatroom_tests::wait::SOON;
use chatroom_tests::{binaries, ports};
use tempfile::TempDir;

use crate::run::sample;

#[tokio::test]
async fn a_bad_manifest_is_refused_with_the_fields_path() {
    let cases = [
        ("spec: {replicas: many}", "spec.replicas"),
        ("spec: {replicas: -1}", "spec.replicas"),
        ("spec: {limits: {maxMessageBytes: 0}}", "spec.limits.maxMessageBytes"),
        ("spec: {limits: {maxMessageByte: 10}}", "maxMessageByte"),
        ("spec: {path: chat}", "spec.path"),
        ("spec: {allowedOrigins: ['https://a.example/path']}", "spec.allowedOrigins"),
        ("spec: {redis: {ephemeral: {}, external: {urlSecretRef: {name: a}}}}", "spec.redis"),
        ("spec: {redis: {external: {}}}", "urlSecretRef"),
        ("spec: {pingIntervalSeconds: 4}", "spec.pingIntervalSeconds"),
        ("spec: {functions: {register: {url: 'http://a'}}}", "dialect"),
        ("spec: {functions: {dialect: Tencent, register: {url: a}}}", "spec.functions.register.url"),
        (
            "spec: {functions: {dialect: Tencent, cleanup: {url: 'http://169.254.169.254'}}}",
            "spec.functions.cleanup.url",
        ),
    ];
    let directory = TempDir::new().unwrap();
    for (spec, expected) in cases {
        let manifest = write(
            &directory,
            &format!("apiVersion: chatroom.dev/v1alpha1\nkind: ChatRoom\nmetadata: {{name: lobby}}\n{spec}\n"),
        );
        refused(&["local", text(&manifest)], &[expected]).await;
    }
}

#[tokio::test]
async fn a_file_that_is_no_room_is_refused() {
    let directory = TempDir::new().unwrap();
    refused(&["local", "/nowhere/room.yaml"], &["/nowhere/room.yaml"]).await;
    for nothing in ["", "just words", "kind: Deployment\napiVersion: apps/v1\n", "a: [1"] {
        refused(&["local", text(&write(&directory, nothing))], &["room.yaml"]).await;
    }
}

#[tokio::test]
async fn a_taken_port_is_named_together_with_the_way_out() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&["local", text(&sample()), "--port", &port], &[&port, "--port"]).await;
}

#[tokio::test]
async fn ports_that_do_not_exist_are_refused() {
    refused(&["local", text(&sample()), "--port", "65534"], &["65535", "--port"]).await;
}

#[tokio::test]
async fn a_url_that_leads_to_no_redis_is_refused_and_not_repeated() {
    let said = refused(&["local", text(&sample()), "--redis", "http://user:s3same@r"], &["--redis", "redis://"]).await;
    assert!(!said.contains("s3same"), "{said}");
}

#[tokio::test]
async fn a_secret_without_the_key_that_the_room_names_is_refused() {
    let directory = TempDir::new().unwrap();
    let manifest = write(
        &directory,
        "apiVersion: chatroom.dev/v1alpha1\nkind: ChatRoom\nmetadata: {name: lobby}\nspec: {redis: {external: {urlSecretRef: \
         {name: theirs}}}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: theirs}\nstringData: {uri: 'redis://r/'}\n",
    );
    refused(&["local", text(&manifest)], &["theirs", "url"]).await;
}

#[tokio::test]
async fn a_secret_that_is_not_push_keys_alone_is_refused_and_not_repeated() {
    let directory = TempDir::new().unwrap();
    let manifest = write(
        &directory,
        "apiVersion: chatroom.dev/v1alpha1\nkind: ChatRoom\nmetadata: {name: lobby}\nspec: {push: {secretName: ours}}\n---\n\
         apiVersion: v1\nkind: Secret\nmetadata: {name: ours}\nstringData: {keys: s3same}\n",
    );
    let said = refused(&["local", text(&manifest)], &["key keys of Secret ours", "16 visible characters"]).await;
    assert!(!said.contains("s3same"), "{said}");
}

#[tokio::test]
async fn a_secret_with_which_functions_cannot_be_called_is_refused_and_not_repeated() {
    let directory = TempDir::new().unwrap();
    for (reference, key, expected) in [
        ("signingSecretRef: {name: ours}", "keys", "each `whsec_` and the base64 of 24 to 64 bytes"),
        ("caSecretRef: {name: ours, key: root.pem}", "root.pem", "certificates of authorities as PEM"),
    ] {
        let manifest = write(
            &directory,
            &format!(
                "apiVersion: chatroom.dev/v1alpha1\nkind: ChatRoom\nmetadata: {{name: lobby}}\nspec: {{functions: {{dialect: \
                 Tencent, register: {{url: 'http://a'}}, {reference}}}}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: \
                 ours}}\nstringData: {{{key}: s3same}}\n"
            ),
        );
        let said = refused(&["local", text(&manifest)], &[&format!("key {key} of Secret ours"), expected]).await;
        assert!(!said.contains("s3same"), "{said}");
    }
}

#[tokio::test]
async fn without_a_gateway_the_tool_says_where_it_looked_and_how_to_build_one() {
    let directory = TempDir::new().unwrap();
    let lonely = directory.path().join("chatroom");
    std::fs::copy(binaries::path(binaries::TOOL), &lonely).unwrap();
    let port = ports::free_block().to_string();
    let said = refused_by(
        Path::new("/usr/bin/env"),
        &["-i", "PATH=/nowhere", text(&lonely), "local", text(&sample()), "--port", &port],
        &["chatroom-gateway", "cargo build", "PATH"],
    )
    .await;
    assert!(said.contains(text(directory.path())), "{said}");
}

async fn refused(words: &[&str], expected: &[&str]) -> String {
    refused_by(&binaries::path(binaries::TOOL), words, expected).await
}

async fn refused_by(program: &Path, words: &[&str], expected: &[&str]) -> String {
    let mut tool = Process::start(program, words);
    let status = tool.ended(SOON).await;
    assert_eq!(status.code(), Some(2), "{words:?}\n{tool}");
    let said = tool.stderr().to_string();
    for part in expected {
        assert!(said.contains(part), "{part:?} is not in what {words:?} said:\n{said}");
    }
    assert!(tool.stdout().all().is_empty(), "{tool}");
    said
}

fn write(directory: &TempDir, manifest: &str) -> PathBuf {
    let path = directory.path().join("room.yaml");
    std::fs::write(&path, manifest).expect("a fresh directory can be written to");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("our paths are text")
}
