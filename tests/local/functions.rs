//! Functions behind several gateways: those of `deploy/samples/functions` as a process, with as many clients as they are meant
//! for. What breaks has functions of its own ([`crashes`]), which see each call.

mod crashes;
mod ends;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use chatroom_tests::chat::{ChatClient, Received};
use chatroom_tests::conversation::with_count;
use chatroom_tests::process::Process;
use chatroom_tests::redis_server::is_missing_for;
use chatroom_tests::wait::SOON;
use chatroom_tests::{ports, repository, skipped};
use tempfile::TempDir;

use crate::run::LocalRoom;

/// Clients, at three gateways.
const CLIENTS: usize = 200;
/// So many of them say something.
const SPEAKERS: usize = 10;

#[tokio::test]
async fn two_hundred_clients_hear_once_and_with_the_right_count_what_functions_push_to_each_of_them() {
    if are_missing_for("two_hundred_clients_hear_once_and_with_the_right_count_what_functions_push_to_each_of_them") {
        return;
    }
    let (running, mut clients) = Running::start(&[]).await;
    everybody_hears_everything_once(&mut clients).await;
    running.logged_everybody_and_no_key();
}

#[tokio::test]
async fn two_hundred_clients_hear_once_and_with_the_right_count_what_functions_push_to_all_at_once() {
    if are_missing_for("two_hundred_clients_hear_once_and_with_the_right_count_what_functions_push_to_all_at_once") {
        return;
    }
    let (running, mut clients) = Running::start(&["EVERYBODY=1"]).await;
    everybody_hears_everything_once(&mut clients).await;
    running.logged_everybody_and_no_key();
}

/// Several speak at the same time, and then one alone: whatever came twice or too late would stand before its words.
async fn everybody_hears_everything_once(clients: &mut [ChatClient]) {
    for (index, speaker) in clients.iter_mut().enumerate().take(SPEAKERS) {
        speaker.say(&format!("{index} speaks")).await;
    }
    for (index, client) in clients.iter_mut().enumerate() {
        let others = (0..SPEAKERS).filter(|speaker| *speaker != index);
        let expected: BTreeSet<_> = others.map(|speaker| with_count(&format!("{speaker} speaks"), CLIENTS)).collect();
        let mut heard = BTreeSet::new();
        for _ in 0..expected.len() {
            heard.insert(text_for(client).await);
        }
        assert_eq!(heard, expected, "client {index} hears all others");
    }
    let (last, listeners) = clients.split_last_mut().expect("there are clients");
    last.say("the last word").await;
    for listener in listeners {
        listener.hears(&with_count("the last word", CLIENTS)).await;
    }
}

async fn text_for(client: &mut ChatClient) -> String {
    match client.next().await {
        Received::Text(text) => text,
        other => panic!("{client} received {other:?}"),
    }
}

/// A room of three gateways, and its functions.
struct Running {
    room: LocalRoom,
    functions: Process,
    _directory: TempDir,
}

impl Running {
    /// Starts all of it, with these variables for the functions, and lets everybody in: client `n` at gateway `n % 3`.
    async fn start(variables: &[&str]) -> (Self, Vec<ChatClient>) {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let port = ports::free_block().to_string();
        let room = LocalRoom::start_manifest(&manifest(directory.path(), &port), &["--replicas", "3"]).await;
        let url = format!("url={}/{}", room.announcement.replicas[0].push_url, room.announcement.push.keys[0]);
        let (shim, chat) = (sample("shim.py"), sample("chat.py"));
        let words = ["python3", "-B", path(&shim), "--bind", "127.0.0.1", "--port", &port, path(&chat)];
        let words: Vec<_> = [url.as_str()].into_iter().chain(variables.iter().copied()).chain(words).collect();
        let mut functions = Process::start(Path::new("/usr/bin/env"), &words);
        functions.first_line(SOON).await;
        let mut clients = Vec::new();
        for index in 0..CLIENTS {
            clients.push(room.client(&format!("client {index}"), index % 3).await);
        }
        (Self { room, functions, _directory: directory }, clients)
    }

    /// The functions' log has everybody who came, and no log has the push key.
    fn logged_everybody_and_no_key(&self) {
        let key = &self.room.announcement.push.keys[0];
        for (log, program) in [(self.room.tool.stderr(), "gateways"), (self.functions.stdout(), "functions")] {
            let text = log.all().join("\n");
            assert!(!text.is_empty(), "the log of the {program} was not looked at");
            assert!(!text.contains(key.as_str()), "the key stands in the log of the {program}: {text}");
        }
        assert_eq!(self.told("comes").len(), CLIENTS, "each came under an ID of its own");
    }

    /// The IDs of all that the functions have been told of with this word: `comes` or `goes`.
    fn told(&self, word: &str) -> BTreeSet<String> {
        let lines = self.functions.stdout().all();
        let of = |line: &String| line.split_once(&format!(" {word}, ")).map(|(id, _)| id.to_owned());
        lines.iter().filter_map(of).collect()
    }
}

/// The sample's room, with functions at this port.
fn manifest(directory: &Path, port: &str) -> PathBuf {
    let sample = sample("local.yaml");
    let text = std::fs::read_to_string(&sample).unwrap_or_else(|error| panic!("{}: {error}", sample.display()));
    assert!(text.contains("127.0.0.1:9000/"), "the sample's functions are where this test looks for them");
    let file = directory.join("local.yaml");
    std::fs::write(&file, text.replace("127.0.0.1:9000/", &format!("127.0.0.1:{port}/"))).expect("it can be written");
    file
}

fn sample(file: &str) -> PathBuf {
    repository::root().join("deploy/samples/functions").join(file)
}

fn path(file: &Path) -> &str {
    file.to_str().expect("our paths are text")
}

/// Whether this machine lacks what the sample runs on; then it says so.
fn are_missing_for(test: &str) -> bool {
    let python = std::process::Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if python.is_err() {
        skipped::say(test, "there is no python3 on PATH");
    }
    python.is_err() || is_missing_for(test)
}
