//! What the functions were told, read from their notes.

use std::time::Instant;

use chatroom_gateway::id::ConnectionId;

use crate::support::functions::{Call, Ended};

/// A call of a function.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) id: ConnectionId,
    pub(crate) what: What,
    /// Who called.
    pub(crate) node: usize,
    /// The event's name, as its receiver would use it.
    pub(crate) webhook_id: String,
    pub(crate) began: Instant,
    pub(crate) ended: Option<Ended>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The number of the life stands in the query.
    Register {
        life: usize,
    },
    Transport {
        word: String,
    },
    Cleanup,
}

impl Told {
    pub(crate) fn read(call: &Call, ended: Option<Ended>) -> Self {
        let event: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let (node, function) = call.path[1..].split_once('/').unwrap();
        let what = match function {
            "register" => What::Register { life: text(&event["queryString"]["life"]).parse().unwrap() },
            "transport" => What::Transport { word: text(&event["websocket"]["data"]) },
            "cleanup" => What::Cleanup,
            other => panic!("there is no such function: {other}"),
        };
        Self {
            id: text(&event["websocket"]["secConnectionID"]).parse().unwrap(),
            what,
            node: node.parse().unwrap(),
            webhook_id: call.header("webhook-id").unwrap().to_owned(),
            began: call.began,
            ended,
        }
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.ended.is_some_and(|ended| ended.answered)
    }
}
