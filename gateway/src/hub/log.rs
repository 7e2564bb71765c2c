//! The last frames of the room, for members that have yet to write them.

use std::collections::VecDeque;
use std::time::Duration;

use chatroom_settings::Limits;
use tokio::time::Instant;

use super::Head;
use crate::protocol::Batch;

/// Bytes kept, unless messages may be large. It is what the slowest members of a busy room can lag behind, and what they
/// can cost all together.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The largest messages that fit at least: a reader that is in the middle of one is not slow yet.
const LARGEST_MESSAGES: usize = 4;
/// How long frames are kept, however few there are. Nobody may lag that long.
const MOST_AGE: Duration = Duration::from_secs(60);

/// How many bytes are kept where these limits are in force.
pub(super) fn most_bytes(limits: &Limits) -> usize {
    MOST_BYTES.max((limits.max_message_bytes as usize).saturating_mul(LARGEST_MESSAGES))
}

/// Frames in the order of the room, numbered from 0. When full, the oldest go: whoever had not written them is slow.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    head: Head,
    members: usize,
}

/// Frames that were delivered together.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Position of its first frame.
    pub(super) first: u64,
    /// When it was delivered.
    pub(super) at: Instant,
    pub(super) batch: Batch,
}

impl Entry {
    /// Position behind its last frame.
    pub(super) fn end(&self) -> u64 {
        self.first + self.batch.frames() as u64
    }
}

impl Log {
    /// Position of the next frame.
    pub(super) fn end(&self) -> u64 {
        self.head.end
    }

    /// Somebody begins to read, and does so here.
    pub(super) fn enter(&mut self) -> Head {
        self.members += 1;
        self.head
    }

    /// Somebody reads no more. Without a reader nothing is kept.
    pub(super) fn leave(&mut self) {
        self.members -= 1;
        if self.members == 0 {
            self.entries.clear();
            self.bytes = 0;
        }
    }

    /// Appends frames, and lets the oldest go until `most_bytes` are left. What is appended now stays, whatever its size:
    /// nobody had a chance to read it.
    pub(super) fn append(&mut self, batches: Vec<Batch>, most_bytes: usize, now: Instant) -> Head {
        let newest = self.head.end;
        for batch in batches {
            let entry = Entry { first: self.head.end, at: now, batch };
            self.head.end = entry.end();
            if self.members > 0 {
                self.bytes += entry.batch.len();
                self.entries.push_back(entry);
            }
        }
        while self.entries.front().is_some_and(|oldest| self.bytes > most_bytes && oldest.first < newest) {
            self.drop_oldest();
        }
        self.expire(now);
        self.head
    }

    /// What comes next does not follow what came before.
    pub(super) fn lose_position(&mut self) -> Head {
        self.head.holes += 1;
        self.head
    }

    /// Lets go what is too old.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.entries.front().is_some_and(|oldest| now.duration_since(oldest.at) > MOST_AGE) {
            self.drop_oldest();
        }
    }

    /// The entries from the one that holds `position` on; `None` when it is not kept any more.
    pub(super) fn from(&self, position: u64) -> Option<impl Iterator<Item = &Entry>> {
        let oldest = self.entries.front().map_or(self.head.end, |entry| entry.first);
        if position < oldest {
            return None;
        }
        let index = self.entries.partition_point(|entry| entry.end() <= position);
        Some(self.entries.range(index..))
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.bytes -= oldest.batch.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::batch::Builder;

    fn batch(frames: usize, bytes: usize) -> Batch {
        let mut builder = Builder::default();
        for _ in 0..frames {
            builder.buffer().extend(std::iter::repeat_n(0, bytes));
            builder.end_frame(crate::protocol::NotFor::Nobody);
        }
        builder.finish()
    }

    fn log() -> Log {
        let mut log = Log::default();
        log.enter();
        log
    }

    fn positions(log: &Log, from: u64) -> Option<Vec<u64>> {
        log.from(from).map(|entries| entries.map(|entry| entry.first).collect())
    }

    #[test]
    fn a_reader_finds_the_batch_it_stands_in() {
        let mut log = log();
        log.append(vec![batch(3, 10), batch(2, 10), batch(1, 10)], MOST_BYTES, Instant::now());
        assert_eq!(positions(&log, 0), Some(vec![0, 3, 5]));
        assert_eq!(positions(&log, 4), Some(vec![3, 5]));
        assert_eq!(positions(&log, 6), Some(vec![]));
        assert_eq!(log.head.end, 6);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_bytes() {
        let mut log = log();
        for _ in 0..20 {
            log.append(vec![batch(1, 1024 * 1024)], MOST_BYTES, Instant::now());
        }
        assert_eq!(positions(&log, 3), None);
        assert_eq!(positions(&log, 4).map(|kept| kept.len()), Some(16));
        assert_eq!(log.bytes, MOST_BYTES);
    }

    #[test]
    fn a_delivery_larger_than_the_log_can_be_read() {
        let mut log = log();
        log.append(vec![batch(1, 100)], MOST_BYTES, Instant::now());
        log.append(vec![batch(1, MOST_BYTES), batch(1, MOST_BYTES)], MOST_BYTES, Instant::now());
        assert_eq!(positions(&log, 0), None);
        assert_eq!(positions(&log, 1), Some(vec![1, 2]));
    }

    #[test]
    fn nothing_is_kept_for_longer_than_a_minute() {
        let mut log = log();
        let now = Instant::now();
        log.append(vec![batch(1, 10)], MOST_BYTES, now);
        log.append(vec![batch(1, 10)], MOST_BYTES, now + MOST_AGE);
        assert_eq!(positions(&log, 0), Some(vec![0, 1]));
        log.expire(now + MOST_AGE + Duration::from_millis(1));
        assert_eq!((positions(&log, 0), positions(&log, 1)), (None, Some(vec![1])));
    }

    #[test]
    fn without_readers_nothing_is_kept() {
        let mut log = log();
        log.append(vec![batch(1, 10)], MOST_BYTES, Instant::now());
        log.leave();
        log.append(vec![batch(1, 10)], MOST_BYTES, Instant::now());
        assert_eq!((log.bytes, log.entries.len(), log.head.end), (0, 0, 2));
    }

    #[test]
    fn the_log_grows_with_the_largest_message_and_shrinks_again() {
        let limits = |max_message_bytes| Limits {
            max_connections_per_pod: 1,
            max_message_bytes,
            max_pending_bytes: 65_536,
            slow_seconds: 1,
            idle_timeout_seconds: None,
            max_connection_age_seconds: None,
        };
        let large = 8 * 1024 * 1024;
        let (usual, grown) = (most_bytes(&limits(64 * 1024)), most_bytes(&limits(large)));
        assert_eq!((usual, grown), (MOST_BYTES, 32 * 1024 * 1024));
        let mut log = log();
        for _ in 0..5 {
            log.append(vec![batch(1, large as usize)], grown, Instant::now());
        }
        assert_eq!(positions(&log, 1), Some(vec![1, 2, 3, 4]), "four of the largest fit");
        log.append(vec![batch(1, 10)], usual, Instant::now());
        assert_eq!(positions(&log, 4), Some(vec![4, 5]), "a smaller limit counts from the next message on");
    }
}
