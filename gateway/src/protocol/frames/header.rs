//! A frame's header, which may arrive a byte at a time.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;

use super::Violation;

/// Bytes of the longest header that a client can send: 2, then 8 of length, then 4 of mask.
const LONGEST: usize = 14;

/// The bytes of a header that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct HeaderBytes {
    bytes: [u8; LONGEST],
    length: u8,
}

impl HeaderBytes {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The header with the payload's length, taking its bytes from the front of `input`. `None`: all of `input` is taken
    /// and more is needed.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Result<Option<(FrameHeader, u64)>, Violation> {
        let before = usize::from(self.length);
        let copied = input.len().min(LONGEST - before);
        let have = before + copied;
        self.bytes[before..have].copy_from_slice(&input[..copied]);
        let mut cursor = Cursor::new(&self.bytes[..have]);
        // The only thing that can be wrong with a header by itself; the rest are fields, and judged by the decoder.
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Framing("reserved opcode"))?;
        if parsed.is_some() {
            let length = usize::try_from(cursor.position()).unwrap_or(LONGEST);
            *input = &input[length - before..];
            self.length = 0;
        } else {
            *input = &input[copied..];
            self.length = u8::try_from(have).unwrap_or(u8::MAX);
        }
        Ok(parsed)
    }
}
