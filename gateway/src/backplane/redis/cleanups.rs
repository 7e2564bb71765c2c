//! The queue of ends of a room in Redis: how its scripts are called.

use super::scripts::{Call, Script};
use super::{EXPIRY_SECONDS, Redis, answers, flag};
use crate::backplane::BackplaneError;
use crate::backplane::cleanups::{Claiming, Claims, Dead, MOST_DEAD, Settled, Settlement};

/// Why an event was given up, at most: it is kept beside each of the dead.
const WHY_BYTES: usize = 200;

impl Redis {
    fn cleanup_keys<const N: usize>(&self, names: [&str; N]) -> [String; N] {
        names.map(|name| self.keys.key(name))
    }

    pub(super) async fn claim_events(&self, claiming: Claiming) -> Result<Claims, BackplaneError> {
        let Claiming { at_most, hidden_for, early } = claiming;
        let call = Call::new(Script::Claim)
            .keys(self.cleanup_keys(["due", "claims", "events", "tries"]))
            .arg(at_most.to_string())
            .arg(hidden_for.as_millis().to_string())
            .arg(flag(early))
            .arg(EXPIRY_SECONDS.to_string());
        answers::claims(self.call(call).await?)
    }

    pub(super) async fn settle_events(&self, settled: Vec<Settled>) -> Result<u64, BackplaneError> {
        let mut call = Call::new(Script::Settle)
            .keys(self.cleanup_keys(["due", "claims", "events", "tries", "told", "dead"]))
            .arg(MOST_DEAD.to_string())
            .arg(EXPIRY_SECONDS.to_string());
        for Settled { id, tries, outcome } in settled {
            let (word, more) = match outcome {
                Settlement::Done => ("done", String::new()),
                Settlement::Later(wait) => ("later", wait.as_millis().to_string()),
                Settlement::Bury(why) => ("bury", why[..why.floor_char_boundary(WHY_BYTES)].to_owned()),
            };
            call = call.arg(id.as_str()).arg(tries.to_string()).arg(word).arg(more);
        }
        answers::number(self.call(call).await?)
    }

    pub(super) async fn hasten_events(&self, at_most: usize) -> Result<u64, BackplaneError> {
        let call = Call::new(Script::Hasten).keys(self.cleanup_keys(["due"])).arg(at_most.to_string());
        answers::number(self.call(call).await?)
    }

    pub(super) async fn dead_events(&self) -> Result<Vec<Dead>, BackplaneError> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.keys.key("dead")).arg("-").arg("+");
        answers::dead(self.link.command_first(command).await?)
    }

    pub(super) async fn replay_events(&self, places: Vec<String>) -> Result<u64, BackplaneError> {
        let mut call = Call::new(Script::Replay)
            .keys(self.cleanup_keys(["dead", "due", "events", "tries"]))
            .arg(EXPIRY_SECONDS.to_string());
        for place in places {
            call = call.arg(place);
        }
        answers::number(self.link.call_first(call).await?)
    }
}
