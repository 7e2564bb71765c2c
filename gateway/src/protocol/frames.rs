//! Frames of RFC 6455 as the server sees them: bytes of a client in, events out; frames for a client out.
//!
//! The decoder takes bytes as they come and keeps what is unfinished. Every limit is checked as early as the bytes allow:
//! a message that will be too large is refused by its header, text that is not UTF-8 by its first wrong byte.

mod assembly;
mod header;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use self::assembly::{Assembly, Mask};
use self::header::HeaderBytes;
use super::Close;
use crate::message::Kind;

/// Bytes that a control frame may carry.
pub const CONTROL_PAYLOAD_BYTES: usize = 125;

/// Something whole that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Message {
        /// Whether the payload is text, and then it is UTF-8.
        kind: Kind,
        /// The payload, unmasked, its fragments put together.
        payload: Bytes,
    },
    /// A frame of so many bytes that does not end its message.
    Fragment(usize),
    /// A ping with its payload.
    Ping(Bytes),
    /// A pong; what it carries does not matter to anybody.
    Pong,
    /// The client's close frame with its code, if it gave one. Nothing that follows is looked at.
    Close(Option<u16>),
}

/// How a client broke the rules. The connection cannot go on, as nobody knows where the next frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The rules of framing.
    #[error("{0}")]
    Framing(&'static str),
    /// Text or a close reason that is not UTF-8.
    #[error("text is not UTF-8")]
    Text,
    /// A message larger than the limit.
    #[error("message larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u32,
    },
}

impl From<Violation> for Close {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Framing(what) => Self::Protocol(what),
            Violation::Text => Self::Text,
            Violation::TooLarge { limit } => Self::TooLarge { limit },
        }
    }
}

/// Turns the bytes of one client into events. Owns memory only while something is unfinished.
#[derive(Debug, Default)]
pub struct Decoder {
    header: HeaderBytes,
    frame: Option<Frame>,
    message: Option<Assembly>,
    control: Vec<u8>,
    /// After a close frame or a violation: whatever else comes is not looked at.
    done: bool,
}

/// A frame whose header is known and whose payload is on its way.
#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    mask: Mask,
    length: usize,
    missing: usize,
}

impl Decoder {
    /// The next event, taking from the front of `input` what belongs to it. `None`: all of `input` is taken and more is
    /// needed. `limit` bounds a message in bytes.
    ///
    /// # Errors
    /// See [`Violation`]; after one the decoder takes everything and says nothing.
    pub fn next(&mut self, input: &mut &[u8], limit: u32) -> Result<Option<Event>, Violation> {
        let next = self.advance(input, limit);
        if matches!(next, Err(_) | Ok(Some(Event::Close(_)))) {
            *self = Self { done: true, ..Self::default() };
        }
        next
    }

    /// Whether something has begun that is not whole yet: a header, a frame or a message.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.frame.is_some() || self.message.is_some() || !self.header.is_empty()
    }

    /// Whether the client said its last word: a close frame, or something that cannot be understood.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes of memory it owns beside itself.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.control.capacity() + self.message.as_ref().map_or(0, Assembly::memory)
    }

    fn advance(&mut self, input: &mut &[u8], limit: u32) -> Result<Option<Event>, Violation> {
        if self.done {
            *input = &[];
            return Ok(None);
        }
        let mut frame = match self.frame.take() {
            Some(frame) => frame,
            None => match self.header.take(input)? {
                Some((header, length)) => self.begin(&header, length, limit)?,
                None => return Ok(None),
            },
        };
        self.take_payload(&mut frame, input)?;
        if frame.missing > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        self.end(&frame).map(Some)
    }

    /// Checks everything that a header alone can tell.
    fn begin(&mut self, header: &FrameHeader, length: u64, limit: u32) -> Result<Frame, Violation> {
        let refuse = |what| Err(Violation::Framing(what));
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return refuse("reserved bits are set");
        }
        let Some(mask) = header.mask else {
            return refuse("frames of a client must be masked");
        };
        if length >> 63 != 0 {
            return refuse("the length has its top bit set");
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return refuse("control frame in fragments"),
            OpCode::Control(_) if length > CONTROL_PAYLOAD_BYTES as u64 => {
                return refuse("control frame larger than 125 bytes");
            }
            OpCode::Control(Control::Close) if length == 1 => return refuse("half a close code"),
            OpCode::Control(_) => {}
            OpCode::Data(Data::Continue) if self.message.is_none() => return refuse("nothing to continue"),
            OpCode::Data(Data::Continue) => self.check_size(length, limit)?,
            OpCode::Data(_) if self.message.is_some() => return refuse("the message before is unfinished"),
            OpCode::Data(data) => {
                self.check_size(length, limit)?;
                self.message = Some(Assembly::new(if data == Data::Text { Kind::Text } else { Kind::Binary }));
            }
        }
        let length = usize::try_from(length).map_err(|_| Violation::TooLarge { limit })?;
        let mask = Mask::new(mask);
        Ok(Frame { opcode: header.opcode, is_final: header.is_final, mask, length, missing: length })
    }

    fn check_size(&self, length: u64, limit: u32) -> Result<(), Violation> {
        let before = self.message.as_ref().map_or(0, Assembly::len) as u64;
        if before.saturating_add(length) > u64::from(limit) { Err(Violation::TooLarge { limit }) } else { Ok(()) }
    }

    fn take_payload(&mut self, frame: &mut Frame, input: &mut &[u8]) -> Result<(), Violation> {
        let (payload, rest) = input.split_at(frame.missing.min(input.len()));
        *input = rest;
        let missing = frame.missing;
        frame.missing -= payload.len();
        match (frame.opcode, &mut self.message) {
            (OpCode::Data(_), Some(message)) => message.append(payload, missing, &mut frame.mask),
            _ => {
                let from = self.control.len();
                self.control.extend_from_slice(payload);
                frame.mask.apply(&mut self.control[from..]);
                Ok(())
            }
        }
    }

    fn end(&mut self, frame: &Frame) -> Result<Event, Violation> {
        match frame.opcode {
            OpCode::Control(control) => {
                // Taken, not cleared: what is given back is memory that an idle connection does not hold.
                let payload = std::mem::take(&mut self.control);
                match control {
                    Control::Ping => Ok(Event::Ping(payload.into())),
                    Control::Close => close_event(&payload),
                    Control::Pong | Control::Reserved(_) => Ok(Event::Pong),
                }
            }
            OpCode::Data(_) => match self.message.take() {
                Some(message) if frame.is_final => message.finish(),
                unfinished => {
                    self.message = unfinished;
                    Ok(Event::Fragment(frame.length))
                }
            },
        }
    }
}

fn close_event(payload: &[u8]) -> Result<Event, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Ok(Event::Close(None));
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::Framing("close code that may not be sent"));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Event::Close(Some(code))),
        Err(_) => Err(Violation::Text),
    }
}

/// Appends one whole server frame (final, unmasked) whose payload is `parts`, one behind the other.
pub fn encode(opcode: OpCode, parts: &[&[u8]], into: &mut Vec<u8>) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    into.reserve(header.len(length as u64) + length);
    header.format(length as u64, into).expect("writing to memory cannot fail");
    for part in parts {
        into.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests;
