//! Why a connection is closed, with the code and the words that its client sees.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

use super::frames;

/// Every reason for which a close frame is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Close {
    /// The client closed; it gets its own code back, and an empty frame when it gave none.
    Answer(Option<u16>),
    /// The client sent no message for as long as the room allows.
    Idle,
    /// The connection is as old as the room allows.
    Age,
    /// The client broke the rules of framing; says which.
    Protocol(&'static str),
    /// Text that is not UTF-8.
    Text,
    /// More of something than anybody needs; says of what.
    Flood(&'static str),
    /// A message larger than the limit in bytes.
    TooLarge {
        /// The limit in bytes.
        limit: u32,
    },
    /// This gateway is going, or was declared dead: another one takes the client.
    Restart,
    /// A message waited too long for the room to take it.
    Unavailable,
    /// The transport function answered with an error.
    FunctionFailed,
    /// The transport function could not be reached, or took too long.
    FunctionUnavailable,
    /// The client reads too slowly.
    Slow,
    /// Messages were missed that cannot be brought back.
    PositionLost,
    /// Somebody pushed it; made by [`Close::asked`].
    Asked {
        /// The close code.
        code: u16,
        /// At most 123 bytes.
        reason: Arc<str>,
    },
}

/// Bytes that a reason may take: a control frame carries 125, and the code is two.
const MOST_REASON_BYTES: usize = 123;

impl Close {
    /// What a push asks for. Without a code, and for a code that may not stand in a frame, 1000; a reason is cut where the frame
    /// has no more room.
    #[must_use]
    pub fn asked(code: Option<u16>, reason: &str) -> Self {
        let may_be_sent = |code: &u16| matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999);
        let end = reason.floor_char_boundary(MOST_REASON_BYTES);
        Self::Asked { code: code.filter(may_be_sent).unwrap_or(1000), reason: reason[..end].into() }
    }

    /// The close code; absent in the answer to a client that gave none.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Answer(code) => *code,
            Self::Idle | Self::Age => Some(1001),
            Self::Protocol(_) => Some(1002),
            Self::Text => Some(1007),
            Self::Flood(_) => Some(1008),
            Self::TooLarge { .. } => Some(1009),
            Self::FunctionFailed => Some(1011),
            Self::Restart => Some(1012),
            Self::Unavailable | Self::FunctionUnavailable => Some(1013),
            Self::Slow => Some(4008),
            Self::PositionLost => Some(4010),
            Self::Asked { code, .. } => Some(*code),
        }
    }

    /// What people find in their logs; at most 123 bytes, as the wire demands.
    #[must_use]
    pub fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Answer(_) => "".into(),
            Self::Idle => "idle for too long".into(),
            Self::Age => "maximum age reached, please reconnect".into(),
            Self::Protocol(what) | Self::Flood(what) => (*what).into(),
            Self::Text => "text is not UTF-8".into(),
            Self::TooLarge { limit } => format!("message larger than {limit} bytes").into(),
            Self::Restart => "gateway restarts, please reconnect".into(),
            Self::Unavailable => "the room is unavailable, try again later".into(),
            Self::FunctionFailed => "the transport function failed".into(),
            Self::FunctionUnavailable => "the transport function is unavailable, try again later".into(),
            Self::Slow => "reading too slowly".into(),
            Self::PositionLost => "messages were missed, please reconnect".into(),
            Self::Asked { reason, .. } => String::from(&**reason).into(),
        }
    }

    /// The close frame.
    #[must_use]
    pub fn frame(&self) -> Bytes {
        let reason = self.reason();
        debug_assert!(reason.len() <= MOST_REASON_BYTES, "a control frame carries at most 125 bytes");
        let mut frame = Vec::with_capacity(4 + reason.len());
        match self.code() {
            Some(code) => {
                let code = code.to_be_bytes();
                frames::encode(OpCode::Control(Control::Close), &[&code, reason.as_bytes()], &mut frame);
            }
            None => frames::encode(OpCode::Control(Control::Close), &[], &mut frame),
        }
        frame.into()
    }

    /// The code under which the end is counted. Codes of clients and of pushes are rounded down to 3000 or 4000, so that
    /// nobody can make up labels without end; 1005 stands for a close frame without a code.
    #[must_use]
    pub fn label(&self) -> u16 {
        match self {
            Self::Answer(None) => 1005,
            Self::Answer(Some(code @ 3000..)) | Self::Asked { code: code @ 3000.., .. } => code / 1000 * 1000,
            _ => self.code().unwrap_or(1005),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Close; 13] = [
        Close::Answer(Some(1000)),
        Close::Idle,
        Close::Age,
        Close::Protocol("frames of a client must be masked"),
        Close::Text,
        Close::Flood("too many control frames"),
        Close::TooLarge { limit: u32::MAX },
        Close::Restart,
        Close::Unavailable,
        Close::FunctionFailed,
        Close::FunctionUnavailable,
        Close::Slow,
        Close::PositionLost,
    ];

    #[test]
    fn every_close_frame_says_its_code_and_its_reason() {
        for close in ALL {
            let frame = close.frame();
            assert_eq!(frame[0], 0x88, "{close:?}");
            assert_eq!(usize::from(frame[1]), frame.len() - 2, "{close:?}");
            assert_eq!(Some(u16::from_be_bytes([frame[2], frame[3]])), close.code(), "{close:?}");
            assert_eq!(&frame[4..], close.reason().as_bytes(), "{close:?}");
        }
    }

    #[test]
    fn a_pushed_close_says_what_a_frame_may_say() {
        for (asked, expected) in
            [(None, 1000), (Some(4503), 4503), (Some(1005), 1000), (Some(999), 1000), (Some(5000), 1000)]
        {
            assert_eq!(Close::asked(asked, "").code(), Some(expected), "{asked:?}");
        }
        let frame = Close::asked(None, &"ä".repeat(100)).frame();
        assert_eq!((usize::from(frame[1]), frame.len()), (2 + 122, 4 + 122), "no character is cut");
    }

    #[test]
    fn a_client_without_a_code_gets_an_empty_close_frame() {
        assert_eq!(&Close::Answer(None).frame()[..], &[0x88, 0]);
    }

    #[test]
    fn clients_cannot_make_up_labels() {
        assert_eq!(Close::Answer(Some(3999)).label(), 3000);
        assert_eq!(Close::Answer(Some(4008)).label(), 4000);
        assert_eq!(Close::Answer(Some(1001)).label(), 1001);
        assert_eq!(Close::Slow.label(), 4008);
    }
}
