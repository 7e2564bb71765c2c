//! What is timed and in which order: all probes take turns, so that whatever else the machine does, it does to all of them.

mod push;
mod transport;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use rand::seq::SliceRandom as _;
use tokio::time::timeout;

use self::push::Push;
use self::transport::Transport;
use crate::floor::Floors;
use crate::load::function::Function;
use crate::probe::{Comparison, Effort, Probe};
use crate::rounds::Round;
use crate::stage::Stage;

/// A sample takes far less than a millisecond; without an answer in this time there will be none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that is timed, ready.
#[derive(Debug)]
pub(crate) struct Scenarios {
    floors: Floors,
    push: Push,
    transport: Transport,
}

/// What is compared with what.
pub(crate) fn comparisons() -> Vec<Comparison> {
    [push::COMPARISONS, transport::COMPARISONS].concat()
}

impl Scenarios {
    /// Connects everything.
    ///
    /// # Errors
    /// When something does not come up.
    pub(crate) async fn prepare(stage: &Stage, mut function: Function) -> anyhow::Result<Self> {
        let redis_url = stage.redis_url();
        let redis = redis::Client::open(redis_url.as_str())?;
        let floors = Floors::start(&redis, &redis_url).await?;
        let push = Push::prepare(stage, &mut function).await?;
        let transport = Transport::prepare(stage, function).await?;
        Ok(Self { floors, push, transport })
    }

    /// Warms everything up, then measures round after round; `told` is called before each.
    ///
    /// # Errors
    /// When something gave no answer, or a wrong one.
    pub(crate) async fn run(&mut self, effort: Effort, mut told: impl FnMut(usize)) -> anyhow::Result<Vec<Round>> {
        self.round(Effort { rounds: 1, turns: 2, ..effort }).await?;
        let mut rounds = Vec::new();
        for number in 1..=effort.rounds {
            told(number);
            rounds.push(Round::of(&self.round(effort).await?));
        }
        Ok(rounds)
    }

    async fn round(&mut self, effort: Effort) -> anyhow::Result<BTreeMap<Probe, Vec<Duration>>> {
        let mut samples = BTreeMap::<Probe, Vec<Duration>>::new();
        let mut order = Probe::ALL;
        for _ in 0..effort.turns {
            order.shuffle(&mut rand::rng());
            for probe in order {
                let failed = || format!("no sample of: {}", probe.words());
                let burst = timeout(PATIENCE, self.burst(probe, effort.burst)).await.with_context(failed)?;
                samples.entry(probe).or_default().extend(burst.with_context(failed)?);
            }
        }
        Ok(samples)
    }

    async fn burst(&mut self, probe: Probe, count: usize) -> anyhow::Result<Vec<Duration>> {
        let mut samples = Vec::with_capacity(count);
        for _ in 0..count {
            samples.push(self.sample(probe).await?);
        }
        Ok(samples)
    }

    async fn sample(&mut self, probe: Probe) -> anyhow::Result<Duration> {
        match probe {
            Probe::Echo => self.floors.echo().await,
            Probe::Script => self.floors.script().await,
            Probe::Hop => self.floors.hop().await,
            Probe::PushToOwner => self.push.through_owner().await,
            Probe::PushToOther => self.push.through_other().await,
            Probe::BarePost => self.transport.bare_post().await,
            Probe::TransportCall => self.transport.call().await,
            Probe::Loop => self.transport.full_loop().await,
        }
    }
}
