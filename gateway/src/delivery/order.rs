//! Pure: one order of messages out of what the bus, the repair log and the looks at the room's position bring.
//!
//! Invariant: what is delivered is gapless within an epoch, or the loss was told before anything behind it.

use std::collections::VecDeque;

use crate::backplane::{Batch, History, Position, RoomPosition};
use crate::message::{Epoch, RoomMessage};

/// What is held back behind a hole, at most; the rest is in the repair log anyway.
const MOST_HELD_BYTES: usize = 8 << 20;

/// How many looks at the position after a change of epoch are hurried: until every gateway that lives told what it saw.
const HURRIED_LOOKS: u8 = 8;

/// What follows from an input, to be done in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// These come next.
    Deliver(Vec<RoomMessage>),
    /// Something is missing and nobody can say what.
    Lose,
    /// A hole was filled from the repair log.
    Repaired,
}

/// Where a gateway stands in the order.
#[derive(Debug)]
pub struct Order {
    /// The last message that was delivered, or lost.
    at: Position,
    /// Where the epoch before was left, until it is known whether anybody saw more of it.
    left: Option<Position>,
    /// Looks at the position that are still likely to tell it.
    looks: u8,
    /// Behind a hole, or of an epoch whose beginning is missing; ascending.
    held: VecDeque<Batch>,
    held_bytes: usize,
    /// The highest number that is known to exist in this epoch.
    exists: u64,
}

impl Order {
    /// Begins behind a position.
    #[must_use]
    pub fn new(at: Position) -> Self {
        Self { exists: at.seq, at, left: None, looks: 0, held: VecDeque::new(), held_bytes: 0 }
    }

    /// The last message that was delivered, or lost.
    #[must_use]
    pub fn at(&self) -> &Position {
        &self.at
    }

    /// If something is known to be missing: the number behind which the repair log has to be read.
    #[must_use]
    pub fn hole(&self) -> Option<u64> {
        (self.exists > self.at.seq).then_some(self.at.seq)
    }

    /// Whether messages are held back: what is missing before them is no longer under way.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether looks at the position should be hurried: they may still tell that something of the epoch before was missed.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.looks > 0
    }

    /// Takes what the bus brings.
    pub fn batch(&mut self, batch: Batch) -> Vec<Output> {
        let mut outputs = Vec::new();
        if batch.epoch != self.at.epoch {
            if self.is_former(&batch.epoch) {
                return outputs;
            }
            self.enter(batch.epoch.clone());
        }
        self.take(batch, &mut outputs);
        self.release(&mut outputs);
        outputs
    }

    /// Takes a look at the room's position. Without other inputs, what it shows is a hole; messages may be under way.
    pub fn position(&mut self, position: &RoomPosition) -> Vec<Output> {
        if position.now.epoch != self.at.epoch {
            if self.is_former(&position.now.epoch) {
                return Vec::new();
            }
            self.enter(position.now.epoch.clone());
        }
        self.looks = self.looks.saturating_sub(1);
        self.exists = self.exists.max(position.now.seq);
        let missed = match (&self.left, &position.former) {
            // Somebody saw more of the epoch that is over than this gateway delivered; or another one came between.
            (Some(left), Some(former)) => left.epoch != former.epoch || left.seq < former.seq,
            _ => false,
        };
        if missed {
            (self.left, self.looks) = (None, 0);
            return vec![Output::Lose];
        }
        Vec::new()
    }

    /// Takes what the repair log answered to a hole.
    pub fn repaired(&mut self, history: History) -> Vec<Output> {
        let mut outputs = Vec::new();
        let Some(hole) = self.hole() else { return outputs };
        let History { batches, complete } = history;
        for batch in batches {
            if batch.epoch != self.at.epoch {
                // The room went on to another epoch meanwhile: what is missing here is gone for good.
                continue;
            }
            if batch.first > self.at.seq + 1 {
                self.lose(batch.first - 1, &mut outputs);
            }
            self.take(batch, &mut outputs);
        }
        self.release(&mut outputs);
        if complete && self.at.seq < self.exists {
            // The log does not reach back to the beginning of the hole, or not up to its end.
            let end = self.held.front().map_or(self.exists, |batch| batch.first - 1);
            self.lose(end, &mut outputs);
            self.release(&mut outputs);
        }
        if self.at.seq > hole && !outputs.contains(&Output::Lose) {
            outputs.push(Output::Repaired);
        }
        outputs
    }

    /// Whether it is a late word about the epoch before.
    fn is_former(&self, epoch: &Epoch) -> bool {
        self.left.as_ref().is_some_and(|left| left.epoch == *epoch)
    }

    /// A new epoch begins at 1. What is missing of the old one shows in what others report.
    fn enter(&mut self, epoch: Epoch) {
        let at = std::mem::replace(&mut self.at, Position { epoch, seq: 0 });
        if at.seq > 0 {
            // An epoch in which nothing was said does not hide the one before it.
            self.left = Some(at);
        }
        self.looks = if self.left.is_some() { HURRIED_LOOKS } else { 0 };
        self.held.clear();
        self.held_bytes = 0;
        self.exists = 0;
    }

    fn take(&mut self, batch: Batch, outputs: &mut Vec<Output>) {
        self.exists = self.exists.max(batch.last());
        if batch.last() <= self.at.seq {
            return;
        }
        if batch.first <= self.at.seq + 1 {
            self.deliver(batch, outputs);
            return;
        }
        let follows = |held: &Batch| held.last() < batch.first && self.held_bytes + batch.weight() <= MOST_HELD_BYTES;
        if self.held.back().is_none_or(follows) {
            self.held_bytes += batch.weight();
            self.held.push_back(batch);
        }
    }

    fn deliver(&mut self, batch: Batch, outputs: &mut Vec<Output>) {
        let Batch { epoch: _, first, online, messages } = batch;
        let from = self.at.seq;
        let numbered = (first..).zip(messages).map(|(seq, message)| RoomMessage { seq, online, message });
        let messages: Vec<RoomMessage> = numbered.filter(|message| message.seq > from).collect();
        self.at.seq = messages.last().map_or(from, |message| message.seq);
        outputs.push(Output::Deliver(messages));
    }

    /// Delivers what was held and follows now.
    fn release(&mut self, outputs: &mut Vec<Output>) {
        while self.held.front().is_some_and(|batch| batch.first <= self.at.seq + 1) {
            let batch = self.held.pop_front().expect("it was looked at just now");
            self.held_bytes -= batch.weight();
            if batch.last() > self.at.seq {
                self.deliver(batch, outputs);
            }
        }
    }

    fn lose(&mut self, end: u64, outputs: &mut Vec<Output>) {
        self.at.seq = end;
        if outputs.last() != Some(&Output::Lose) {
            outputs.push(Output::Lose);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::message::{Kind, Message};

    fn epoch(name: &str) -> Epoch {
        Epoch(name.into())
    }

    fn at(name: &str, seq: u64) -> Position {
        Position { epoch: epoch(name), seq }
    }

    fn looked(now: Position) -> RoomPosition {
        RoomPosition { now, former: None }
    }

    fn batch(name: &str, first: u64, count: u64) -> Batch {
        let message =
            |seq: u64| Message { from: None, kind: Kind::Text, payload: Bytes::from(seq.to_string()), exclude: None };
        Batch { epoch: epoch(name), first, online: first, messages: (first..first + count).map(message).collect() }
    }

    fn log(batches: impl IntoIterator<Item = Batch>) -> History {
        History { batches: batches.into_iter().collect(), complete: true }
    }

    /// The numbers that were delivered, and `None` where something was told to be lost.
    fn story(outputs: &[Output]) -> Vec<Option<u64>> {
        let step = |output: &Output| match output {
            Output::Deliver(messages) => messages.iter().map(|message| Some(message.seq)).collect(),
            Output::Lose => vec![None],
            Output::Repaired => vec![],
        };
        outputs.iter().flat_map(step).collect()
    }

    fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<Option<u64>> {
        range.map(Some).collect()
    }

    #[test]
    fn what_follows_is_delivered_and_what_was_is_dropped() {
        let mut order = Order::new(at("a", 5));
        assert_eq!(story(&order.batch(batch("a", 6, 2))), numbers(6..=7));
        assert_eq!(story(&order.batch(batch("a", 1, 7))), []);
        assert_eq!(story(&order.batch(batch("a", 6, 4))), numbers(8..=9), "only its new part");
        assert_eq!(order.hole(), None);
    }

    #[test]
    fn behind_a_hole_everything_waits_for_the_log() {
        let mut order = Order::new(at("a", 0));
        assert_eq!(story(&order.batch(batch("a", 4, 2))), []);
        assert_eq!(story(&order.batch(batch("a", 6, 1))), []);
        assert_eq!((order.hole(), order.is_blocked()), (Some(0), true));
        let outputs = order.repaired(log([batch("a", 1, 2), batch("a", 3, 1), batch("a", 4, 2)]));
        assert_eq!(story(&outputs), numbers(1..=6));
        assert_eq!(outputs.last(), Some(&Output::Repaired));
        assert_eq!((order.hole(), order.is_blocked()), (None, false));
    }

    #[test]
    fn a_page_of_the_log_is_not_the_end_of_it() {
        let mut order = Order::new(at("a", 0));
        order.batch(batch("a", 9, 1));
        let page = History { complete: false, ..log([batch("a", 1, 4)]) };
        assert_eq!(story(&order.repaired(page)), numbers(1..=4));
        assert_eq!(order.hole(), Some(4));
        assert_eq!(story(&order.repaired(log([batch("a", 5, 4)]))), numbers(5..=9));
    }

    #[test]
    fn what_the_log_does_not_have_is_told_before_what_follows() {
        let mut order = Order::new(at("a", 0));
        order.batch(batch("a", 8, 1));
        let outputs = order.repaired(log([batch("a", 3, 2), batch("a", 6, 2)]));
        assert_eq!(story(&outputs), [None, Some(3), Some(4), None, Some(6), Some(7), Some(8)]);
        assert!(!outputs.contains(&Output::Repaired));
        order.batch(batch("a", 12, 1));
        assert_eq!(story(&order.repaired(log([]))), [None, Some(12)]);
    }

    #[test]
    fn a_look_finds_what_got_lost_without_a_trace() {
        let mut order = Order::new(at("a", 3));
        assert_eq!(order.position(&looked(at("a", 3))), []);
        assert_eq!(order.hole(), None);
        order.position(&looked(at("a", 5)));
        assert_eq!((order.hole(), order.is_blocked()), (Some(3), false), "it may be under way");
        assert_eq!(story(&order.repaired(log([batch("a", 4, 2)]))), numbers(4..=5));
    }

    #[test]
    fn a_new_epoch_begins_at_one_and_late_words_of_the_old_one_are_dropped() {
        let mut order = Order::new(at("a", 3));
        assert_eq!(story(&order.batch(batch("b", 1, 2))), numbers(1..=2));
        assert_eq!(order.batch(batch("a", 4, 1)), []);
        assert_eq!(order.position(&looked(at("a", 4))), []);
        assert_eq!(story(&order.batch(batch("b", 3, 1))), numbers(3..=3));
        let mut late = Order::new(at("a", 3));
        assert_eq!(story(&late.batch(batch("b", 4, 1))), []);
        assert_eq!(story(&late.repaired(log([batch("b", 1, 3)]))), numbers(1..=4));
    }

    #[test]
    fn the_epoch_before_was_heard_whole_unless_somebody_saw_more_of_it() {
        for (former, expected) in [
            (None, vec![]),
            (Some(at("a", 2)), vec![]),
            (Some(at("a", 3)), vec![]),
            (Some(at("a", 4)), vec![Output::Lose]),
            (Some(at("between", 1)), vec![Output::Lose]),
        ] {
            let mut order = Order::new(at("a", 3));
            order.batch(batch("b", 1, 1));
            assert!(order.is_watching());
            let position = RoomPosition { now: at("b", 1), former };
            assert_eq!(order.position(&position), expected, "{position:?}");
            assert_eq!(order.position(&position), [], "told once");
        }
    }

    #[test]
    fn an_epoch_in_which_nothing_was_said_hides_nothing() {
        let mut order = Order::new(at("a", 3));
        order.position(&looked(at("b", 0)));
        let position = RoomPosition { now: at("c", 0), former: Some(at("a", 4)) };
        assert_eq!(order.position(&position), [Output::Lose]);
    }

    #[test]
    fn a_hole_in_an_epoch_that_is_over_is_lost() {
        let mut order = Order::new(at("a", 3));
        order.batch(batch("a", 6, 1));
        assert_eq!(story(&order.repaired(log([batch("b", 1, 9)]))), [None, Some(6)]);
    }

    /// What a run of the machine may meet.
    #[derive(Clone, Debug)]
    enum Event {
        /// The next batch is said, and arrives or not.
        Said {
            count: u64,
            arrives: bool,
        },
        Looked,
        /// The log is read, and reaches back so many batches.
        Read {
            reaches: usize,
        },
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (1..4_u64, any::<bool>()).prop_map(|(count, arrives)| Event::Said { count, arrives }),
            1 => Just(Event::Looked),
            2 => (0..6_usize).prop_map(|reaches| Event::Read { reaches }),
        ]
    }

    proptest! {
        #[test]
        fn no_hole_is_silent_and_nothing_comes_twice(events in proptest::collection::vec(any_event(), 1..60)) {
            let (mut order, mut said, mut outputs, mut next) = (Order::new(at("a", 0)), Vec::new(), Vec::new(), 1);
            for event in events {
                match event {
                    Event::Said { count, arrives } => {
                        said.push(batch("a", next, count));
                        next += count;
                        if arrives {
                            outputs.extend(order.batch(said[said.len() - 1].clone()));
                        }
                    }
                    Event::Looked => outputs.extend(order.position(&looked(at("a", next - 1)))),
                    Event::Read { reaches } => {
                        if let Some(after) = order.hole() {
                            let kept = said.iter().rev().take(reaches).rev();
                            outputs.extend(order.repaired(log(kept.filter(|batch| batch.last() > after).cloned())));
                        }
                    }
                }
            }
            // In the end a look, and a log that reaches back far enough.
            outputs.extend(order.position(&looked(at("a", next - 1))));
            if let Some(after) = order.hole() {
                outputs.extend(order.repaired(log(said.iter().filter(|batch| batch.last() > after).cloned())));
            }
            prop_assert_eq!(order.hole(), None);
            let (mut last, mut told) = (0, false);
            for step in story(&outputs) {
                match step {
                    None => told = true,
                    Some(seq) => {
                        prop_assert!(seq == last + 1 || (seq > last && told), "{} behind {}", seq, last);
                        (last, told) = (seq, false);
                    }
                }
            }
            prop_assert!(last == next - 1 || told);
        }
    }
}
