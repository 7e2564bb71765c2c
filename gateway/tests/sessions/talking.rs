//! Clients that keep the rules hear each other.

use bytes::Bytes;
use chatroom_gateway::membership::Standing;
use chatroom_gateway::message::{self, Kind, RoomMessage};
use chatroom_gateway::session::AdmitError;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::room::{Room, Setup, hear, say, within};

#[tokio::test]
async fn everybody_but_the_sender_hears_a_message_with_the_count() {
    let room = Room::open(Setup { suffix: Some("(===Online people:{online}===)"), ..Setup::default() }).await;
    let (mut anna, mut ben, mut carl) = (room.connect().await, room.connect().await, room.connect().await);
    say(&mut anna, "hello").await;
    assert_eq!(hear(&mut ben).await, "hello(===Online people:3===)");
    assert_eq!(hear(&mut carl).await, "hello(===Online people:3===)");
    say(&mut ben, "hi").await;
    // Anna's own message would have come first.
    assert_eq!(hear(&mut anna).await, "hi(===Online people:3===)");
    assert_eq!((room.metrics.messages_received.get(), room.metrics.bytes_received.get()), (2, 7));
    assert_eq!(room.sessions.count(), 3);
}

#[tokio::test]
async fn messages_of_one_client_stay_in_order_and_whole() {
    let room = Room::open(Setup::default()).await;
    let (mut anna, mut ben) = (room.connect().await, room.connect().await);
    let large = "a".repeat(65_536);
    for number in 0..500 {
        anna.feed(Message::text(format!("{number}"))).await.unwrap();
    }
    anna.send(Message::text(large.clone())).await.unwrap();
    for number in 0..500 {
        assert_eq!(hear(&mut ben).await, format!("{number}"));
    }
    assert_eq!(hear(&mut ben).await, large);
}

#[tokio::test]
async fn a_reader_that_lags_hears_everything_whole_and_in_order_with_pongs_between() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    // Together more than the kernel holds for one socket, and less than the log does.
    let said = |number: usize| format!("{number} {}", "x".repeat(number * 7919 % 80_000));
    for number in 0..300 {
        let payload = Bytes::from(said(number));
        let message = message::Message { from: None, kind: Kind::Text, payload, exclude: None };
        room.hub.deliver(&[RoomMessage { seq: 1, online: 1, message }]);
        if number % 20 == 0 {
            anna.send(Message::Ping("?".into())).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    let (mut heard, mut pongs) = (0, 0);
    while heard < 300 {
        match within(anna.next()).await.unwrap().unwrap() {
            Message::Text(text) => {
                assert!(text.as_str() == said(heard), "message {heard}: {:.20}", text.as_str());
                heard += 1;
            }
            Message::Pong(payload) => {
                assert_eq!(&payload[..], b"?");
                pongs += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    // While it did not read, pongs were coalesced.
    assert!((1..=15).contains(&pongs), "{pongs}");
    assert_eq!(room.metrics.deliveries.get(), 300);
}

#[tokio::test]
async fn a_burst_is_heard_to_its_end_though_nothing_follows_it() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    // Many more batches than a session writes in one turn, and none of them while it does.
    for number in 0..1000 {
        let payload = Bytes::from(number.to_string());
        let message = message::Message { from: None, kind: Kind::Text, payload, exclude: None };
        room.hub.deliver(&[RoomMessage { seq: 1, online: 1, message }]);
    }
    for number in 0..1000 {
        assert_eq!(hear(&mut anna).await, number.to_string());
    }
}

#[tokio::test]
async fn a_message_behind_the_request_is_not_lost() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    let _ben = room.connect_bare(b"\x81\x82\0\0\0\0hi\x81").await;
    assert_eq!(hear(&mut anna).await, "hi");
}

#[tokio::test]
async fn last_words_are_heard() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    let mut ben = room.connect_bare(b"").await;
    ben.write_all(b"\x81\x83\0\0\0\0one\x81\x83\0\0\0\0two").await.unwrap();
    drop(ben);
    assert_eq!(hear(&mut anna).await, "one");
    assert_eq!(hear(&mut anna).await, "two");
}

#[tokio::test]
async fn every_ping_is_answered_with_its_payload() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    for number in 0..10 {
        anna.feed(Message::Ping(format!("are you there {number}").into())).await.unwrap();
    }
    anna.flush().await.unwrap();
    for number in 0..10 {
        let pong = within(anna.next()).await.unwrap().unwrap();
        assert_eq!(pong, Message::Pong(format!("are you there {number}").into()));
    }
}

#[tokio::test]
async fn a_silent_client_is_asked_and_stays_when_it_answers() {
    let room = Room::open(Setup { ping_interval: std::time::Duration::from_millis(50), ..Setup::default() }).await;
    let mut anna = room.connect().await;
    // The answers go out while the next one is waited for.
    for _ in 0..3 {
        assert!(matches!(within(anna.next()).await, Some(Ok(Message::Ping(_)))));
    }
}

#[tokio::test]
async fn an_isolated_gateway_stands_still_and_goes_on_where_it_stopped() {
    let room = Room::open(Setup::default()).await;
    let (mut anna, mut ben) = (room.connect().await, room.connect().await);
    say(&mut anna, "before").await;
    assert_eq!(hear(&mut ben).await, "before");
    room.set_membership(|now| now.standing = Standing::Isolated);
    // Both sessions have to have seen it; one that is not read answers no ping.
    tokio::task::yield_now().await;
    say(&mut anna, "meanwhile").await;
    let quiet = tokio::time::timeout(std::time::Duration::from_millis(200), ben.next()).await;
    assert!(quiet.is_err(), "heard {quiet:?}");
    assert_eq!(room.metrics.messages_received.get(), 1);
    room.set_membership(|now| now.standing = Standing::Leased);
    assert_eq!(hear(&mut ben).await, "meanwhile");
}

#[tokio::test]
async fn an_isolated_gateway_takes_nobody() {
    let room = Room::open(Setup::default()).await;
    drop(room.ticket().await);
    room.set_membership(|now| now.standing = Standing::Isolated);
    assert_eq!(room.ask().await.unwrap_err(), AdmitError::Unavailable);
    room.is_empty().await;
}

#[tokio::test]
async fn a_full_gateway_takes_nobody_until_somebody_goes() {
    let mut setup = Setup::default();
    setup.limits.max_connections_per_pod = 2;
    let room = Room::open(setup).await;
    let (mut anna, _ticket) = (room.connect().await, room.ticket().await);
    assert_eq!(room.ask().await.unwrap_err(), AdmitError::Full);
    anna.close(None).await.unwrap();
    within(async {
        while room.ask().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed_without_being_read() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    room.set_membership(|now| now.standing = Standing::Isolated);
    tokio::task::yield_now().await;
    say(&mut anna, "unread").await;
    drop(anna);
    room.is_empty().await;
    assert_eq!((room.closes(0), room.metrics.messages_received.get()), (1, 0));
}

#[tokio::test]
async fn a_ticket_that_is_not_used_is_given_back() {
    let room = Room::open(Setup::default()).await;
    let ticket = room.ticket().await;
    assert_eq!((room.sessions.count(), room.roster.live()), (1, 1));
    drop(ticket);
    room.is_empty().await;
    assert_eq!(room.metrics.connections_accepted.get(), 0);
}
