//! Server frames of one batch, encoded once into one buffer that all members share.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::id::ConnectionId;

/// Frames that lie behind one another; cloning shares them.
#[derive(Clone, Debug)]
pub struct Batch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: Bytes,
    frames: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    /// Where the frame ends in the buffer; it begins where the one before ends.
    end: usize,
    not_for: NotFor,
}

/// Who does not get a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NotFor {
    /// Everybody does.
    #[default]
    Nobody,
    /// The sender, where senders get no copy.
    One(ConnectionId),
    /// These, in their order. Made by [`NotFor::these`].
    These(Box<[ConnectionId]>),
}

impl NotFor {
    /// Those who do not get it, in any order.
    #[must_use]
    pub fn these(mut ids: Vec<ConnectionId>) -> Self {
        ids.sort_unstable();
        match ids[..] {
            [] => Self::Nobody,
            [one] => Self::One(one),
            _ => Self::These(ids.into()),
        }
    }

    fn holds(&self, member: ConnectionId) -> bool {
        match self {
            Self::Nobody => false,
            Self::One(id) => *id == member,
            Self::These(ids) => ids.binary_search(&member).is_ok(),
        }
    }
}

/// A batch that is being written.
#[derive(Debug, Default)]
pub struct Builder {
    bytes: Vec<u8>,
    frames: Vec<Place>,
}

impl Builder {
    /// The buffer, to append one frame to; [`Builder::end_frame`] has to follow.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the frame that was appended to the buffer. `not_for` will be spared it.
    pub fn end_frame(&mut self, not_for: NotFor) {
        self.frames.push(Place { end: self.bytes.len(), not_for });
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no frame yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The batch, as it stays.
    #[must_use]
    pub fn finish(self) -> Batch {
        Batch(Arc::new(Inner { bytes: self.bytes.into(), frames: self.frames }))
    }
}

impl Batch {
    /// Frames in it.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.0.frames.len()
    }

    /// Bytes of all frames.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.bytes.len()
    }

    /// Whether it has no frames.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.frames.is_empty()
    }

    /// All frames, for a member of whom it is known that they are for it.
    #[must_use]
    pub fn whole(&self) -> Run {
        Run { batch: self.clone(), frames: 0..self.frames() }
    }

    /// Of these frames those that `member` wants, as runs without a gap, at most `limit` of them. Says also up to which frame it
    /// looked.
    pub fn runs_for(&self, member: ConnectionId, of: Range<usize>, limit: usize, runs: &mut Vec<Run>) -> usize {
        let mut at = of.start;
        let mut pushed = 0;
        while pushed < limit {
            let unwanted = |place: &Place| place.not_for.holds(member);
            at += self.0.frames[at..of.end].iter().take_while(|place| unwanted(place)).count();
            let wanted = self.0.frames[at..of.end].iter().take_while(|place| !unwanted(place)).count();
            if wanted == 0 {
                break;
            }
            runs.push(Run { batch: self.clone(), frames: at..at + wanted });
            at += wanted;
            pushed += 1;
        }
        at
    }

    fn start_of(&self, frame: usize) -> usize {
        if frame == 0 { 0 } else { self.0.frames[frame - 1].end }
    }
}

/// Frames of one batch without a gap between them.
#[derive(Clone, Debug)]
pub struct Run {
    batch: Batch,
    frames: Range<usize>,
}

/// How far into a run a number of bytes reaches.
#[derive(Debug, PartialEq, Eq)]
pub struct Reach {
    /// Frames of which at least one byte is covered.
    pub begun: usize,
    /// What is left of the last of them; empty when the bytes end where a frame ends.
    pub rest: Bytes,
}

impl Run {
    /// The frames' bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.batch.0.bytes[self.batch.start_of(self.frames.start)..self.batch.start_of(self.frames.end)]
    }

    /// Number of frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Index of its first frame in the batch.
    #[must_use]
    pub fn first(&self) -> usize {
        self.frames.start
    }

    /// Where `bytes`, at most the length of the run, come to stand.
    #[must_use]
    pub fn reach(&self, bytes: usize) -> Reach {
        let at = self.batch.start_of(self.frames.start) + bytes;
        let places = &self.batch.0.frames[self.frames.clone()];
        let whole = places.partition_point(|place| place.end <= at);
        let end = self.batch.start_of(self.frames.start + whole);
        if at == end {
            Reach { begun: whole, rest: Bytes::new() }
        } else {
            Reach { begun: whole + 1, rest: self.batch.0.bytes.slice(at..places[whole].end) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Incarnation;

    fn member(number: u8) -> ConnectionId {
        Incarnation::from_bytes([0; 9]).connection([number; 15])
    }

    fn batch(frames: &[(&str, &[u8])]) -> Batch {
        let mut builder = Builder::default();
        for (bytes, from) in frames {
            builder.buffer().extend_from_slice(bytes.as_bytes());
            builder.end_frame(NotFor::these(from.iter().copied().map(member).collect()));
        }
        builder.finish()
    }

    fn runs(batch: &Batch, number: u8, first: usize) -> Vec<String> {
        let mut runs = Vec::new();
        batch.runs_for(member(number), first..batch.frames(), 16, &mut runs);
        runs.iter().map(|run| String::from_utf8(run.bytes().to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_sender_is_spared_its_own_frames_and_nothing_else() {
        let batch = batch(&[("aa", &[1]), ("b", &[2]), ("ccc", &[]), ("d", &[1]), ("e", &[1])]);
        assert_eq!(runs(&batch, 1, 0), ["bccc"]);
        assert_eq!(runs(&batch, 2, 0), ["aa", "cccde"]);
        assert_eq!(runs(&batch, 3, 0), ["aabcccde"]);
        assert_eq!(runs(&batch, 3, 2), ["cccde"]);
        assert!(runs(&batch, 1, 3).is_empty());
    }

    #[test]
    fn many_are_spared_a_frame_wherever_they_stand_in_the_list_and_no_frame_behind_the_range_is_looked_at() {
        let batch = batch(&[("a", &[5, 1, 3]), ("b", &[]), ("c", &[2, 3])]);
        for (number, expected) in [(1, "bc"), (2, "ab"), (3, "b"), (4, "abc"), (5, "bc")] {
            assert_eq!(runs(&batch, number, 0).concat(), expected, "member {number}");
        }
        let mut some = Vec::new();
        assert_eq!(batch.runs_for(member(1), 0..2, 16, &mut some), 2);
        assert_eq!(some[0].bytes(), b"b");
    }

    #[test]
    fn bytes_are_found_again_as_frames() {
        let batch = batch(&[("aa", &[]), ("b", &[]), ("ccc", &[])]);
        let mut found = Vec::new();
        batch.runs_for(member(1), 1..batch.frames(), 16, &mut found);
        let run = &found[0];
        assert_eq!(run.bytes(), b"bccc");
        assert_eq!(run.reach(0), Reach { begun: 0, rest: Bytes::new() });
        assert_eq!(run.reach(1), Reach { begun: 1, rest: Bytes::new() });
        assert_eq!(run.reach(2), Reach { begun: 2, rest: Bytes::from_static(b"cc") });
        assert_eq!(run.reach(4), Reach { begun: 2, rest: Bytes::new() });
    }
}
