//! One client in the room: a place in the log, and letters for it alone.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Head, Hub, Letterbox};
use crate::id::ConnectionId;
use crate::protocol::{Close, Run};

/// Buffers of one write. More would be cut by the kernel, and a write is cheap enough to be repeated.
const MOST_RUNS: usize = 32;

/// A member; dropping it leaves the room.
#[derive(Debug)]
pub struct Member {
    hub: Arc<Hub>,
    id: ConnectionId,
    head: watch::Receiver<Head>,
    letters: Letterbox,
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

/// Frames to write next: those of the room that the member is to hear, and its letters between them.
#[derive(Debug, Default)]
pub struct Pending {
    runs: Vec<Run>,
    /// For each run: where it comes from, and when it was delivered.
    places: Vec<(Origin, Instant)>,
}

#[derive(Clone, Copy, Debug)]
enum Origin {
    /// The room; the position of its first frame.
    Room(u64),
    /// The next letter.
    Letter,
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
        let letters = Letterbox::default();
        Self { hub, id, head, letters, cursor: at.end, holes: at.holes, behind_since: None }
    }

    /// Where to write to it alone.
    #[must_use]
    pub fn letterbox(&self) -> Letterbox {
        self.letters.clone()
    }

    /// Waits until something was delivered or sent that was not looked at. May be dropped at any time.
    pub async fn changed(&mut self) {
        let Self { head, letters, .. } = self;
        let mut delivered = pin!(head.changed());
        // The sender lives in the hub, and the hub in this value: it cannot be gone.
        poll_fn(|context| match letters.poll_news(context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => delivered.as_mut().poll(context).map(drop),
        })
        .await;
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
        let letter = self.letters.first();
        let reached =
            if self.cursor < end { self.room_frames(letter.unwrap_or(u64::MAX), &mut pending)? } else { self.cursor };
        if letter.is_some_and(|after| after <= reached) {
            // What the room said behind them comes next time.
            let letters = self.letters.frames(reached, MOST_RUNS - pending.runs.len());
            for (frame, at) in letters {
                pending.runs.push(frame.whole());
                pending.places.push((Origin::Letter, at));
            }
        }
        Ok(pending)
    }

    /// Adds frames of the room before `end`. Says up to where there are no more.
    fn room_frames(&mut self, end: u64, pending: &mut Pending) -> Result<u64, Missed> {
        let offset = |from: u64, to: u64| usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut reached = self.cursor;
        let log = self.hub.log();
        for entry in log.from(self.cursor).ok_or(Missed::FellOut)? {
            if entry.first >= end || pending.runs.len() == MOST_RUNS {
                break;
            }
            let of = offset(entry.first, self.cursor)..offset(entry.first, end).min(entry.batch.frames());
            let looked_at = entry.batch.runs_for(self.id, of, MOST_RUNS - pending.runs.len(), &mut pending.runs);
            let new = pending.runs[pending.places.len()..].iter();
            pending.places.extend(new.map(|run| (Origin::Room(entry.first + run.first() as u64), entry.at)));
            reached = entry.first + looked_at as u64;
            if pending.runs.is_empty() {
                // Nothing but frames that are not for it up to here.
                self.cursor = reached;
            }
        }
        Ok(reached)
    }

    /// How the member was asked to be closed, if that is all that is left to be written.
    #[must_use]
    pub fn asked_to_close(&self) -> Option<Close> {
        self.letters.close(self.cursor)
    }

    /// Takes no letters from now on: whoever sends one is told.
    pub fn refuse_letters(&self) {
        self.letters.end();
    }

    /// Takes note of a write: of the frames that are pending, `begun` were begun. `half`: a frame is half sent, the last of
    /// these or, if none was begun, one from before.
    pub fn wrote(&mut self, pending: &Pending, mut begun: usize, half: bool) {
        if begun == 0 && half && self.behind_since.is_some() {
            return;
        }
        self.behind_since = None;
        let mut letters = 0;
        for (run, (origin, at)) in pending.runs.iter().zip(&pending.places) {
            let of_run = begun.min(run.frames());
            match origin {
                Origin::Room(first) if of_run > 0 => self.cursor = first + of_run as u64,
                Origin::Room(_) => {}
                Origin::Letter => letters += of_run,
            }
            let is_last_begun = of_run > 0 && of_run == begun;
            if of_run < run.frames() || (is_last_begun && half) {
                self.behind_since = Some(*at);
                break;
            }
            begun -= of_run;
        }
        if letters > 0 {
            self.letters.taken(letters);
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
        self.letters.end();
        self.hub.log().leave();
    }
}
