//! The questions to other gateways that are not answered yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

use crate::dialect::Outcome;

/// Questions under way. Each is an HTTP request that waits, and at most two seconds old.
const MOST_CALLS: usize = 4_096;

/// A handle; cloning shares the questions.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Outcome>>,
}

/// One question; dropping it stops to wait.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    calls: Calls,
    answer: oneshot::Receiver<Outcome>,
}

impl Calls {
    /// Begins to wait for an answer; nothing when too many wait.
    pub(super) fn open(&self) -> Option<Call> {
        let (sender, answer) = oneshot::channel();
        let mut state = self.state();
        if state.waiting.len() >= MOST_CALLS {
            return None;
        }
        state.last += 1;
        let number = state.last;
        state.waiting.insert(number, sender);
        Some(Call { number, calls: self.clone(), answer })
    }

    /// Hands an answer to whoever waits for it, if anybody still does.
    pub(super) fn answered(&self, call: u64, outcome: Outcome) {
        if let Some(waiting) = self.state().waiting.remove(&call) {
            let _ = waiting.send(outcome);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding the calls")
    }
}

impl Call {
    /// Waits for the answer; for ever, when there will be none.
    pub(super) async fn answer(&mut self) -> Outcome {
        match (&mut self.answer).await {
            Ok(outcome) => outcome,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.state().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_finds_its_question_and_a_late_one_nobody() {
        let calls = Calls::default();
        let (mut first, second) = (calls.open().unwrap(), calls.open().unwrap());
        let late = second.number;
        drop(second);
        calls.answered(late, Outcome::Gone);
        calls.answered(first.number, Outcome::Sent);
        assert_eq!(first.answer().await, Outcome::Sent);
        drop(first);
        assert!(calls.state().waiting.is_empty());
    }

    #[test]
    fn there_are_only_so_many() {
        let calls = Calls::default();
        let mut held: Vec<Call> = (0..MOST_CALLS).map(|_| calls.open().unwrap()).collect();
        assert!(calls.open().is_none());
        held.pop();
        assert!(calls.open().is_some());
    }
}
