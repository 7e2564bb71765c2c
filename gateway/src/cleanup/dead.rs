//! The commands for people: lists ends that were given up, and brings them back.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use crate::backplane::cleanups::Dead;
use crate::backplane::{Backplane, BackplaneError};
use crate::id::ConnectionId;

/// Ends that are brought back in one step, which blocks Redis for a few milliseconds.
const STEP: usize = 200;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DeadError {
    /// The room's Redis did not serve.
    #[error("failed to reach the room's Redis")]
    Redis(#[from] BackplaneError),
    /// Nobody reads what is printed.
    #[error("failed to print")]
    Output(#[from] io::Error),
    /// Some of those that were asked for are not there; the others are brought back.
    #[error("{0} of the IDs are not among the dead: `chatroom-gateway dead list` shows who is")]
    Unknown(usize),
}

/// Prints a line for each end that was given up, oldest first, and how many they are.
///
/// # Errors
/// See [`DeadError`].
pub async fn list(backplane: &dyn Backplane, output: &mut impl Write) -> Result<(), DeadError> {
    let dead = reach(backplane).await?;
    for Dead { id, details, tries, tried_for, why, .. } in &dead {
        writeln!(output, "{id}  {tries} tries in {}  {details}  {why}", words(*tried_for))?;
    }
    writeln!(output, "{} given up", ends(dead.len()))?;
    Ok(())
}

/// Brings ends back, all or those that are named: they are due at once, as if they had never been tried. Prints a line for
/// each, and how many they are.
///
/// # Errors
/// See [`DeadError`].
pub async fn replay(
    backplane: &dyn Backplane,
    wanted: &[ConnectionId],
    output: &mut impl Write,
) -> Result<(), DeadError> {
    let wanted: BTreeSet<_> = wanted.iter().copied().collect();
    let mut dead = reach(backplane).await?;
    dead.retain(|dead| wanted.is_empty() || wanted.contains(&dead.id));
    let mut replayed = 0;
    for some in dead.chunks(STEP) {
        replayed += backplane.replay(some.iter().map(|dead| dead.place.clone()).collect()).await?;
        for dead in some {
            writeln!(output, "{}  due now", dead.id)?;
        }
    }
    writeln!(output, "{} brought back", ends(usize::try_from(replayed).unwrap_or(usize::MAX)))?;
    let found: BTreeSet<_> = dead.iter().map(|dead| dead.id).collect();
    match wanted.difference(&found).count() {
        0 => Ok(()),
        unknown => Err(DeadError::Unknown(unknown)),
    }
}

async fn reach(backplane: &dyn Backplane) -> Result<Vec<Dead>, BackplaneError> {
    backplane.connect().await?;
    backplane.dead().await
}

fn ends(count: usize) -> String {
    if count == 1 { "1 end".into() } else { format!("{count} ends") }
}

fn words(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{} s", duration.as_secs()),
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_the_words_of_a_clock() {
        let said = [0, 59, 60, 3_599, 3_600, 86_460].map(|seconds| words(Duration::from_secs(seconds)));
        assert_eq!(said, ["0 s", "59 s", "1 min", "59 min", "1 h", "24 h 1 min"]);
    }
}
