//! The control frames that wait for one client: at most one of each kind.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

use crate::protocol::frames::encode;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pong: Option<Bytes>,
    ping: bool,
    close: Option<Bytes>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.pong.is_none() && !self.ping && self.close.is_none()
    }

    pub(super) fn pong(&mut self, payload: Bytes) {
        self.pong = Some(payload);
    }

    pub(super) fn ping(&mut self) {
        self.ping = true;
    }

    /// The close frame; it is the last, and what waited before it does not matter any more.
    pub(super) fn close(&mut self, frame: Bytes) {
        *self = Self { close: Some(frame), ..Self::default() };
    }

    /// The frames, encoded one behind the other.
    pub(super) fn frames(&self) -> Bytes {
        if self.is_empty() {
            return Bytes::new();
        }
        if let Some(close) = &self.close {
            return close.clone();
        }
        let mut frames = Vec::new();
        if let Some(payload) = &self.pong {
            encode(OpCode::Control(Control::Pong), &[payload], &mut frames);
        }
        if self.ping {
            encode(OpCode::Control(Control::Ping), &[], &mut frames);
        }
        frames.into()
    }

    /// The frames of before are being sent; what comes now waits behind them.
    pub(super) fn begun(&mut self) {
        *self = Self::default();
    }
}
