//! A room that `chatroom local` runs for a test.

use std::path::{Path, PathBuf};

use chatroom_tests::chat::ChatClient;
use chatroom_tests::process::Process;
use chatroom_tests::wait::SOON;
use chatroom_tests::{binaries, ports, repository};
use serde::Deserialize;

/// What the tool prints when all gateways are ready. Strict: whatever else it prints would be news to those who parse it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Announcement {
    pub(crate) room: String,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) push: Push,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Push {
    pub(crate) keys: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replica {
    pub(crate) url: String,
    #[serde(rename = "pushURL")]
    pub(crate) push_url: String,
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
