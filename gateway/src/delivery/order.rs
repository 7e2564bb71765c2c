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
