//! Pure: reads what Redis answers. An answer of another shape comes from something that is no Redis of ours.

use std::collections::HashMap;
use std::time::Duration;

use redis::{FromRedisValue, Value};

use crate::backplane::cleanups::{Claim, Claims, Cleanups, Dead};
use crate::backplane::{
    BackplaneError, History, Lease, LeaseAnswer, Peers, Position, PublishAnswer, RegisterAnswer, RoomPosition,
    SendAnswer, Sweep, envelope,
};
use crate::id::Incarnation;
use crate::message::Epoch;

/// The fields of an entry of a stream.
type Fields = Vec<(String, Vec<u8>)>;

pub(super) fn lease(answer: Value) -> Result<LeaseAnswer, BackplaneError> {
    let (word, mut rest) = word_and_rest(answer)?;
    match word.as_str() {
        "fenced" => Ok(LeaseAnswer::Fenced),
        "schema" => {
            let found: u64 = next(&mut rest)?;
            Err(BackplaneError::Unsuitable(format!(
                "the room is kept in schema {found} by newer gateways; this one knows {} and has to be upgraded",
                super::SCHEMA
            )))
        }
        "ok" => {
            let (born, run): (String, String) = (next(&mut rest)?, next(&mut rest)?);
            let online = next(&mut rest)?;
            let condemned: Vec<String> = next(&mut rest)?;
            let (due, waiting, dead) = next(&mut rest)?;
            let peers = Peers { same_template_staying: next(&mut rest)?, other_template_staying: next(&mut rest)? };
            let position = Position { epoch: epoch(next(&mut rest)?), seq: next(&mut rest)? };
            let time = next(&mut rest)?;
            // Whatever else stands in the set was not written by a gateway, and cannot be swept.
            let condemned = condemned.iter().filter_map(|name| name.parse::<Incarnation>().ok()).collect();
            Ok(LeaseAnswer::Leased(Lease {
                born: born.into(),
                run: run.into(),
                online,
                condemned,
                cleanups: Cleanups { due, waiting, dead },
                peers,
                position,
                time,
            }))
        }
        _ => Err(unexpected()),
    }
}

pub(super) fn register(answer: Value) -> Result<RegisterAnswer, BackplaneError> {
    match read::<String>(answer)?.as_str() {
        "ok" => Ok(RegisterAnswer::Registered),
        "gone" => Ok(RegisterAnswer::Gone),
        "fenced" => Ok(RegisterAnswer::Fenced),
        _ => Err(unexpected()),
    }
}

pub(super) fn number(answer: Value) -> Result<u64, BackplaneError> {
    read(answer)
}

pub(super) fn sweep(answer: Value) -> Result<Sweep, BackplaneError> {
    let (swept, left) = read(answer)?;
    Ok(Sweep { swept, left })
}

pub(super) fn publish(answer: Value) -> Result<PublishAnswer, BackplaneError> {
    let (word, mut rest) = word_and_rest(answer)?;
    match word.as_str() {
        "placed" => {
            let (epoch, last) = (epoch(next(&mut rest)?), next(&mut rest)?);
            Ok(PublishAnswer::Placed { epoch, last, online: next(&mut rest)? })
        }
        "epoch" => Ok(PublishAnswer::OtherEpoch(epoch(next(&mut rest)?))),
        "fenced" => Ok(PublishAnswer::Fenced),
        _ => Err(unexpected()),
    }
}

pub(super) fn send(answer: Value) -> Result<SendAnswer, BackplaneError> {
    match read::<String>(answer)?.as_str() {
        "sent" => Ok(SendAnswer::Sent),
        "unheard" => Ok(SendAnswer::Unheard),
        "young" => Ok(SendAnswer::TooYoung),
        "gone" => Ok(SendAnswer::Gone),
        _ => Err(unexpected()),
    }
}

pub(super) fn position(answer: Value) -> Result<RoomPosition, BackplaneError> {
    let (name, seq, former): (Option<String>, Option<u64>, Option<String>) = read(answer)?;
    let Some(name) = name else {
        return Err(BackplaneError::Away("Redis lost the room; the next lease makes it anew".into()));
    };
    let former = former.as_deref().and_then(|former| {
        let (seq, name) = former.split_once(':')?;
        Some(Position { epoch: epoch(name.to_owned()), seq: seq.parse().ok()? })
    });
    Ok(RoomPosition { now: Position { epoch: epoch(name), seq: seq.unwrap_or(0) }, former })
}

pub(super) fn history(answer: Value, page: usize) -> Result<History, BackplaneError> {
    let entries: Vec<(String, Fields)> = read(answer)?;
    let complete = entries.len() < page;
    let body = |(_, fields): (String, Fields)| {
        let (_, body) = fields.into_iter().find(|(name, _)| name == "b")?;
        // What cannot be read stays a hole.
        envelope::decode(body.into()).ok()
    };
    Ok(History { batches: entries.into_iter().filter_map(body).collect(), complete })
}

pub(super) fn claims(answer: Value) -> Result<Claims, BackplaneError> {
    let (events, next): (Vec<(String, String, u64, u64)>, i64) = read(answer)?;
    let claim = |(id, details, tries, since): (String, String, u64, u64)| {
        // Whatever else stands in the queue was not written by a gateway.
        Some(Claim { id: id.parse().ok()?, details, tries, since_first: Duration::from_millis(since) })
    };
    let next = u64::try_from(next).ok().map(Duration::from_millis);
    Ok(Claims { events: events.into_iter().filter_map(claim).collect(), next })
}

pub(super) fn dead(answer: Value) -> Result<Vec<Dead>, BackplaneError> {
    let entries: Vec<(String, HashMap<String, String>)> = read(answer)?;
    let dead = |(place, mut fields): (String, HashMap<String, String>)| {
        let mut field = |name: &str| fields.remove(name).unwrap_or_default();
        let buried: u64 = place.split('-').next()?.parse().ok()?;
        let first = field("first").parse().unwrap_or(buried);
        Some(Dead {
            id: field("id").parse().ok()?,
            details: field("event"),
            tries: field("tries").parse().unwrap_or(0),
            tried_for: Duration::from_millis(buried.saturating_sub(first)),
            why: field("why"),
            place,
        })
    };
    Ok(entries.into_iter().filter_map(dead).collect())
}

fn word_and_rest(answer: Value) -> Result<(String, std::vec::IntoIter<Value>), BackplaneError> {
    let parts: Vec<Value> = read(answer)?;
    let mut rest = parts.into_iter();
    let word = next(&mut rest)?;
    Ok((word, rest))
}

fn next<T: FromRedisValue>(rest: &mut std::vec::IntoIter<Value>) -> Result<T, BackplaneError> {
    read(rest.next().ok_or_else(unexpected)?)
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, BackplaneError> {
    redis::from_redis_value(value).map_err(|_| unexpected())
}

fn epoch(name: String) -> Epoch {
    Epoch(name.into())
}

fn unexpected() -> BackplaneError {
    BackplaneError::Unanswered("Redis answered something that the scripts of the room do not say".into())
}
