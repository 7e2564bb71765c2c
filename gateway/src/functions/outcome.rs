//! What an answer, or none, means to whoever asked: pure. The second value names it, for metrics.

use bytes::Bytes;
use http::StatusCode;

use super::call::{Answer, Silence};
use super::{NoAnswer, Registered, Told, TransportError};
use crate::dialect::{BadAnswer, Verdict};

/// A client waits. Its end is owed if the function may think that it is in.
pub(super) fn of_register(
    said: &Result<Answer, Silence>,
    read: impl FnOnce(&Bytes) -> Result<Verdict, BadAnswer>,
) -> (Registered, &'static str) {
    let failed = |why, owed| Registered::Failed { why, owed };
    let answer = match said {
        Ok(answer) => answer,
        Err(silence) => {
            let why = match silence {
                Silence::Broken(_) => NoAnswer::Bad,
                Silence::NoSlot | Silence::NotConnected | Silence::TimedOut => NoAnswer::TimedOut,
                Silence::NoKey
                | Silence::BreakerOpen
                | Silence::Unreachable(_)
                | Silence::Isolated
                | Silence::Fenced => NoAnswer::Unreachable,
            };
            return (failed(why, !silence.is_unheard()), label(silence));
        }
    };
    if answer.status != StatusCode::OK {
        return (failed(NoAnswer::Bad, !answer.status.is_client_error()), "bad_status");
    }
    match answer.body.as_ref().map(read) {
        Ok(Ok(Verdict::Accepted { subprotocol })) => (Registered::Accepted { subprotocol }, "ok"),
        Ok(Ok(Verdict::Refused)) => (Registered::Refused, "refused"),
        Ok(Err(_)) | Err(_) => (failed(NoAnswer::Bad, true), "bad_answer"),
    }
}

/// A message waits. What the body says is nobody's business.
pub(super) fn of_transport(said: &Result<Answer, Silence>) -> (Result<(), TransportError>, &'static str) {
    match said {
        Ok(answer) if answer.status == StatusCode::OK => (Ok(()), "ok"),
        Ok(_) => (Err(TransportError::Answered), "bad_status"),
        Err(silence) => (Err(TransportError::Unavailable), label(silence)),
    }
}

/// An end waits, for as long as it takes.
pub(super) fn of_cleanup(said: &Result<Answer, Silence>) -> (Told, &'static str) {
    match said {
        Ok(answer) if answer.status.is_success() => (Told::Done, "ok"),
        Ok(answer) if answer.status == StatusCode::GONE => (Told::Unwanted, "unwanted"),
        Ok(Answer { status, retry_after, .. }) => {
            let why = format!("the cleanup function answered {}", status.as_u16());
            // So speaks a proxy in front of a function that is down, unless it says when to come back.
            let by_a_proxy = matches!(
                *status,
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
            );
            let answered = !by_a_proxy || retry_after.is_some();
            (Told::Failed { answered, retry_after: *retry_after, why }, "bad_status")
        }
        Err(silence) => {
            let why = format!("the cleanup function {}", in_words(silence));
            (Told::Failed { answered: false, retry_after: None, why }, label(silence))
        }
    }
}

fn label(silence: &Silence) -> &'static str {
    match silence {
        Silence::NoKey => "no_key",
        Silence::BreakerOpen => "breaker_open",
        Silence::NoSlot => "no_slot",
        Silence::Isolated | Silence::Fenced => "isolated",
        Silence::Unreachable(_) => "unreachable",
        Silence::Broken(_) => "broken",
        Silence::NotConnected | Silence::TimedOut => "timed_out",
    }
}

fn in_words(silence: &Silence) -> String {
    match silence {
        Silence::NoKey => "was not called: there is no signing key".into(),
        Silence::BreakerOpen => "was not called: it was down a moment ago".into(),
        Silence::Isolated | Silence::Fenced => "was not called: the gateway has lost touch with the room".into(),
        Silence::NoSlot => "was not called: all slots were taken".into(),
        Silence::Unreachable(why) => format!("cannot be reached: {why}"),
        Silence::NotConnected => "cannot be reached in time".into(),
        Silence::Broken(how) => format!("broke the connection off: {how}"),
        Silence::TimedOut => "did not answer in time".into(),
    }
}
