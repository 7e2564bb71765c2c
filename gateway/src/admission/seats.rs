//! Counts those who are being let in, so that a burst cannot pass the limit between "there is room" and "it is taken".

use std::sync::{Arc, Mutex, PoisonError};

/// The clients that were told "yes" and are not counted as sessions yet.
#[derive(Clone, Debug, Default)]
pub struct Seats {
    in_between: Arc<Mutex<usize>>,
}

/// One of them; dropping it gives the seat back.
#[derive(Debug)]
pub struct Seat {
    in_between: Arc<Mutex<usize>>,
}

impl Seats {
    /// Asks `decide` with the number of seats that are taken, `held` by sessions and in between; takes one more when
    /// the answer is yes. Nobody else is asked meanwhile, so `held` and `decide` have to be quick.
    ///
    /// # Errors
    /// What `decide` says.
    pub fn take<E>(
        &self,
        held: impl FnOnce() -> usize,
        decide: impl FnOnce(usize) -> Result<(), E>,
    ) -> Result<Seat, E> {
        let mut in_between = self.in_between.lock().unwrap_or_else(PoisonError::into_inner);
        decide(held() + *in_between)?;
        *in_between += 1;
        drop(in_between);
        Ok(Seat { in_between: Arc::clone(&self.in_between) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.in_between.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(limit: usize) -> impl Fn(usize) -> Result<(), usize> {
        move |taken| if taken < limit { Ok(()) } else { Err(taken) }
    }

    #[test]
    fn seats_in_between_count_with_the_held_ones_until_they_are_given_back() {
        let seats = Seats::default();
        let first = seats.take(|| 1, below(3)).unwrap();
        let _second = seats.take(|| 1, below(3)).unwrap();
        assert_eq!(seats.take(|| 1, below(3)).unwrap_err(), 3);
        drop(first);
        assert!(seats.take(|| 1, below(3)).is_ok());
    }

    #[test]
    fn a_burst_from_many_threads_takes_exactly_what_there_is() {
        let seats = Seats::default();
        let taken: usize = std::thread::scope(|scope| {
            let burst: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..100).filter_map(|_| seats.take(|| 0, below(250)).ok()).collect::<Vec<_>>()))
                .collect();
            let kept: Vec<_> = burst.into_iter().map(|thread| thread.join().unwrap()).collect();
            kept.iter().map(Vec::len).sum()
        });
        assert_eq!(taken, 250);
    }
}
