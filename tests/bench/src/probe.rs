//! Pure: everything that is timed, what is compared with what, and how often.

/// One thing that is timed. Each sample begins when the one before has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Probe {
    /// A POST to a server that does nothing, and its answer.
    Echo,
    /// A script in Redis that does nothing, and its answer.
    Script,
    /// From a PUBLISH to the subscriber in another process.
    Hop,
    /// From a push to the frame at the client, by the gateway that holds the client.
    PushToOwner,
    /// The same by a gateway that does not.
    PushToOther,
    /// From a POST until the function's server has read it.
    BarePost,
    /// From a client's frame until the function's server has read the call.
    TransportCall,
    /// From a client's frame through the function to the frame at another client.
    Loop,
}

impl Probe {
    /// All of them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Echo,
        Self::Script,
        Self::Hop,
        Self::PushToOwner,
        Self::PushToOther,
        Self::BarePost,
        Self::TransportCall,
        Self::Loop,
    ];

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Echo => "HTTP echo: POST and answer",
            Self::Script => "Redis script: EVALSHA and answer",
            Self::Hop => "Redis hop: PUBLISH to another process",
            Self::PushToOwner => "push through the gateway that holds the client",
            Self::PushToOther => "push through another gateway",
            Self::BarePost => "POST until the function has read it",
            Self::TransportCall => "client's frame until the function has read the call",
            Self::Loop => "client's frame, function, push, frame at another client",
        }
    }
}

/// Something of ours beside its floor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comparison {
    /// What is compared, for people.
    pub(crate) name: &'static str,
    /// What the floor is, for people.
    pub(crate) floor_name: &'static str,
    /// The floor: the sum of these.
    pub(crate) floor: &'static [Probe],
    pub(crate) ours: Probe,
    /// Taken off ours first, where what something adds is the question.
    pub(crate) without: Option<Probe>,
    /// The ratio that must not be exceeded, if one was promised.
    pub(crate) bar: Option<f64>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Rounds, each with a ratio of its own.
    pub(crate) rounds: usize,
    /// How often each probe has its turn in a round.
    pub(crate) turns: usize,
    /// Samples in a row. The first finds the caches cold, as all of a rare push would.
    pub(crate) burst: usize,
}
