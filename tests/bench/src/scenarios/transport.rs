//! What it costs that a function hears what a client says, and that its answer reaches another client.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use serde_json::json;

use crate::http::Poster;
use crate::load::client::Client;
use crate::load::function::{Function, TRANSPORT};
use crate::load::text;
use crate::probe::{Comparison, Probe};
use crate::stage::Stage;

/// Nothing is promised; it is told.
pub(super) const COMPARISONS: &[Comparison] = &[
    Comparison {
        name: "Transport: a client's frame until the function has read it",
        floor_name: "POST to the same server until it has read it",
        floor: &[Probe::BarePost],
        ours: Probe::TransportCall,
        without: None,
        bar: None,
    },
    Comparison {
        name: "Loop: a client's frame, function, push, frame at another client",
        floor_name: "two HTTP echoes, which are as many hops",
        floor: &[Probe::Echo, Probe::Echo],
        ours: Probe::Loop,
        without: None,
        bar: None,
    },
];

/// All are here: the shortest way.
const GATEWAY: usize = 0;
/// They speak in turn. The gateway tells a function what one client says one at a time, so each should find its own last call
/// answered, and not wait for it.
const TALKERS: usize = 4;

/// Clients that speak, the function that hears them, and a client that hears the function.
#[derive(Debug)]
pub(super) struct Transport {
    bare: Poster,
    talkers: Vec<Client>,
    hearer: Client,
    id: String,
    said: u64,
    // Behind those that it lets in.
    function: Function,
}

impl Transport {
    /// Connects them.
    ///
    /// # Errors
    /// When a gateway says no.
    pub(super) async fn prepare(stage: &Stage, mut function: Function) -> anyhow::Result<Self> {
        let mut talkers = Vec::new();
        for _ in 0..TALKERS {
            talkers.push(Client::connect(stage.url(GATEWAY)).await?);
            function.registered().await?;
        }
        let hearer = Client::connect(stage.url(GATEWAY)).await?;
        let id = function.registered().await?;
        function.pass_on_to(&stage.push_url(GATEWAY), &id);
        let bare = Poster::connect(&function.url(TRANSPORT)).await?;
        Ok(Self { bare, talkers, hearer, id, said: 0, function })
    }

    /// A POST of what a gateway would post, without a gateway.
    ///
    /// # Errors
    /// When the function does not get it.
    pub(super) async fn bare_post(&mut self) -> anyhow::Result<Duration> {
        let body = event(&self.id, &text::payload(text::NOTE, 0));
        let begun = Instant::now();
        self.bare.post(body).await?;
        Ok(self.function.read().await? - begun)
    }

    /// A client says something, and the function reads it.
    ///
    /// # Errors
    /// When the function does not get it.
    pub(super) async fn call(&mut self) -> anyhow::Result<Duration> {
        let begun = self.say(text::NOTE).await?.1;
        Ok(self.function.read().await? - begun)
    }

    /// A client says something, the function pushes it to another, and that one hears it.
    ///
    /// # Errors
    /// When it does not arrive.
    pub(super) async fn full_loop(&mut self) -> anyhow::Result<Duration> {
        let (text, begun) = self.say(text::PASS_ON).await?;
        let heard = self.hearer.hears(&text).await?;
        self.function.read().await?;
        self.function.passed_on().await?;
        Ok(heard - begun)
    }

    async fn say(&mut self, word: &str) -> anyhow::Result<(String, Instant)> {
        self.said += 1;
        let text = text::payload(word, self.said);
        let turn = usize::try_from(self.said % TALKERS as u64)?;
        let talker = self.talkers.get_mut(turn).context("there are as many talkers as turns")?;
        let begun = talker.say(text.clone()).await?;
        Ok((text, begun))
    }
}

/// What a gateway posts when a client has said something, in Tencent's words.
fn event(id: &str, text: &str) -> Bytes {
    let said = json!({"action": "data recv", "secConnectionID": id, "dataType": "text", "data": text});
    json!({"websocket": said}).to_string().into()
}
