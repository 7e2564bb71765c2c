//! What breaks around functions, and what they are told all the same: real gateways, a real Redis, functions that remember each call.

mod drained;
mod frozen;
mod killed;
mod unreachable;
mod without_redis;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use chatroom_tests::chat::ChatClient;
use chatroom_tests::functions::{Function, FunctionServer};
use chatroom_tests::redis_server::{Memory, PASSWORD, RedisServer};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::{http, ports, push};
use futures_util::future::join_all;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::run::LocalRoom;

/// Gateways of the room.
const GATEWAYS: usize = 3;
/// What is due is told within 30 s; this machine may compile beside the test.
const TOLD: Duration = Duration::from_secs(60);
/// What calls are signed with, behind its prefix.
const SIGNING_KEY: &str = "c2lnbmVkIGJ5IHRoZSBnYXRld2F5cyBvZiB0aGlzIHRlc3Q=";
/// Characters of an ID that name the gateway which minted it.
const INCARNATION: usize = 12;

/// A room of three gateways with its functions and its Redis; everything ends with the guard.
struct World {
    room: LocalRoom,
    functions: FunctionServer,
    redis: RedisServer,
    _directory: TempDir,
}

/// A client whose ID is known.
struct Guest {
    client: ChatClient,
    id: String,
    /// The index of its gateway.
    gateway: usize,
}

impl World {
    /// Starts all of it. What somebody says goes through the transport function and the push port of the first gateway to all
    /// others.
    async fn start(memory: Memory, transport_timeout: Duration) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let functions = FunctionServer::start().await;
        let redis = RedisServer::start_with(ports::free_block(), memory).await;
        let manifest = directory.path().join("room.yaml");
        std::fs::write(&manifest, manifest_of(&functions, transport_timeout))
            .expect("a fresh directory can be written to");
        let replicas = GATEWAYS.to_string();
        let room = LocalRoom::start_manifest(&manifest, &["--replicas", &replicas, "--redis", &redis.url()]).await;
        let world = Self { room, functions, redis, _directory: directory };
        world.functions.push_to(&world.push_url());
        world
    }

    /// Where functions push.
    fn push_url(&self) -> String {
        let announced = &self.room.announcement;
        format!("{}/{}", announced.replicas[0].push_url, announced.push.keys[0])
    }

    /// So many clients, one after the other: number `n` at gateway `n % 3`.
    async fn guests(&self, count: usize) -> Vec<Guest> {
        let mut guests = Vec::new();
        for number in 0..count {
            guests.push(self.guest(number % GATEWAYS).await);
        }
        guests
    }

    /// A new client, while nobody else comes.
    async fn guest(&self, gateway: usize) -> Guest {
        let url = &self.room.announcement.replicas[gateway].url;
        let connect = async || ChatClient::try_connect("a guest", url).await;
        let client = until("the gateway lets a client in", SOON, connect).await;
        let id = self.functions.calls_of(Function::Register).pop().expect("the register function was asked").id;
        Guest { client, id, gateway }
    }

    /// Waits until the cleanup function was told of these and no others; answers when it heard of the last one.
    async fn are_cleaned_up(&self, ids: &BTreeSet<String>) -> Instant {
        until("the cleanup function is told of everybody who is gone", TOLD, async || {
            let told = self.functions.ids(Function::Cleanup);
            let unfounded: Vec<_> = told.difference(ids).collect();
            assert!(unfounded.is_empty(), "these are not gone: {unfounded:?}");
            if told == *ids { Ok(()) } else { Err(format!("{} of {}", told.len(), ids.len())) }
        })
        .await;
        self.functions.calls_of(Function::Cleanup).last().expect("there is a first one").at
    }

    /// Says something to everybody through the push port, and answers how many the room counts.
    async fn push(&self, text: &str) -> anyhow::Result<u64> {
        let answer = push::tencent(&self.push_url(), &push::data_send("*", text)).await?;
        let count = serde_json::from_str::<Value>(answer.body())?["count"].as_u64();
        count.filter(|_| answer.status() == 200).ok_or_else(|| anyhow::anyhow!("{answer:?}"))
    }

    /// Waits until the room counts so many.
    async fn counts(&self, online: usize) {
        until("the room counts those who are there", SOON, async || match self.push("how many?").await {
            Ok(counted) if counted == online as u64 => Ok(()),
            other => Err(format!("{other:?} instead of {online}")),
        })
        .await;
    }

    /// The last look: what was called, in which order; and that nobody was told a secret.
    async fn kept_its_promises(&self) {
        self.functions.were_called_in_order();
        for replica in &self.room.announcement.replicas {
            for page in ["metrics", "status"] {
                let url = format!("{}/{page}", replica.internal_url);
                let answer = until("each gateway shows its pages", SOON, async || http::get(&url).await).await;
                assert_eq!(answer.status(), 200, "{url}");
                self.hides_secrets(&url, answer.body());
            }
        }
        self.logs_hide_secrets();
    }

    fn logs_hide_secrets(&self) {
        let logs = self.room.tool.stderr().to_string();
        assert!(logs.matches("gateway started").count() >= GATEWAYS, "these are not the gateways' logs: {logs}");
        self.hides_secrets("a log", &logs);
        // The first line is where the tool hands the push key out.
        let lines = self.room.tool.stdout().all();
        self.hides_secrets("what the tool prints", &lines[1..].join("\n"));
    }

    fn hides_secrets(&self, place: &str, text: &str) {
        for secret in [self.room.announcement.push.keys[0].as_str(), SIGNING_KEY, PASSWORD] {
            assert!(!text.contains(secret), "{secret} stands in {place}:\n{text}");
        }
    }
}

/// IDs of these.
fn ids<'a>(guests: impl IntoIterator<Item = &'a Guest>) -> BTreeSet<String> {
    guests.into_iter().map(|guest| guest.id.clone()).collect()
}

/// All of them say goodbye, and hear it.
async fn leave(guests: impl IntoIterator<Item = Guest>) {
    join_all(guests.into_iter().map(|guest| guest.client.leave())).await;
}

/// Tells how long something took: no promise of this test, but what people want to know.
fn measured(what: &str, begin: Instant, end: Instant) {
    // Not `println!`: the test harness swallows what a passing test prints.
    let _ = writeln!(std::io::stderr(), "measured: {what}: {:.1} s", end.duration_since(begin).as_secs_f64());
}

fn manifest_of(functions: &FunctionServer, transport_timeout: Duration) -> String {
    let [register, transport, cleanup] =
        [Function::Register, Function::Transport, Function::Cleanup].map(|function| functions.url(function));
    let seconds = transport_timeout.as_secs();
    format!(
        "apiVersion: chatroom.dev/v1alpha1
kind: ChatRoom
metadata: {{name: lobby}}
spec:
  logging: {{filter: 'info,chatroom_gateway=debug'}}
  functions:
    dialect: Tencent
    register: {{url: '{register}'}}
    transport: {{url: '{transport}', timeoutSeconds: {seconds}}}
    cleanup: {{url: '{cleanup}'}}
    signingSecretRef: {{name: signing}}
---
apiVersion: v1
kind: Secret
metadata: {{name: signing}}
stringData: {{keys: 'whsec_{SIGNING_KEY}'}}
"
    )
}
