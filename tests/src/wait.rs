//! Waiting for a condition: asks again until the answer is right, and tells what it saw last when time is over.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Between two questions. Short, because it only adds to the length of a test run; nothing depends on it.
const PAUSE: Duration = Duration::from_millis(50);

/// Long enough for anything that is not slow by design, also on a machine that compiles beside the test.
pub const SOON: Duration = Duration::from_secs(30);

/// Asks until the answer is `Ok`, and returns it.
///
/// `Err` says what was seen instead: the last one is part of the panic.
///
/// # Panics
/// When the deadline has passed.
pub async fn until<T, Seen: Display>(
    what: &str,
    deadline: Duration,
    mut question: impl AsyncFnMut() -> Result<T, Seen>,
) -> T {
    match ask(deadline, &mut question).await {
        Ok(answer) => answer,
        Err(seen) => panic!("waited {deadline:?} until {what}; last seen: {seen}"),
    }
}

/// As [`until`], but the deadline is an answer too: what was seen last.
///
/// # Errors
/// What was seen last, when the deadline has passed.
pub async fn ask<T, Seen: Display>(
    deadline: Duration,
    mut question: impl AsyncFnMut() -> Result<T, Seen>,
) -> Result<T, String> {
    let end = Instant::now() + deadline;
    let mut seen = String::from("nothing");
    loop {
        match tokio::time::timeout_at(end, question()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(now)) => seen = now.to_string(),
            Err(_) => return Err(format!("{seen} (the last question got no answer)")),
        }
        if Instant::now() >= end {
            return Err(seen);
        }
        sleep(PAUSE).await;
    }
}
