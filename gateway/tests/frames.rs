//! What bytes can do to the frame decoder, and whether another implementation understands the frames of ours.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report, also in what tests share")]

use std::io::{self, Cursor, Read, Write};

use bytes::Bytes;
use chatroom_gateway::id::{ConnectionId, Incarnation};
use chatroom_gateway::message::{Kind, Message, RoomMessage};
use chatroom_gateway::protocol::batch::Builder;
use chatroom_gateway::protocol::{Close, Decoder, Event, Raw, Run, Violation};
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message as Theirs};

const LIMIT: u32 = 100_000;

type Told = (Vec<Event>, Option<Violation>);

/// Everything the decoder says to these bytes when they come in pieces of these sizes, over and over.
fn decode(bytes: &[u8], pieces: &[usize]) -> Told {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    let mut rest = bytes;
    for piece in pieces.iter().cycle() {
        let (mut input, later) = rest.split_at((*piece).clamp(1, rest.len().max(1)).min(rest.len()));
        rest = later;
        loop {
            match decoder.next(&mut input, LIMIT) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(violation) => return (events, Some(violation)),
            }
        }
        assert!(input.is_empty(), "nothing may be left over when more is asked for");
        if rest.is_empty() {
            return (events, None);
        }
    }
    unreachable!("pieces come over and over")
}

/// A client of tungstenite that writes into memory.
fn client_bytes(messages: &[Theirs]) -> Vec<u8> {
    let config = WebSocketConfig::default().write_buffer_size(0).max_write_buffer_size(usize::MAX);
    let mut client = WebSocket::from_raw_socket(Cursor::new(Vec::new()), Role::Client, Some(config));
    for message in messages {
        client.send(message.clone()).unwrap();
    }
    client.get_ref().get_ref().clone()
}

/// Reads these bytes and takes whatever is answered.
struct Server(Cursor<Vec<u8>>);

impl Read for Server {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Server {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a client of tungstenite reads from these bytes.
fn client_reads(bytes: Vec<u8>) -> Vec<Theirs> {
    let mut client = WebSocket::from_raw_socket(Server(Cursor::new(bytes)), Role::Client, None);
    let mut read = Vec::new();
    loop {
        match client.read() {
            Ok(message) => read.push(message),
            Err(tungstenite::Error::Protocol(_) | tungstenite::Error::ConnectionClosed | tungstenite::Error::Io(_)) => {
                return read;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn nobody() -> ConnectionId {
    Incarnation::from_bytes([9; 9]).connection([9; 15])
}

fn any_message() -> impl Strategy<Value = Theirs> {
    prop_oneof![
        ".{0,300}".prop_map(Theirs::text),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Theirs::binary),
        (any::<u8>(), 0_usize..70_000).prop_map(|(byte, length)| Theirs::binary(vec![byte; length])),
        proptest::collection::vec(any::<u8>(), 0..=125).prop_map(|payload| Theirs::Ping(payload.into())),
        proptest::collection::vec(any::<u8>(), 0..=125).prop_map(|payload| Theirs::Pong(payload.into())),
    ]
}

/// Bytes that get far: frames with small mistakes in them.
fn near_frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop_oneof![Just(0x81_u8), Just(0x82), Just(0x01), Just(0x02), Just(0x00), Just(0x80), Just(0x88), Just(0x89), Just(0x8A)],
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        3 => proptest::collection::vec(prop_oneof![Just(0x61_u8), Just(0xE2), Just(0x82), Just(0xAC)], 0..200),
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ];
    let frame =
        (first, payload, any::<[u8; 4]>(), prop::bool::weighted(0.95)).prop_map(|(first, payload, mask, masked)| {
            let flag = if masked { 0x80 } else { 0 };
            let mut bytes = vec![first];
            match payload.len() {
                length @ 0..126 => bytes.push(flag | length as u8),
                length => {
                    bytes.push(flag | 126);
                    bytes.extend_from_slice(&(length as u16).to_be_bytes());
                }
            }
            if masked {
                bytes.extend_from_slice(&mask);
            }
            bytes.extend(
                payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| if masked { byte ^ mask } else { *byte }),
            );
            bytes
        });
    proptest::collection::vec(frame, 0..12).prop_map(|frames| frames.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_and_no_pieces_make_the_decoder_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        pieces in proptest::collection::vec(1_usize..40, 1..8),
    ) {
        decode(&bytes, &pieces);
    }

    #[test]
    fn the_same_bytes_mean_the_same_in_any_pieces(
        bytes in near_frames(),
        pieces in proptest::collection::vec(1_usize..60, 1..8),
    ) {
        let at_once = decode(&bytes, &[usize::MAX]);
        prop_assert_eq!(&decode(&bytes, &pieces), &at_once);
        prop_assert_eq!(&decode(&bytes, &[1]), &at_once);
    }

    #[test]
    fn what_another_client_writes_is_what_we_read(
        messages in proptest::collection::vec(any_message(), 0..6),
        pieces in proptest::collection::vec(1_usize..20_000, 1..4),
    ) {
        let expected: Vec<Event> = messages.iter().map(|message| match message {
            Theirs::Text(text) => Event::Message { kind: Kind::Text, payload: text.clone().into() },
            Theirs::Binary(bytes) => Event::Message { kind: Kind::Binary, payload: bytes.clone() },
            Theirs::Ping(payload) => Event::Ping(payload.clone()),
            _ => Event::Pong,
        }).collect();
        prop_assert_eq!(decode(&client_bytes(&messages), &pieces), (expected, None));
    }

    #[test]
    fn what_we_write_is_what_another_client_reads(
        texts in proptest::collection::vec(".{0,300}", 0..4),
        binary in (any::<u8>(), 0_usize..70_000).prop_map(|(byte, length)| vec![byte; length]),
        online in any::<u64>(),
    ) {
        let raw = Raw::new(Some("({online})".to_owned()), true);
        let mut builder = Builder::default();
        let mut encode = |kind, payload: Bytes| {
            raw.encode(&RoomMessage { seq: 1, online, message: Message { from: None, kind, payload, exclude: None } }, &mut builder);
        };
        for text in &texts {
            encode(Kind::Text, Bytes::copy_from_slice(text.as_bytes()));
        }
        encode(Kind::Binary, binary.clone().into());
        let mut runs: Vec<Run> = Vec::new();
        let batch = builder.finish();
        batch.runs_for(nobody(), 0..batch.frames(), 1, &mut runs);
        let mut expected: Vec<Theirs> = texts.iter().map(|text| Theirs::text(format!("{text}({online})"))).collect();
        expected.push(Theirs::binary(binary));
        prop_assert_eq!(client_reads(runs[0].bytes().to_vec()), expected);
    }
}

#[test]
fn another_client_understands_our_goodbye() {
    for close in [Close::Idle, Close::TooLarge { limit: 65_536 }, Close::Slow, Close::PositionLost, Close::Restart] {
        let read = client_reads(close.frame().to_vec());
        let [Theirs::Close(Some(frame))] = &read[..] else { panic!("{read:?}") };
        assert_eq!(Some(u16::from(frame.code)), close.code());
        assert_eq!(frame.reason.as_str(), close.reason());
    }
}
