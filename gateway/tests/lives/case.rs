//! What happens in one room, as values: small enough to be read when a test fails.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::functions::Then;

pub(crate) const NODES: usize = 3;
/// Long enough that whatever does not wait for the end of a call is seen to begin before it.
const SLOW: Duration = Duration::from_millis(700);

/// A room's story.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) lives: Vec<Life>,
    pub(crate) blows: Vec<Blow>,
    pub(crate) cleanup: Mood,
}

/// One client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// Where it connects.
    pub(crate) node: usize,
    pub(crate) register: Answer,
    pub(crate) conduct: Conduct,
    /// To each of its messages.
    pub(crate) transport: Answer,
}

/// What a function does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    SlowYes,
    /// An `errNo` that is not 0, which counts for the register function only.
    No,
    BadRequest,
    ServerError,
    Unreadable,
    DiesAfterReading,
    Hangs,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Until everything else is over; first it says so many messages.
    Stays {
        says: u8,
    },
    LeavesAtOnce,
    LeavesWhileRegistered,
    /// As soon as the first of its messages is being told.
    LeavesWhileTold {
        says: u8,
    },
    /// The register function has it closed while it is asked about it.
    ClosedWhileRegistered,
    /// If it says anything, while the first of it is being told.
    ClosedInside {
        says: u8,
    },
}

/// What a gateway suffers, once: the life's own, or the one that tells its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blow {
    pub(crate) kind: Kind,
    pub(crate) moment: Moment,
    /// The number of a life; beyond the last one it begins anew.
    pub(crate) life: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Kill,
    /// For longer than a lease.
    Freeze,
    /// For less than a lease.
    Hiccup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    RegisterRead,
    RegisterAnswered,
    Seated,
    TransportRead,
    CleanupRead,
    CleanupAnswered,
}

/// How the cleanup function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Answers 500 to the first call for each end.
    RefusesFirst,
    /// Breaks every call off for a while from the first one on.
    AwayAtFirst,
}

impl Case {
    /// Every answer of the register function with everything that a client does, and no blow.
    pub(crate) fn grid() -> Self {
        let mut lives = Vec::new();
        for register in Answer::ALL {
            for conduct in Conduct::ALL {
                let number = lives.len();
                lives.push(Life {
                    node: number % NODES,
                    register,
                    conduct,
                    transport: Answer::ALL[number % Answer::ALL.len()],
                });
            }
        }
        Self { lives, blows: Vec::new(), cleanup: Mood::RefusesFirst }
    }

    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let mood = prop_oneof![4 => Just(Mood::Well), 1 => Just(Mood::RefusesFirst), 1 => Just(Mood::AwayAtFirst)];
        (vec(Life::any(), 1..12), vec(Blow::any(), 0..3), mood).prop_map(|(lives, blows, cleanup)| Self {
            lives,
            blows,
            cleanup,
        })
    }

    pub(crate) fn life_of(&self, blow: &Blow) -> usize {
        blow.life % self.lives.len()
    }
}

impl Life {
    fn any() -> impl Strategy<Value = Self> {
        let register = prop_oneof![6 => Just(Answer::Yes), 3 => Just(Answer::SlowYes), 6 => Answer::any()];
        let transport = prop_oneof![2 => Just(Answer::Yes), 3 => Just(Answer::SlowYes), 2 => Answer::any()];
        (0..NODES, register, Conduct::any(), transport).prop_map(|(node, register, conduct, transport)| Self {
            node,
            register,
            conduct,
            transport,
        })
    }
}

impl Answer {
    const ALL: [Self; 8] = [
        Self::Yes,
        Self::SlowYes,
        Self::No,
        Self::BadRequest,
        Self::ServerError,
        Self::Unreadable,
        Self::DiesAfterReading,
        Self::Hangs,
    ];

    fn any() -> impl Strategy<Value = Self> {
        proptest::sample::select(&Self::ALL[..])
    }

    /// Whether a register function that says this surely did not let the client in.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::No | Self::BadRequest)
    }

    /// Whether it is 200: what a message's answer says else does not count.
    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::Yes | Self::SlowYes | Self::No | Self::Unreadable)
    }

    pub(crate) fn then(self) -> Then {
        match self {
            Self::Yes => Then::accept(),
            Self::SlowYes => Then::After(SLOW, Box::new(Then::accept())),
            Self::No => Then::ok(r#"{"errNo":1,"errMsg":"no"}"#),
            Self::BadRequest => Then::status(400),
            Self::ServerError => Then::status(500),
            Self::Unreadable => Then::ok("errNo: 0"),
            Self::DiesAfterReading => Then::Die,
            Self::Hangs => Then::Hang,
        }
    }
}

impl Conduct {
    const ALL: [Self; 7] = [
        Self::Stays { says: 0 },
        Self::Stays { says: 3 },
        Self::LeavesAtOnce,
        Self::LeavesWhileRegistered,
        Self::LeavesWhileTold { says: 2 },
        Self::ClosedWhileRegistered,
        Self::ClosedInside { says: 2 },
    ];

    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            (0..4_u8).prop_map(|says| Self::Stays { says }),
            Just(Self::LeavesAtOnce),
            Just(Self::LeavesWhileRegistered),
            (1..4_u8).prop_map(|says| Self::LeavesWhileTold { says }),
            Just(Self::ClosedWhileRegistered),
            (0..3_u8).prop_map(|says| Self::ClosedInside { says }),
        ]
    }

    /// How many messages the client says, if it gets so far.
    pub(crate) fn says(self) -> usize {
        match self {
            Self::Stays { says } | Self::LeavesWhileTold { says } | Self::ClosedInside { says } => says.into(),
            Self::LeavesAtOnce | Self::LeavesWhileRegistered | Self::ClosedWhileRegistered => 0,
        }
    }
}

impl Blow {
    fn any() -> impl Strategy<Value = Self> {
        let kind = prop_oneof![3 => Just(Kind::Kill), 2 => Just(Kind::Freeze), 1 => Just(Kind::Hiccup)];
        let moment = prop_oneof![
            3 => Just(Moment::RegisterRead),
            2 => Just(Moment::RegisterAnswered),
            2 => Just(Moment::Seated),
            3 => Just(Moment::TransportRead),
            // These cost the time for which a claim is hidden.
            1 => Just(Moment::CleanupRead),
            1 => Just(Moment::CleanupAnswered),
        ];
        (kind, moment, 0..12_usize).prop_map(|(kind, moment, life)| Self { kind, moment, life })
    }
}
