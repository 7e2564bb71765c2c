//! What is right, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chatroom_gateway::id::ConnectionId;

use crate::case::{Case, Conduct};
use crate::scene::Outcome;
use crate::told::{Told, What};

/// Until the server sees that its caller hung up.
const GRACE: Duration = Duration::from_millis(300);

/// The calls about one connection, each kind in the order in which they began.
#[derive(Default)]
struct Calls<'a> {
    register: Vec<&'a Told>,
    transport: Vec<&'a Told>,
    cleanup: Vec<&'a Told>,
}

/// What was wrong; nothing: all was right.
pub(crate) fn judge(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut calls: BTreeMap<ConnectionId, Calls<'_>> = BTreeMap::new();
    for told in &outcome.told {
        let of = calls.entry(told.id).or_default();
        match told.what {
            What::Register { .. } => of.register.push(told),
            What::Transport { .. } => of.transport.push(told),
            What::Cleanup => of.cleanup.push(told),
        }
    }
    let mut wrong: Vec<String> = outcome.unrest.iter().map(|unrest| format!("it does not end: {unrest}")).collect();
    for (id, calls) in &calls {
        let life = calls.register.first().map(|told| life_of(told));
        let name = life.map_or_else(|| "somebody unknown".to_owned(), |life| format!("life {life}"));
        let lived = outcome.lived.contains(&id.incarnation());
        let faults =
            fates(case, calls, lived).into_iter().chain(orders(calls, lived)).chain(says(case, calls, outcome));
        wrong.extend(faults.map(|fault| format!("{name} ({id}): {fault}")));
    }
    for life in &outcome.seated {
        if case.lives[*life].conduct == Conduct::ClosedWhileRegistered {
            wrong.push(format!("life {life}: was closed before it came in, and came in"));
        }
    }
    wrong
}

fn life_of(told: &Told) -> usize {
    match told.what {
        What::Register { life } => life,
        What::Transport { .. } | What::Cleanup => panic!("only the register function hears of a life: {told:?}"),
    }
}

/// Whose end is told, and whose is not.
fn fates(case: &Case, calls: &Calls<'_>, lived: bool) -> Option<String> {
    let is_told = !calls.cleanup.is_empty();
    let Some(register) = calls.register.first() else {
        // Of a gateway that died nobody knows whether it asked.
        return (is_told && lived).then(|| "the register function was never asked, and the end was told".into());
    };
    let life = &case.lives[life_of(register)];
    if !life.register.is_refusal() {
        return (!is_told).then(|| "the register function may have let it in, and its end was never told".into());
    }
    // Whoever left may have done so before the answer.
    let is_known = lived && life.conduct != Conduct::LeavesWhileRegistered;
    (is_told && is_known).then(|| "the register function refused it, and its end was told".into())
}

/// What comes after what.
fn orders(calls: &Calls<'_>, lived: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    if calls.register.len() > 1 {
        wrong.push("the register function was asked twice".to_owned());
    }
    for (before, after) in calls.register.iter().chain(&calls.transport).zip(&calls.transport) {
        if !is_over(before, after) {
            wrong.push(format!("{:?} was told before {:?} was over", after.what, before.what));
        }
    }
    let before: Vec<_> = calls.register.iter().chain(&calls.transport).collect();
    for cleanup in &calls.cleanup {
        if cleanup.webhook_id != cleanup.id.to_string() {
            wrong.push(format!("the end has the name {}", cleanup.webhook_id));
        }
        for call in &before {
            if call.began > cleanup.began {
                wrong.push(format!("{:?} began when the end was told already", call.what));
            } else if lived && !is_over(call, cleanup) {
                // A gateway that died could not wait for its calls, and nobody else knows of them.
                wrong.push(format!("the end was told before {:?} was over", call.what));
            }
        }
    }
    wrong
}

/// Whether a call was over when another one began, as the server saw it.
fn is_over(call: &Told, when: &Told) -> bool {
    let grace = if call.is_answered() { Duration::ZERO } else { GRACE };
    call.ended.is_some_and(|ended| ended.at <= when.began + grace)
}

/// What the client said comes in its order, each word once; from one who stays with a gateway that is well, all of it.
fn says(case: &Case, calls: &Calls<'_>, outcome: &Outcome) -> Option<String> {
    let words: Vec<_> = calls.transport.iter().map(|told| told.what.clone()).collect();
    let said = |count: usize| (0..count).map(|word| What::Transport { word: word.to_string() });
    if !said(words.len()).eq(words.iter().cloned()) {
        return Some(format!("not in the order of the client: {words:?}"));
    }
    let register = calls.register.first()?;
    let life = life_of(register);
    let has_to_be_heard = outcome.seated.contains(&life)
        && !outcome.struck.contains(&register.node)
        && outcome.lived.contains(&register.id.incarnation())
        && case.lives[life].transport.is_success();
    match case.lives[life].conduct {
        Conduct::Stays { says } if has_to_be_heard && words.len() != usize::from(says) => {
            Some(format!("said {says} messages, of which {} were told", words.len()))
        }
        _ => None,
    }
}

/// What all cases together had in them, so that they are not all about nothing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cases: usize,
    pub(crate) asked: usize,
    pub(crate) seated: usize,
    pub(crate) messages: usize,
    /// Connections whose end was told.
    pub(crate) ends: usize,
    /// Calls of the cleanup function.
    pub(crate) cleanups: usize,
    /// Connections of gateways that were declared dead, whose end was told.
    pub(crate) swept: usize,
    pub(crate) struck: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let count = |is: fn(&What) -> bool| outcome.told.iter().filter(|told| is(&told.what)).count();
        let cleanups = || outcome.told.iter().filter(|told| told.what == What::Cleanup);
        let ends: BTreeSet<_> = cleanups().map(|told| told.id).collect();
        self.cases += 1;
        self.asked += count(|what| matches!(what, What::Register { .. }));
        self.seated += outcome.seated.len();
        self.messages += count(|what| matches!(what, What::Transport { .. }));
        self.swept += ends.iter().filter(|id| !outcome.lived.contains(&id.incarnation())).count();
        self.ends += ends.len();
        self.cleanups += cleanups().count();
        self.struck += outcome.struck.len();
    }
}
