//! The highest places in the order that this gateway saw, shared by whoever sees some: publisher, delivery, lease keeper.

use std::sync::{Arc, Mutex};

use super::Position;
use crate::message::Epoch;

/// A handle; cloning shares what was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Marks>>);

#[derive(Debug, Default)]
struct Marks {
    now: Option<Position>,
    former: Option<Position>,
}

impl Seen {
    /// Notes that a number exists.
    pub fn observe(&self, epoch: &Epoch, seq: u64) {
        let mut marks = self.marks();
        let Marks { now, former } = &mut *marks;
        for mark in [&mut *now, &mut *former].into_iter().flatten() {
            if mark.epoch == *epoch {
                mark.seq = mark.seq.max(seq);
                return;
            }
        }
        *former = now.replace(Position { epoch: epoch.clone(), seq });
    }

    /// The highest number seen in this epoch; 0: none.
    #[must_use]
    pub fn highest(&self, epoch: &Epoch) -> u64 {
        self.all().into_iter().find(|mark| mark.epoch == *epoch).map_or(0, |mark| mark.seq)
    }

    /// The highest place in the newest epoch; absent: none was seen yet.
    #[must_use]
    pub fn newest(&self) -> Option<Position> {
        self.marks().now.clone()
    }

    /// What was seen in the epoch of now and in the one before; nothing of an epoch in which nothing was said.
    #[must_use]
    pub fn all(&self) -> Vec<Position> {
        let marks = self.marks();
        marks.now.iter().chain(&marks.former).filter(|mark| mark.seq > 0).cloned().collect()
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.0.lock().expect("nobody panics while holding the marks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_keeps_its_highest_number_until_two_others_came() {
        let seen = Seen::default();
        let [first, second, third] = ["a", "b", "c"].map(|name| Epoch(name.into()));
        seen.observe(&first, 7);
        seen.observe(&first, 3);
        seen.observe(&second, 1);
        seen.observe(&first, 9);
        assert_eq!((seen.highest(&first), seen.highest(&second)), (9, 1));
        seen.observe(&third, 2);
        assert_eq!((seen.highest(&first), seen.highest(&second), seen.highest(&third)), (0, 1, 2));
    }
}
