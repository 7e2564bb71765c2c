//! How a run ends: by a signal, and when the tool itself is killed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use chatroom_tests::process::{Process, descendants, is_running, send};
use chatroom_tests::redis_server::is_missing_for;
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::{binaries, ports};
use nix::sys::signal::Signal;

use crate::run::{LocalRoom, sample};

#[tokio::test]
async fn a_signal_lets_the_clients_go_and_ends_everything() {
    if is_missing_for("a_signal_lets_the_clients_go_and_ends_everything") {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut room = LocalRoom::start(&["--replicas", "3"]).await;
        let mut ann = room.client("ann", 0).await;
        let mut bob = room.client("bob", 2).await;
        let children = descendants(room.tool.pid());
        // Three gateways, the keeper of Redis, Redis.
        assert_eq!(children.len(), 5, "{}", room.tool);
        let directory = run_directory(room.announcement.replicas[0].pid);

        room.tool.signal(signal);
        ann.is_closed_with(1012).await;
        bob.is_closed_with(1012).await;
        let status = room.tool.ended(SOON).await;
        assert_eq!(status.code(), Some(0), "{}", room.tool);
        nobody_runs(&children).await;
        assert!(!directory.exists(), "{}", directory.display());
    }
}

#[tokio::test]
async fn a_killed_tool_leaves_no_child_and_no_file() {
    if is_missing_for("a_killed_tool_leaves_no_child_and_no_file") {
        return;
    }
    let mut room = LocalRoom::start(&["--replicas", "2"]).await;
    let _ann = room.client("ann", 0).await;
    let children = descendants(room.tool.pid());
    assert_eq!(children.len(), 4, "{}", room.tool);
    let directory = run_directory(room.announcement.replicas[0].pid);
    room.tool.signal(Signal::SIGKILL);
    room.tool.ended(SOON).await;
    nobody_runs(&children).await;
    assert!(!directory.exists(), "{}", directory.display());
}

#[tokio::test]
async fn a_killed_tool_without_redis_leaves_no_child_and_no_file_either() {
    let mut room = LocalRoom::start(&[]).await;
    let children = descendants(room.tool.pid());
    // The gateway and the keeper of its files.
    assert_eq!(children.len(), 2, "{}", room.tool);
    let directory = run_directory(room.announcement.replicas[0].pid);
    room.tool.signal(Signal::SIGKILL);
    room.tool.ended(SOON).await;
    nobody_runs(&children).await;
    assert!(!directory.exists(), "{}", directory.display());
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_a_gateway_that_hangs() {
    let mut room = LocalRoom::start(&[]).await;
    let gateway = room.announcement.replicas[0].pid;
    send(gateway, Signal::SIGSTOP);
    // Signals that come before it has stopped would still be taken, the later one first.
    status_of(gateway, "State:", |state| state.starts_with('T')).await;
    room.tool.signal(Signal::SIGTERM);
    // The next signal is a second one only when the first was taken: then the gateway has its own one waiting.
    let terminate = 1 << (Signal::SIGTERM as u64 - 1);
    status_of(gateway, "ShdPnd:", |mask| u64::from_str_radix(mask, 16).is_ok_and(|mask| mask & terminate != 0)).await;
    room.tool.signal(Signal::SIGTERM);
    assert_eq!(room.tool.ended(SOON).await.code(), Some(0), "{}", room.tool);
    nobody_runs(&[gateway]).await;
}

#[tokio::test]
async fn a_tool_that_waits_for_redis_ends_at_a_signal() {
    let nobody = format!("redis://127.0.0.1:{}/", ports::free_block());
    let port = ports::free_block().to_string();
    let manifest = sample();
    let words = ["local", manifest.to_str().unwrap(), "--port", &port, "--redis", &nobody];
    let mut tool = Process::start(&binaries::path(binaries::TOOL), &words);
    until("the tool says what it waits for", SOON, async || {
        let told = tool.stderr().to_string();
        if told.contains("is not ready") { Ok(()) } else { Err(told) }
    })
    .await;
    assert!(tool.stdout().all().is_empty(), "nothing is ready: {tool}");
    tool.signal(Signal::SIGTERM);
    assert_eq!(tool.ended(SOON).await.code(), Some(0), "{tool}");
}

#[tokio::test]
async fn no_credential_stands_where_others_can_read_it() {
    if is_missing_for("no_credential_stands_where_others_can_read_it") {
        return;
    }
    let room = LocalRoom::start(&["--replicas", "2"]).await;
    let directory = run_directory(room.announcement.replicas[0].pid);
    assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    let url = std::fs::read_to_string(directory.join("redis/url")).unwrap();
    let password = url.split([':', '@']).nth(2).unwrap();
    assert!(password.len() >= 20, "{url}");
    for child in descendants(room.tool.pid()) {
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{child}/{file}")).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(password), "{file} of {child}");
        }
    }
}

/// The private directory of a run, from the command line of one of its gateways.
fn run_directory(gateway: u32) -> PathBuf {
    let bytes = std::fs::read(format!("/proc/{gateway}/cmdline")).expect("a running process has a command line");
    let words: Vec<_> = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let at = words.iter().position(|word| word == "--cold-file").expect("a gateway is told its files");
    PathBuf::from(&words[at + 1]).parent().and_then(|cold| cold.parent()).expect("cold/cold.yaml").to_owned()
}

/// Waits until a line of a process' status is as wanted.
async fn status_of(pid: u32, name: &str, wanted: impl Fn(&str) -> bool) {
    until(&format!("{name} of {pid} is as wanted"), SOON, async || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| error.to_string())?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        if wanted(value) { Ok(()) } else { Err(value.to_owned()) }
    })
    .await;
}

async fn nobody_runs(children: &[u32]) {
    until("no child runs", SOON, async || {
        let left: Vec<_> = children.iter().filter(|child| is_running(**child)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}
