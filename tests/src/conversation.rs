//! What is said in the sample room, and how people are counted there.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::chat::{ChatClient, Received};

/// How long one message may take before another one is tried.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two messages.
const PAUSE: Duration = Duration::from_millis(50);

/// What a room with the sample's suffix makes of a text while `online` people are in it.
#[must_use]
pub fn with_count(text: &str, online: usize) -> String {
    format!("{text}(===Online people:{online}===)")
}

/// Lets `speaker` say something, again and again, until `listener` hears it with this count.
///
/// # Panics
/// When that has not happened at the deadline, or one of the two is cut off.
pub async fn count_becomes(online: usize, speaker: &mut ChatClient, listener: &mut ChatClient, deadline: Duration) {
    let end = Instant::now() + deadline;
    let mut seen = String::from("nothing");
    for round in 0.. {
        assert!(Instant::now() < end, "waited {deadline:?} until {online} people are counted; last seen: {seen}");
        let text = format!("count {online}, {round}");
        speaker.say(&text).await;
        // A message may be late, or lost to the fault under test: then the next one is asked.
        seen = answer(listener, &text).await;
        if seen == with_count(&text, online) {
            return;
        }
        // What was answered at once is not yet right: asked faster than this, it would not be sooner.
        sleep(PAUSE).await;
    }
}

/// What `listener` hears of this text.
async fn answer(listener: &mut ChatClient, text: &str) -> String {
    while let Some(received) = listener.next_within(PATIENCE).await {
        match received {
            Received::Text(heard) if heard.starts_with(&format!("{text}(")) => return heard,
            Received::Text(_) | Received::Binary(_) => {}
            Received::Closed(code) => panic!("{listener} was closed with {code:?}"),
        }
    }
    format!("nothing of {text:?}")
}
