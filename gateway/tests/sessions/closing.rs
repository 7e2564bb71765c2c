//! Every way to be closed, as the client sees it.

use std::time::Duration;

use bytes::Bytes;
use chatroom_gateway::id::Incarnation;
use chatroom_gateway::message::{Kind, Message as Said, RoomMessage};
use futures_util::SinkExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::room::{Room, Setup, closed, say, within};

/// What a bare client gets until its stream ends, and whether it ended with a reset.
async fn remains(client: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let is_reset = within(client.read_to_end(&mut bytes)).await.is_err();
    (bytes, is_reset)
}

/// The close code of a bare client, whose stream then ends in good order and without being asked to.
async fn code(client: &mut TcpStream) -> u16 {
    let mut frame = [0; 4];
    within(client.read_exact(&mut frame)).await.unwrap();
    assert_eq!(frame[0], 0x88, "{frame:?}");
    let (reason, is_reset) = remains(client).await;
    assert_eq!((reason.len(), is_reset), (usize::from(frame[1]) - 2, false));
    u16::from_be_bytes([frame[2], frame[3]])
}

fn room_message(bytes: usize) -> RoomMessage {
    let payload = Bytes::from(vec![b'x'; bytes]);
    RoomMessage { seq: 1, online: 1, message: Said { from: None, kind: Kind::Binary, payload, exclude: None } }
}

#[tokio::test]
async fn a_client_that_says_goodbye_gets_its_code_back() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    anna.close(Some(CloseFrame { code: 1000.into(), reason: "done".into() })).await.unwrap();
    assert_eq!(closed(&mut anna).await, (1000, String::new()));
    room.is_empty().await;
    assert_eq!(room.closes(1000), 1);
}

#[tokio::test]
async fn a_client_that_says_goodbye_without_a_code_gets_none() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    anna.close(None).await.unwrap();
    assert_eq!(closed(&mut anna).await, (1005, String::new()));
    room.is_empty().await;
}

#[tokio::test]
async fn a_client_that_only_hangs_up_is_gone() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect_bare(b"").await;
    anna.shutdown().await.unwrap();
    assert_eq!(remains(&mut anna).await, (Vec::new(), false));
    room.is_empty().await;
    assert_eq!(room.closes(0), 1);
}

#[tokio::test]
async fn an_idle_client_is_closed_with_1001() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    room.set_limits(|limits| limits.idle_timeout_seconds = Some(0));
    assert_eq!(closed(&mut anna).await, (1001, "idle for too long".to_owned()));
    room.is_empty().await;
    assert_eq!(room.closes(1001), 1);
}

#[tokio::test]
async fn an_old_connection_is_closed_with_1001() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    room.set_limits(|limits| limits.max_connection_age_seconds = Some(0));
    assert_eq!(closed(&mut anna).await, (1001, "maximum age reached, please reconnect".to_owned()));
}

#[tokio::test]
async fn broken_framing_is_closed_with_1002() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect_bare(b"").await;
    // Not masked, and a lot of bytes that mean nothing behind it.
    anna.write_all(b"\x81\x02hi").await.unwrap();
    anna.write_all(&[0xFF; 1000]).await.unwrap();
    assert_eq!(code(&mut anna).await, 1002);
    drop(anna);
    room.is_empty().await;
    assert_eq!(room.closes(1002), 1);
}

#[tokio::test]
async fn text_that_is_not_utf8_is_closed_with_1007() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect_bare(b"").await;
    anna.write_all(b"\x81\x82\0\0\0\0\xED\xA0").await.unwrap();
    assert_eq!(code(&mut anna).await, 1007);
}

#[tokio::test]
async fn a_flood_of_pings_is_closed_with_1008() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect_bare(b"").await;
    anna.write_all(&b"\x89\x80\0\0\0\0".repeat(1000)).await.unwrap();
    let (bytes, _) = remains(&mut anna).await;
    let close = bytes.iter().position(|byte| *byte == 0x88).unwrap();
    assert_eq!(&bytes[close + 2..close + 4], &1008_u16.to_be_bytes());
    // Pongs are coalesced: there cannot be more than pings that were let through.
    assert!(close <= 2 * 20, "{close}");
    drop(anna);
    room.is_empty().await;
}

#[tokio::test]
async fn a_flood_without_end_is_cut() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect_bare(b"").await;
    let flood = b"\x00\x80\0\0\0\0".repeat(1000);
    anna.write_all(b"\x01\x80\0\0\0\0").await.unwrap();
    // Never reads, never stops: until the stream breaks under it.
    within(async { while anna.write_all(&flood).await.is_ok() {} }).await;
    room.is_empty().await;
    assert_eq!(room.closes(1008), 1);
}

#[tokio::test]
async fn a_message_over_the_limit_is_closed_with_1009() {
    let mut setup = Setup::default();
    setup.limits.max_message_bytes = 10;
    let room = Room::open(setup).await;
    let mut anna = room.connect().await;
    say(&mut anna, "x".repeat(11).as_str()).await;
    assert_eq!(closed(&mut anna).await, (1009, "message larger than 10 bytes".to_owned()));
}

#[tokio::test]
async fn a_drain_closes_everybody_with_1012_and_lets_nobody_in() {
    let room = Room::open(Setup::default()).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(room.connect().await);
    }
    let ticket = room.ticket().await;
    let drained = room.sessions.drain(Duration::from_millis(50));
    let told = async {
        drop(ticket);
        for client in &mut clients {
            assert_eq!(closed(client).await, (1012, "gateway restarts, please reconnect".to_owned()));
        }
    };
    within(async { tokio::join!(drained, told) }).await;
    assert_eq!((room.closes(1012), room.roster.live(), room.sessions.count()), (5, 0, 0));
}

#[tokio::test]
async fn a_session_that_begins_during_a_drain_is_closed_at_once() {
    let room = Room::open(Setup::default()).await;
    let ticket = room.ticket().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    let accepted = listener.accept().await.unwrap().0;
    let begun = async {
        tokio::task::yield_now().await;
        room.sessions.start(ticket, accepted, Bytes::new());
        assert_eq!(closed(&mut client).await.0, 1012);
    };
    within(async { tokio::join!(room.sessions.drain(Duration::ZERO), begun) }).await;
}

#[tokio::test]
async fn clients_of_a_former_incarnation_are_closed_with_1012() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    room.set_membership(|now| now.incarnation = Incarnation::random());
    assert_eq!(closed(&mut anna).await.0, 1012);
    room.is_empty().await;
}

#[tokio::test]
async fn a_message_that_the_room_does_not_take_is_closed_with_1013() {
    let room = Room::open(Setup { is_stuck: true, ..Setup::default() }).await;
    let mut anna = room.connect().await;
    say(&mut anna, "hello").await;
    within(async {
        while room.metrics.messages_received.get() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    assert_eq!(closed(&mut anna).await, (1013, "the room is unavailable, try again later".to_owned()));
}

#[tokio::test]
async fn a_reader_that_falls_out_of_the_log_is_closed_with_4008_behind_what_was_half_sent() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect_bare(b"").await;
    let mut ben = room.connect().await;
    // More than the kernel holds for one socket, and more than the log holds.
    for _ in 0..80 {
        room.hub.deliver(&[room_message(1 << 20)]);
        while let Ok(Some(_)) =
            tokio::time::timeout(Duration::from_millis(20), futures_util::StreamExt::next(&mut ben)).await
        {}
    }
    let (bytes, _) = remains(&mut anna).await;
    assert!(bytes.len() > 1 << 20, "the kernel took more than one frame: {}", bytes.len());
    let frame = 10 + (1 << 20);
    let last = bytes.len() % frame;
    assert_eq!(&bytes[bytes.len() - last..][..4], &[0x88, 20, 0x0F, 0xA8], "the close frame follows a whole frame");
    drop(anna);
    within(async {
        while room.closes(4008) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Whoever reads is not disturbed.
    assert_eq!(room.sessions.count(), 1);
}

#[tokio::test]
async fn a_reader_that_lags_too_long_is_closed_with_4008_and_reset_when_it_never_reads() {
    let mut setup = Setup::default();
    setup.limits.slow_seconds = 1;
    let room = Room::open(setup).await;
    let mut anna = room.connect_bare(b"").await;
    for _ in 0..10 {
        room.hub.deliver(&[room_message(1 << 20)]);
    }
    room.is_empty().await;
    assert_eq!(room.closes(4008), 1);
    let (_, is_reset) = remains(&mut anna).await;
    assert!(is_reset);
}

#[tokio::test]
async fn a_lost_position_is_closed_with_4010() {
    let room = Room::open(Setup::default()).await;
    let mut anna = room.connect().await;
    room.hub.lose_position();
    assert_eq!(closed(&mut anna).await, (4010, "messages were missed, please reconnect".to_owned()));
    // Who comes after it has nothing to miss.
    let mut ben = room.connect().await;
    ben.send(Message::Ping("?".into())).await.unwrap();
    assert!(matches!(within(futures_util::StreamExt::next(&mut ben)).await, Some(Ok(Message::Pong(_)))));
}

#[tokio::test]
async fn a_client_that_does_not_answer_the_close_is_cut_after_five_seconds() {
    let room = Room::open(Setup::default()).await;
    let anna = room.connect_bare(b"").await;
    room.hub.lose_position();
    within(async {
        while room.closes(4010) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // It does not belong to the room any more, but it is still held.
    assert_eq!((room.roster.live(), room.sessions.count()), (0, 1));
    room.is_empty().await;
    drop(anna);
}

#[tokio::test]
async fn a_silent_client_is_cut_without_a_word() {
    let room = Room::open(Setup { ping_interval: Duration::from_millis(20), ..Setup::default() }).await;
    let mut anna = room.connect_bare(b"").await;
    let mut ping = [0; 2];
    within(anna.read_exact(&mut ping)).await.unwrap();
    assert_eq!(ping, [0x89, 0]);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    room.is_empty().await;
    assert_eq!(room.closes(0), 1);
    assert!(remains(&mut anna).await.1, "it is reset");
}
