//! One client in the room: a place in the log.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Head, Hub};
use crate::id::ConnectionId;
use crate::protocol::Run;

/// Buffers of one write. More would be cut by the kernel, and a write is cheap enough to be repeated.
const MOST_RUNS: usize = 32;

/// A member; dropping it leaves the room.
#[derive(Debug)]
pub struct Member {
    hub: Arc<Hub>,
    id: ConnectionId,
    head: watch::Receiver<Head>,
    /// Position of the first frame that is not begun.
    cursor: u64,
    /// Holes that were there before it joined.
    holes: u64,
    /// When the oldest frame was delivered that is not written out.
    behind_since: Option<Instant>,
}

/// Why a member cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// What it had yet to write is not kept any more: it was too slow.
    FellOut,
    /// The room itself missed messages.
    Position,
}

/// Frames to write next, without the member's own where senders get no copy.
#[derive(Debug, Default)]
pub struct Pending {
    runs: Vec<Run>,
    /// For each run: the position of its first frame, and when it was delivered.
    places: Vec<(u64, Instant)>,
}

impl Pending {
    /// The frames.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }
}

impl Member {
    pub(super) fn new(hub: Arc<Hub>, id: ConnectionId, head: watch::Receiver<Head>, at: Head) -> Self {
        Self { hub, id, head, cursor: at.end, holes: at.holes, behind_since: None }
    }

    /// Waits until something was delivered that was not looked at. May be dropped at any time.
    pub async fn changed(&mut self) {
        // The sender lives in the hub, and the hub in this value: it cannot be gone.
        let _ = self.head.changed().await;
    }

    /// The frames to write next; none when all is written.
    ///
    /// # Errors
    /// See [`Missed`].
    pub fn pending(&mut self) -> Result<Pending, Missed> {
        let Head { end, holes } = *self.head.borrow_and_update();
        if holes > self.holes {
            return Err(Missed::Position);
        }
        let mut pending = Pending::default();
        if self.cursor >= end {
            return Ok(pending);
        }
        let log = self.hub.log();
        for entry in log.from(self.cursor).ok_or(Missed::FellOut)? {
            let room = MOST_RUNS - pending.runs.len();
            let first = usize::try_from(self.cursor.saturating_sub(entry.first)).unwrap_or(usize::MAX);
            let looked_at = entry.batch.runs_for(self.id, first, room, &mut pending.runs);
            let new = pending.runs[pending.places.len()..].iter();
            pending.places.extend(new.map(|run| (entry.first + run.first() as u64, entry.at)));
            if pending.runs.is_empty() {
                // Nothing but frames of its own up to here.
                self.cursor = entry.first + looked_at as u64;
            }
            if pending.runs.len() == MOST_RUNS {
                break;
            }
        }
        Ok(pending)
    }

    /// Takes note of a write: of the frames that are pending, `begun` were begun. `half`: a frame is half sent, the last of
    /// these or, if none was begun, one from before.
    pub fn wrote(&mut self, pending: &Pending, mut begun: usize, half: bool) {
        if begun == 0 && half && self.behind_since.is_some() {
            return;
        }
        self.behind_since = None;
        for (run, (first, at)) in pending.runs.iter().zip(&pending.places) {
            let of_run = begun.min(run.frames());
            if of_run > 0 {
                self.cursor = first + of_run as u64;
            }
            let is_last_begun = of_run > 0 && of_run == begun;
            if of_run < run.frames() || (is_last_begun && half) {
                self.behind_since = Some(*at);
                break;
            }
            begun -= of_run;
        }
    }

    /// When the oldest frame was delivered that is not written out; `None` when there is none.
    #[must_use]
    pub fn behind_since(&self) -> Option<Instant> {
        self.behind_since
    }

    /// Lets go of frames that nobody needs, in a room where nothing is said any more.
    pub fn expire(&self, now: Instant) {
        self.hub.log().expire(now);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.hub.log().leave();
    }
}
