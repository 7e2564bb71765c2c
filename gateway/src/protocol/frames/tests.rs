//! The decoder frame by frame: every rule of RFC 6455 that a client can break, and every chunking of its bytes.

use super::*;

const LIMIT: u32 = 1000;

/// A client's frame: first byte, payload; masked as clients must.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

/// Everything the decoder says to these bytes, given in pieces of `piece` bytes.
fn decode(bytes: &[u8], piece: usize) -> (Vec<Event>, Option<Violation>) {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for mut input in bytes.chunks(piece.max(1)) {
        loop {
            match decoder.next(&mut input, LIMIT) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(violation) => return (events, Some(violation)),
            }
        }
    }
    (events, None)
}

fn violation(frames: &[Vec<u8>]) -> Option<u16> {
    let bytes = frames.concat();
    let (_, at_once) = decode(&bytes, usize::MAX);
    let (_, bytewise) = decode(&bytes, 1);
    assert_eq!(at_once, bytewise);
    at_once.and_then(|violation| Close::from(violation).code())
}

fn text(text: &'static str) -> Event {
    Event::Message { kind: Kind::Text, payload: text.into() }
}

#[test]
fn messages_come_out_as_they_were_said() {
    let bytes = [frame(0x81, b"hello"), frame(0x82, &[0, 255]), frame(0x81, b"")].concat();
    let binary = Event::Message { kind: Kind::Binary, payload: Bytes::from_static(&[0, 255]) };
    assert_eq!(decode(&bytes, 3), (vec![text("hello"), binary, text("")], None));
}

#[test]
fn fragments_become_one_message_with_control_frames_between() {
    let bytes =
        [frame(0x01, b"hel"), frame(0x89, b"?"), frame(0x00, b""), frame(0x8A, b""), frame(0x80, b"lo")].concat();
    let expected = vec![Event::Fragment(3), Event::Ping("?".into()), Event::Fragment(0), Event::Pong, text("hello")];
    assert_eq!(decode(&bytes, usize::MAX), (expected, None));
}

#[test]
fn broken_framing_is_1002() {
    let mut unmasked = frame(0x81, b"hello");
    unmasked[1] &= 0x7F;
    let top_bit = vec![0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let one = |bytes: Vec<u8>| vec![bytes];
    for (what, frames) in [
        ("reserved bit 1", one(frame(0xC1, b""))),
        ("reserved bit 2", one(frame(0xA1, b""))),
        ("reserved bit 3", one(frame(0x91, b""))),
        ("reserved data opcode", one(frame(0x83, b""))),
        ("reserved control opcode", one(frame(0x8F, b""))),
        ("not masked", one(unmasked)),
        ("length with the top bit set", one(top_bit)),
        ("control frame of 126 bytes", one(frame(0x89, &[0; 126]))),
        ("control frame in fragments", one(frame(0x09, b""))),
        ("nothing to continue", one(frame(0x80, b""))),
        ("message inside a message", vec![frame(0x01, b"a"), frame(0x81, b"b")]),
        ("half a close code", one(frame(0x88, &[3]))),
        ("close code 1005", one(frame(0x88, &1005_u16.to_be_bytes()))),
        ("close code 2999", one(frame(0x88, &2999_u16.to_be_bytes()))),
    ] {
        assert_eq!(violation(&frames), Some(1002), "{what}");
    }
}

#[test]
fn what_is_not_utf8_is_1007() {
    for (what, frames) in [
        ("a lone byte", vec![frame(0x81, &[0xFF])]),
        ("a surrogate", vec![frame(0x81, &[0xED, 0xA0, 0x80])]),
        ("above U+10FFFF", vec![frame(0x81, &[0xF4, 0x90, 0x80, 0x80])]),
        ("five bytes", vec![frame(0x81, &[0xF8, 0x88, 0x80, 0x80, 0x80])]),
        ("an unfinished character", vec![frame(0x81, &[0xE2, 0x82])]),
        ("broken across fragments", vec![frame(0x01, &[0xE2]), frame(0x80, &[0x28])]),
        ("a close reason", vec![frame(0x88, &[0x03, 0xE8, 0xFF])]),
    ] {
        assert_eq!(violation(&frames), Some(1007), "{what}");
    }
}

#[test]
fn wrong_text_is_refused_by_its_first_wrong_byte() {
    // Announces 10 bytes and sends the two that cannot be mended.
    let whole = frame(0x81, &[0xED, 0xA0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let cut = &whole[..8];
    assert_eq!(decode(cut, 1), (vec![], Some(Violation::Text)));
}

#[test]
fn a_character_may_be_split_anywhere() {
    let bytes = [frame(0x01, &[0xE2]), frame(0x00, &[0x82]), frame(0x80, &[0xAC])].concat();
    assert_eq!(decode(&bytes, 1).0.last(), Some(&text("€")));
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_header() {
    let header = [0x82, 0xFE, 0x03, 0xE9, 0, 0, 0, 0];
    assert_eq!(decode(&header, usize::MAX), (vec![], Some(Violation::TooLarge { limit: LIMIT })));
    let fragments = [frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat();
    assert_eq!(violation(&[fragments]), Some(1009));
    assert_eq!(violation(&[frame(0x02, &[0; 600]), frame(0x80, &[0; 400])]), None);
}

#[test]
fn a_close_is_the_last_word() {
    let bytes = [frame(0x88, &[0x03, 0xE8, b'!']), frame(0x81, b"more"), vec![0xFF; 40]].concat();
    assert_eq!(decode(&bytes, 7), (vec![Event::Close(Some(1000))], None));
    assert_eq!(decode(&frame(0x88, b""), 1), (vec![Event::Close(None)], None));
}

#[test]
fn an_idle_decoder_owns_no_memory() {
    let mut decoder = Decoder::default();
    let bytes = [frame(0x81, &[b'a'; 900]), frame(0x89, &[0; 100])].concat();
    let mut input = &bytes[..500];
    assert_eq!(decoder.next(&mut input, LIMIT), Ok(None));
    assert!(decoder.is_unfinished());
    assert!(decoder.memory() >= 400);
    let mut input = &bytes[500..];
    while decoder.next(&mut input, LIMIT).unwrap().is_some() {}
    assert_eq!((decoder.memory(), decoder.is_unfinished()), (0, false));
}

#[test]
fn announcing_a_large_message_costs_no_memory() {
    let mut decoder = Decoder::default();
    // 32 MiB, of which one byte comes.
    let mut input: &[u8] = &[0x82, 0xFF, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7];
    assert_eq!(decoder.next(&mut input, 64 << 20), Ok(None));
    assert!(decoder.memory() < 4096, "{}", decoder.memory());
}
