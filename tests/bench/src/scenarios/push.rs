//! A push to one client: from the POST to the frame at the client.

use std::time::{Duration, Instant};

use crate::load::client::Client;
use crate::load::function::Function;
use crate::load::pusher::{Pusher, data_send};
use crate::load::text;
use crate::probe::{Comparison, Probe};
use crate::stage::Stage;

/// What is promised of a push.
pub(super) const COMPARISONS: &[Comparison] = &[
    Comparison {
        name: "Push, through the gateway that holds the client",
        floor_name: "HTTP echo + Redis script",
        floor: &[Probe::Echo, Probe::Script],
        ours: Probe::PushToOwner,
        without: None,
        bar: Some(3.0),
    },
    Comparison {
        name: "What a push through another gateway adds to that",
        floor_name: "Redis hop",
        floor: &[Probe::Hop],
        ours: Probe::PushToOther,
        without: Some(Probe::PushToOwner),
        bar: Some(1.5),
    },
];

const OWNER: usize = 0;
const OTHER: usize = 1;

/// A client, and a connection to its gateway's push port and to another's.
#[derive(Debug)]
pub(super) struct Push {
    client: Client,
    id: String,
    owner: Pusher,
    other: Pusher,
    said: u64,
}

impl Push {
    /// Connects them.
    ///
    /// # Errors
    /// When a gateway says no.
    pub(super) async fn prepare(stage: &Stage, function: &mut Function) -> anyhow::Result<Self> {
        let client = Client::connect(stage.url(OWNER)).await?;
        let id = function.registered().await?;
        let owner = Pusher::connect(&stage.push_url(OWNER)).await?;
        let other = Pusher::connect(&stage.push_url(OTHER)).await?;
        Ok(Self { client, id, owner, other, said: 0 })
    }

    /// Through the gateway that holds the client.
    ///
    /// # Errors
    /// When the push fails, or does not arrive.
    pub(super) async fn through_owner(&mut self) -> anyhow::Result<Duration> {
        self.said += 1;
        time(&mut self.owner, &self.id, &mut self.client, self.said).await
    }

    /// Through another gateway.
    ///
    /// # Errors
    /// When the push fails, or does not arrive.
    pub(super) async fn through_other(&mut self) -> anyhow::Result<Duration> {
        self.said += 1;
        time(&mut self.other, &self.id, &mut self.client, self.said).await
    }
}

/// The answer is waited for, too: the next sample should not begin before this one is over.
async fn time(pusher: &mut Pusher, id: &str, client: &mut Client, number: u64) -> anyhow::Result<Duration> {
    let text = text::payload(text::NOTE, number);
    let body = data_send(id, &text);
    let begun = Instant::now();
    let (_, heard) = tokio::try_join!(pusher.push(body), client.hears(&text))?;
    Ok(heard - begun)
}
