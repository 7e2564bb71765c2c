//! How other programs speak to the room's clients.

use chatroom_api as api;
use chatroom_api::Dialect;

use super::{Invalid, Problems, Violation};

/// How other programs speak to the room's clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Somebody else's Secret with the keys; `None`: the room's own.
    pub secret_name: Option<String>,
    /// Whose push requests are understood beside the plain ones; each once.
    pub dialects: Vec<Dialect>,
}

impl Push {
    /// `called`: in whose words the room's functions are called, which is how they push unless the room says otherwise.
    pub(crate) fn parse(push: Option<&api::Push>, called: Option<Dialect>) -> Result<Self, Invalid> {
        let api::Push { secret_name, dialects } = push.cloned().unwrap_or_default();
        let mut problems = Problems::default();
        if secret_name.as_ref().is_some_and(String::is_empty) {
            let message = "must name a Secret; leave it out to get one made";
            problems.keep::<()>(Err(Violation::new("spec.push.secretName", message)));
        }
        let dialects = dialects.unwrap_or_else(|| vec![called.unwrap_or(Dialect::Tencent)]);
        if let Some((index, _)) = dialects.iter().enumerate().find(|(index, it)| dialects[..*index].contains(it)) {
            problems.keep::<()>(Err(Violation::new(format!("spec.push.dialects[{index}]"), "stands there already")));
        }
        problems.finish(Some(Self { secret_name, dialects }))
    }
}
