//! The commands for people, as they are run beside a gateway.

use std::process::Command;
use std::time::Duration;

use chatroom_gateway::backplane::Backplane;
use chatroom_gateway::backplane::cleanups::{Claiming, Settlement};
use chatroom_gateway::id::ConnectionId;
use tempfile::TempDir;

use super::port::{Function, Gateway, TIMEOUT, silent};
use super::support::redis::{Server, prefix};

/// A folder with the settings of a gateway.
fn settings(backplane: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    let cold = format!(
        "{{room: {{name: lobby, namespace: default, uid: u}}, path: /, webClient: false, broadcast: {{excludeSender: true}}, \
         pingIntervalSeconds: 25, backplane: {backplane}, drain: {{timeoutSeconds: 30}}, logFormat: JSON}}"
    );
    std::fs::write(directory.path().join("cold.yaml"), cold).unwrap();
    directory
}

/// Exit code, standard output, standard error.
fn run(directory: &TempDir, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_chatroom-gateway"))
        .arg("--cold-file")
        .arg(directory.path().join("cold.yaml"))
        .arg("--redis-directory")
        .arg(directory.path())
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn bury(backplane: &dyn Backplane, gateway: &Gateway) -> Vec<ConnectionId> {
    let ids = gateway.end(3).await;
    let claiming = Claiming { at_most: 3, hidden_for: TIMEOUT, early: true };
    let mut buried = 0;
    while buried < 3 {
        for claim in backplane.claim(claiming).await.unwrap().events {
            backplane.settle(vec![claim.settled(Settlement::Bury("it answered 500".into()))]).await.unwrap();
            buried += 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dead_are_listed_and_brought_back_one_or_all() {
    let Some(mut server) = Server::start(&[]) else { return };
    let backplane = server.backplane("dead");
    backplane.connect().await.unwrap();
    let gateway = Gateway::start(&backplane, &Function::always(silent())).await;
    // It leaves the ends to the test.
    gateway.host.leaseless.store(true, std::sync::atomic::Ordering::SeqCst);
    let ids = bury(&*backplane, &gateway).await;
    let directory = settings(&format!("{{type: Redis, keyPrefix: \"{}\"}}", prefix("dead")));
    std::fs::write(directory.path().join("url"), format!("redis://127.0.0.1:{}", server.port)).unwrap();

    let (code, said, error) = run(&directory, &["dead", "list"]);
    assert_eq!(code, 0, "{error}");
    for id in &ids {
        let line = said.lines().find(|line| line.starts_with(id.as_str())).unwrap_or_else(|| panic!("{id}: {said}"));
        assert!(line.contains("1 tries in 0 s") && line.contains("it answered 500"), "{line}");
    }
    assert_eq!(said.lines().last(), Some("3 ends given up"));

    let (code, said, error) = run(&directory, &["dead", "replay", ids[1].as_str()]);
    assert_eq!((code, said), (0, format!("{}  due now\n1 end brought back\n", ids[1])), "{error}");
    let (code, said, error) = run(&directory, &["dead", "replay", ids[1].as_str(), ids[0].as_str()]);
    assert_eq!((code, said), (1, format!("{}  due now\n1 end brought back\n", ids[0])));
    assert!(error.contains("1 of the IDs are not among the dead"), "{error}");
    let (code, said, _) = run(&directory, &["dead", "replay"]);
    assert_eq!((code, said), (0, format!("{}  due now\n1 end brought back\n", ids[2])));
    assert_eq!(run(&directory, &["dead", "list"]).1, "0 ends given up\n");
    assert_eq!(gateway.counts().await.waiting, 3);

    server.kill();
    let (code, _, error) = run(&directory, &["dead", "list"]);
    assert_eq!(code, 1);
    assert!(error.contains("failed to reach the room's Redis"), "{error}");
}

#[test]
fn a_room_in_memory_has_nothing_to_look_after_from_outside() {
    let (code, said, error) = run(&settings("{type: Memory}"), &["dead", "replay"]);
    assert_eq!((code, said.as_str()), (2, ""));
    assert!(error.contains("cold.yaml: backplane: ") && error.contains("nothing to list or to bring back"), "{error}");
}

#[test]
fn what_is_no_id_and_no_file_is_bad_input() {
    let directory = settings("{type: Memory}");
    assert_eq!(run(&directory, &["dead", "replay", "somebody"]).0, 2);
    std::fs::remove_file(directory.path().join("cold.yaml")).unwrap();
    let (code, _, error) = run(&directory, &["dead", "list"]);
    assert_eq!(code, 2);
    assert!(error.contains("cold.yaml"), "{error}");
}
