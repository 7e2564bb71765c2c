//! A room that `chatroom local` runs for a test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chatroom_tests::chat::{ChatClient, Received};
use chatroom_tests::process::Process;
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::{binaries, ports, repository};
use serde::Deserialize;

/// What the tool prints when all gateways are ready. Strict: whatever else it prints would be news to those who parse it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Announcement {
    pub(crate) room: String,
    pub(crate) replicas: Vec<Replica>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replica {
    pub(crate) url: String,
    #[serde(rename = "internalURL")]
    pub(crate) internal_url: String,
    pub(crate) pid: u32,
}

/// A running room; everything of it ends with its guard.
pub(crate) struct LocalRoom {
    pub(crate) tool: Process,
    pub(crate) announcement: Announcement,
    pub(crate) port: u16,
}

impl LocalRoom {
    /// Starts the sample room with further arguments and waits until it is ready.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::start_manifest(&sample(), arguments).await
    }

    /// Starts the room of a manifest.
    pub(crate) async fn start_manifest(manifest: &Path, arguments: &[&str]) -> Self {
        let port = ports::free_block();
        let port_text = port.to_string();
        let manifest = manifest.to_str().expect("our paths are text");
        let words: Vec<_> = ["local", manifest, "--output", "json", "--port", &port_text]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let mut tool = Process::start(&binaries::path(binaries::TOOL), &words);
        let line = tool.first_line(SOON).await;
        let announcement = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}\n{tool}"));
        Self { tool, announcement, port }
    }

    /// A new client of replica `index`.
    pub(crate) async fn client(&self, name: &str, index: usize) -> ChatClient {
        ChatClient::connect(name, &self.announcement.replicas[index].url).await
    }
}

/// The sample room of the README.
pub(crate) fn sample() -> PathBuf {
    repository::root().join("deploy/samples/lobby.yaml")
}

/// What the sample room makes of a text while `online` people are in it.
pub(crate) fn with_count(text: &str, online: usize) -> String {
    format!("{text}(===Online people:{online}===)")
}

/// Lets `speaker` say something until `listener` hears it with this count.
pub(crate) async fn count_becomes(
    online: usize,
    speaker: &mut ChatClient,
    listener: &mut ChatClient,
    deadline: Duration,
) {
    let mut round = 0;
    until(&format!("{online} people are counted"), deadline, async || {
        round += 1;
        let text = format!("count {online}, {round}");
        speaker.say(&text).await;
        let expected = with_count(&text, online);
        // A message may be late, or may have been swallowed by the fault under test: then the next round is asked.
        while let Some(received) = listener.next_within(Duration::from_secs(1)).await {
            match received {
                Received::Text(heard) if heard == expected => return Ok(()),
                Received::Text(heard) if heard.starts_with(&format!("{text}(")) => return Err(heard),
                Received::Text(_) | Received::Binary(_) => {}
                Received::Closed(code) => panic!("{listener} was closed with {code:?}"),
            }
        }
        Err(format!("nothing of {text:?}"))
    })
    .await;
}
