//! Whether this gateway takes clients: its standing in the room, and whether it drains.

use tokio::sync::watch;

use crate::admission::Openness;
use crate::membership::{Membership, Standing};

/// A view of both; cloning shares it.
#[derive(Clone, Debug)]
pub struct Readiness {
    membership: watch::Receiver<Membership>,
    draining: watch::Receiver<bool>,
}

impl Readiness {
    /// Puts the two together.
    #[must_use]
    pub fn new(membership: watch::Receiver<Membership>, draining: watch::Receiver<bool>) -> Self {
        Self { membership, draining }
    }

    /// As of now.
    #[must_use]
    pub fn openness(&self) -> Openness {
        openness(self.membership.borrow().standing, *self.draining.borrow())
    }

    /// How the gateway stands in the room, draining or not.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.membership.borrow().standing
    }

    /// Whether the gateway lets its clients go.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// Draining outweighs the rest: it is the one that does not pass.
fn openness(standing: Standing, draining: bool) -> Openness {
    match standing {
        _ if draining => Openness::Draining,
        Standing::Joining => Openness::Joining,
        Standing::Isolated => Openness::Isolated,
        Standing::Leased => Openness::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_member_that_stays_takes_clients() {
        for (standing, draining, expected) in [
            (Standing::Joining, false, Openness::Joining),
            (Standing::Leased, false, Openness::Open),
            (Standing::Isolated, false, Openness::Isolated),
            (Standing::Joining, true, Openness::Draining),
            (Standing::Leased, true, Openness::Draining),
            (Standing::Isolated, true, Openness::Draining),
        ] {
            assert_eq!(openness(standing, draining), expected);
        }
    }
}
