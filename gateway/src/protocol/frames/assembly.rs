//! A message that is being put together from its fragments.

use super::{Event, Violation};
use crate::message::Kind;

/// A frame announced as larger than this gets its memory as it arrives: announcing costs a client nothing.
const TRUSTED_BYTES: usize = 16 * 1024;

/// A message of which a part has arrived.
#[derive(Debug)]
pub(super) struct Assembly {
    kind: Kind,
    payload: Vec<u8>,
    /// Text: so many bytes are known to be whole characters.
    checked: usize,
}

impl Assembly {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, payload: Vec::new(), checked: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.payload.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.payload.capacity()
    }

    /// Appends masked bytes of a frame of which `missing`, these included, have yet to come.
    pub(super) fn append(&mut self, masked: &[u8], missing: usize, mask: &mut Mask) -> Result<(), Violation> {
        let from = self.payload.len();
        if missing <= TRUSTED_BYTES || masked.len() == missing {
            self.payload.reserve_exact(missing);
        }
        self.payload.extend_from_slice(masked);
        mask.apply(&mut self.payload[from..]);
        if self.kind == Kind::Text { self.check() } else { Ok(()) }
    }

    pub(super) fn finish(self) -> Result<Event, Violation> {
        if self.kind == Kind::Text && self.checked < self.payload.len() {
            return Err(Violation::Text);
        }
        Ok(Event::Message { kind: self.kind, payload: self.payload.into() })
    }

    /// Looks at the bytes that have not been looked at, and again at a character whose end had not arrived.
    fn check(&mut self) -> Result<(), Violation> {
        match std::str::from_utf8(&self.payload[self.checked..]) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Violation::Text),
        }
        Ok(())
    }
}

/// The mask of a frame, turned to the byte that comes next.
#[derive(Debug)]
pub(super) struct Mask([u8; 4]);

impl Mask {
    pub(super) fn new(mask: [u8; 4]) -> Self {
        Self(mask)
    }

    /// Unmasks the bytes that follow those unmasked before.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        let turned = bytes.len() % 4;
        let mut words = bytes.chunks_exact_mut(4);
        for word in &mut words {
            for (byte, mask) in word.iter_mut().zip(self.0) {
                *byte ^= mask;
            }
        }
        for (byte, mask) in words.into_remainder().iter_mut().zip(self.0) {
            *byte ^= mask;
        }
        self.0.rotate_left(turned);
    }
}
