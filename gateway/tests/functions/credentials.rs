//! Signatures, and whose certificates are believed: files that come, change and go.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chatroom_gateway::functions::{NoAnswer, Registered, Told};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::room::{Called, LONG, Room, client, id, message, until};
use crate::support::functions::{Call, FunctionServer, Then, nobody};

const UNREACHABLE: Registered = Registered::Failed { why: NoAnswer::Unreachable, owed: false };
const ACCEPTED: Registered = Registered::Accepted { subprotocol: None };

/// A key of our own; the others differ in the first byte.
fn key(first: u8) -> (String, Vec<u8>) {
    let bytes: Vec<u8> = std::iter::once(first).chain(1..32).collect();
    (format!("whsec_{}", STANDARD.encode(&bytes)), bytes)
}

/// HMAC-SHA256 as RFC 2104 has it, without the library that the gateway uses.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

fn expected(call: &Call, key: &[u8]) -> String {
    let timestamp = call.header("webhook-timestamp").unwrap();
    let text = format!("{}.{timestamp}.{}", call.header("webhook-id").unwrap(), call.text());
    format!("v1,{}", STANDARD.encode(hmac(key, text.as_bytes())))
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn signed(server: &FunctionServer) -> Room {
    let mut room = Room::at(server.address).patiently();
    room.settings.signed = true;
    room
}

async fn register(room: &Called) -> Registered {
    timeout(LONG, room.functions.register(&client())).await.unwrap()
}

#[tokio::test]
async fn every_call_is_signed_with_the_first_two_keys() {
    let directory = TempDir::new().unwrap();
    let (one, two, three) = (key(1), key(2), key(3));
    write(directory.path(), "signing/keys", &format!("{}\n\n {} \n{}\n", one.0, two.0, three.0));
    let server = FunctionServer::always(Then::accept());
    let room = signed(&server).open_with(directory.path());
    assert_eq!(register(&room).await, ACCEPTED);
    room.functions.transport(id(1), &message("hällo")).await.unwrap();
    assert_eq!(room.functions.cleanup(id(1)).await, Told::Done);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for call in server.calls() {
        let signatures = format!("{} {}", expected(&call, &one.1), expected(&call, &two.1));
        assert_eq!(call.header("webhook-signature"), Some(signatures.as_str()));
        let timestamp: u64 = call.header("webhook-timestamp").unwrap().parse().unwrap();
        assert!((now - 60..=now).contains(&timestamp));
    }
    assert_eq!(server.calls().len(), 3);
    assert!(room.functions.missing().is_empty() && room.functions.refused().is_empty());
}

#[tokio::test]
async fn without_a_good_key_nothing_is_called() {
    let directory = TempDir::new().unwrap();
    let server = FunctionServer::always(Then::accept());
    let mut room = signed(&server);
    room.settings.transport.as_mut().unwrap().timeout_seconds = 1;
    let room = room.open_with(directory.path());
    assert_eq!(room.functions.missing(), ["signing/keys"]);
    assert_eq!(register(&room).await, UNREACHABLE);
    assert!(room.functions.transport(id(1), &message("hello")).await.is_err());
    let Told::Failed { answered: false, why, .. } = room.functions.cleanup(id(1)).await else { panic!("it was told") };
    assert!(why.contains("no signing key"), "{why}");
    assert_eq!(room.count("register", "no_key"), 1);

    write(directory.path(), "signing/keys", "whsec_AAAA\n");
    until("refused", || room.functions.refused() == ["signing/keys"]).await;
    assert!(room.functions.missing().is_empty());
    assert_eq!(register(&room).await, UNREACHABLE);
    assert!(server.calls().is_empty());
    assert!(!room.is_open("register"), "a missing key is no fault of the function");
}

#[tokio::test]
async fn a_message_waits_for_its_key_and_new_keys_are_taken_over() {
    let directory = TempDir::new().unwrap();
    let server = FunctionServer::always(Then::accept());
    let room = signed(&server).open_with(directory.path());
    let functions = room.functions.clone();
    let waiting = tokio::spawn(async move { functions.transport(id(1), &message("hello")).await });
    let (one, two) = (key(1), key(2));
    write(directory.path(), "signing/keys", &one.0);
    assert_eq!(timeout(LONG, waiting).await.unwrap().unwrap(), Ok(()));
    assert_eq!(server.calls()[0].header("webhook-signature").unwrap(), expected(&server.calls()[0], &one.1));

    write(directory.path(), "signing/keys", &format!("{}\nnonsense\n", two.0));
    until("taken over", || room.functions.refused() == ["signing/keys"]).await;
    assert_eq!(room.functions.cleanup(id(1)).await, Told::Done);
    assert_eq!(server.calls()[1].header("webhook-signature").unwrap(), expected(&server.calls()[1], &two.1));

    fs::remove_file(directory.path().join("signing/keys")).unwrap();
    until("missed", || room.functions.missing() == ["signing/keys"]).await;
    assert_eq!(register(&room).await, UNREACHABLE);
}

/// An authority and a server that it vouches for.
struct Authority {
    pem: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pem =
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(issuer.der()));
        Self { pem, issuer }
    }

    fn server(&self) -> FunctionServer {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        FunctionServer::start_tls(TlsAcceptor::from(Arc::new(config)), |_| Then::accept())
    }
}

fn with_own_roots(server: &FunctionServer) -> Room {
    let mut room = Room::at(nobody()).patiently();
    room.settings.own_roots = true;
    room.settings.register.as_mut().unwrap().url = format!("https://localhost:{}/", server.address.port());
    room
}

#[tokio::test]
async fn a_server_is_believed_by_the_rooms_own_roots_alone_and_they_are_followed() {
    let directory = TempDir::new().unwrap();
    let (ours, foreign) = (Authority::new(), Authority::new());
    let server = ours.server();
    let room = with_own_roots(&server).open_with(directory.path());
    assert_eq!(room.functions.missing(), ["ca/ca.crt"]);
    assert_eq!(register(&room).await, UNREACHABLE);

    write(directory.path(), "ca/ca.crt", &foreign.pem);
    until("there", || room.functions.missing().is_empty()).await;
    assert_eq!(register(&room).await, UNREACHABLE);
    assert!(server.calls().is_empty());

    write(directory.path(), "ca/ca.crt", &format!("{}{}", foreign.pem, ours.pem));
    let believed = timeout(LONG, async {
        while register(&room).await != ACCEPTED {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    believed.await.expect("the new roots are taken over");

    for bad in
        ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----"]
    {
        write(directory.path(), "ca/ca.crt", bad);
        until("refused", || room.functions.refused() == ["ca/ca.crt"]).await;
        assert_eq!(register(&room).await, ACCEPTED, "{bad}");
        write(directory.path(), "ca/ca.crt", &ours.pem);
        until("good again", || room.functions.refused().is_empty()).await;
    }
    fs::remove_file(directory.path().join("ca/ca.crt")).unwrap();
    until("missed", || room.functions.missing() == ["ca/ca.crt"]).await;
    assert_eq!(register(&room).await, UNREACHABLE);
}

#[tokio::test]
async fn a_server_with_another_name_is_not_believed() {
    let directory = TempDir::new().unwrap();
    let ours = Authority::new();
    write(directory.path(), "ca/ca.crt", &ours.pem);
    let server = ours.server();
    let mut room = with_own_roots(&server);
    room.settings.register.as_mut().unwrap().url = format!("https://127.0.0.1:{}/", server.address.port());
    assert_eq!(register(&room.open_with(directory.path())).await, UNREACHABLE);
    assert!(server.calls().is_empty());
}
