//! What is pushed to one client alone: where it stands between what the room says, and what becomes of one who does not read.

use std::time::Duration;

use bytes::Bytes;
use chatroom_gateway::message::{Kind, Message as Said, RoomMessage};
use chatroom_gateway::protocol::Close;
use chatroom_gateway::session::Sent;
use futures_util::SinkExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::room::{Room, Setup, closed, hear, within};

fn deliver(room: &Room, words: String) {
    let message = Said { from: None, kind: Kind::Text, payload: Bytes::from(words), exclude: None };
    room.hub.deliver(&[RoomMessage { seq: 1, online: 1, message }]);
}

#[tokio::test]
async fn a_push_stands_between_what_was_said_before_it_and_after_it() {
    let room = Room::open(Setup { suffix: Some("!"), ..Setup::default() }).await;
    let mut anna = room.connect().await;
    let id = room.newest();
    let mut ben = room.connect().await;
    // Without a turn for the session in between: it finds all of it at once.
    for number in 0..3 {
        deliver(&room, format!("room {number}"));
        assert_eq!(room.sessions.send(id, Kind::Text, format!("anna {number}").as_bytes()), Sent::Queued);
    }
    deliver(&room, "end".to_owned());
    for number in 0..3 {
        assert_eq!(hear(&mut anna).await, format!("room {number}!"));
        assert_eq!(hear(&mut anna).await, format!("anna {number}"), "as it was pushed");
        assert_eq!(hear(&mut ben).await, format!("room {number}!"));
    }
    assert_eq!((hear(&mut anna).await, hear(&mut ben).await), ("end!".to_owned(), "end!".to_owned()));
}

#[tokio::test]
async fn a_push_wakes_a_client_to_whom_the_room_says_nothing() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    anna.send(Message::Ping("?".into())).await.unwrap();
    assert!(matches!(within(futures_util::StreamExt::next(&mut anna)).await, Some(Ok(Message::Pong(_)))));
    assert_eq!(room.sessions.send(room.newest(), Kind::Binary, b"\x00\xff"), Sent::Queued);
    let heard = within(futures_util::StreamExt::next(&mut anna)).await.unwrap().unwrap();
    assert_eq!(heard, Message::binary(&b"\x00\xff"[..]));
}

#[tokio::test]
async fn a_reader_that_lags_gets_pushes_and_messages_whole_and_in_order() {
    let mut setup = Setup::default();
    setup.limits.max_pending_bytes = 64 << 20;
    setup.limits.max_message_bytes = 1 << 20;
    let room = Room::open(setup).await;
    let mut anna = room.connect().await;
    // Together more than the kernel holds for one socket, in pieces that never end where a write does.
    let words = |number: usize| format!("{number} {}", "x".repeat(number * 7919 % 80_000));
    for number in 0..300 {
        if number % 3 == 0 {
            assert_eq!(room.sessions.send(room.newest(), Kind::Text, words(number).as_bytes()), Sent::Queued);
        } else {
            deliver(&room, words(number));
        }
        if number % 20 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for number in 0..300 {
        let heard = hear(&mut anna).await;
        assert!(heard == words(number), "message {number}: {heard:.20}");
    }
}

#[tokio::test]
async fn what_waits_for_one_client_is_bounded_and_who_reads_it_makes_room() {
    let mut setup = Setup::default();
    setup.limits.max_message_bytes = 1 << 20;
    let room = Room::open(setup).await;
    let mut anna = room.connect().await;
    let id = room.newest();
    let large = "x".repeat(1 << 20);
    let mut queued = 0;
    let last = loop {
        match room.sessions.send(id, Kind::Text, large.as_bytes()) {
            Sent::Queued => queued += 1,
            other => break other,
        }
        // Until the kernel takes no more, and one waits.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(queued < 100);
    };
    assert_eq!(last, Sent::Full);
    assert_eq!(room.sessions.send(id, Kind::Text, &vec![b'x'; (1 << 20) + 1]), Sent::TooLarge);
    for _ in 0..queued {
        assert_eq!(hear(&mut anna).await.len(), large.len());
    }
    assert_eq!(room.sessions.send(id, Kind::Text, b"room again"), Sent::Queued);
    assert_eq!(hear(&mut anna).await, "room again");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_pushes_is_closed_with_4008() {
    let mut setup = Setup::default();
    setup.limits.slow_seconds = 1;
    setup.limits.max_pending_bytes = 64 << 20;
    setup.limits.max_message_bytes = 1 << 20;
    let room = Room::open(setup).await;
    let anna = room.connect_bare(b"").await;
    for _ in 0..10 {
        assert_eq!(room.sessions.send(room.newest(), Kind::Binary, &vec![b'x'; 1 << 20]), Sent::Queued);
    }
    room.is_empty().await;
    assert_eq!(room.closes(4008), 1);
    assert_eq!(room.sessions.send(room.newest(), Kind::Binary, b"x"), Sent::Gone);
    drop(anna);
}

#[tokio::test]
async fn a_pushed_close_comes_behind_what_was_said_and_sent_and_nothing_behind_it() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    let id = room.newest();
    deliver(&room, "hello".to_owned());
    assert_eq!(room.sessions.send(id, Kind::Text, b"goodbye"), Sent::Queued);
    assert!(room.sessions.close(id, Close::asked(Some(4503), "thrown out")));
    assert!(room.sessions.close(id, Close::asked(None, "twice")), "it is closing");
    assert_eq!(room.sessions.send(id, Kind::Text, b"too late"), Sent::Gone);
    deliver(&room, "too late".to_owned());
    assert_eq!((hear(&mut anna).await, hear(&mut anna).await), ("hello".to_owned(), "goodbye".to_owned()));
    assert_eq!(closed(&mut anna).await, (4503, "thrown out".to_owned()));
    room.is_empty().await;
    assert_eq!(room.closes(4000), 1);
    assert!(!room.sessions.close(id, Close::asked(None, "")));
}

#[tokio::test]
async fn a_connection_is_described_as_long_as_it_is_here() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    let id = room.newest();
    let first = room.sessions.describe(id).unwrap();
    assert_eq!(first.details.address, "127.0.0.1");
    assert_eq!(first.last_active_at, first.details.connected_at);
    let active = async {
        while room.sessions.describe(id).unwrap().last_active_at == first.last_active_at {
            anna.send(Message::Ping("?".into())).await.unwrap();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    within(active).await;
    anna.close(None).await.unwrap();
    closed(&mut anna).await;
    room.is_empty().await;
    assert_eq!(room.sessions.describe(id), None);
}
