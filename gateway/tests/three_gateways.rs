//! Three gateways of one room: everybody hears everything, in one order, with the exact count.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and a line is for its reader"
)]

mod support;

use std::sync::Arc;

use chatroom_gateway::backplane::Backplane;
use chatroom_gateway::backplane::memory::Memory;
use support::gateway::Gateway;

/// Everybody speaks at once while people come and go; then all must have heard the same.
async fn one_order(backplanes: [Arc<dyn Backplane>; 3]) {
    let mut gateways = Vec::new();
    for backplane in backplanes {
        gateways.push(Gateway::start(backplane).await);
    }
    let mut speakers = Vec::new();
    for gateway in &gateways {
        speakers.push((gateway, gateway.connect().await, gateway.connect().await));
    }
    let rounds = speakers.iter().enumerate().map(|(number, (gateway, first, second))| async move {
        let mut last = 0;
        for round in 0..100 {
            let (a, b) = (format!("{number}-a-{round}"), format!("{number}-b-{round}"));
            let (a, b) = tokio::join!(gateway.say(*first, &a), gateway.say(*second, &b));
            assert!(a > last && b > last, "a later message stands behind an earlier one of its connection");
            last = a.max(b);
        }
    });
    futures_util::future::join_all(rounds).await;
    // The count in each message is the one of its place: six while all are there, five after one left.
    let (gateway, leaving, staying) = speakers.remove(0);
    gateway.joined.roster.end(leaving, false);
    assert_eq!(gateway.joined.roster.flush(std::time::Instant::now() + std::time::Duration::from_secs(10)).await, 0);
    gateway.say(staying, "five").await;

    let expected = gateways[0].heard.at_least(601).await;
    for gateway in &gateways {
        let heard = gateway.heard.at_least(601).await;
        assert_eq!(heard, expected);
        assert_eq!(gateway.heard.lost(), 0);
    }
    let numbers: Vec<u64> = expected.iter().map(|message| message.seq).collect();
    assert_eq!(numbers, (1..=601).collect::<Vec<u64>>());
    assert!(expected[..600].iter().all(|message| message.online == 6));
    assert_eq!(expected[600].online, 5);
    for gateway in gateways {
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_everybody_hears_everything_in_one_order() {
    let room = Memory::new();
    one_order([(); 3].map(|()| Arc::new(room.clone()) as Arc<dyn Backplane>)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_redis_everybody_hears_everything_in_one_order() {
    let Some(server) = support::redis::Server::start(&[]) else { return };
    one_order([(); 3].map(|()| server.backplane("order"))).await;
}
