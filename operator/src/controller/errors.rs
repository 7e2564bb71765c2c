//! What can go wrong while a room is brought about, and what each kind asks for.

use crate::controller::report::{ApplyFailure, FailureKind};
use std::time::Duration;

/// How long to leave a room alone that has to change before it can get on. Its change is seen at once.
const PERMANENT_RETRY: Duration = Duration::from_secs(600);

/// How long until we look again whether we may: nothing tells us when a role or a quota was changed.
const FORBIDDEN_RETRY: Duration = Duration::from_secs(30);

/// How long until we look again whether a foreign object is gone: nothing tells us when it goes. A look is one request, and a
/// room shall get on within 10 s.
const FOREIGN_RETRY: Duration = Duration::from_secs(6);

/// How long until we look again whether an object of a former room has been collected; the collector needs seconds.
const LEAVING_RETRY: Duration = Duration::from_secs(3);

/// What the API server names as the cause when something shall be made in a namespace that is being deleted.
const NAMESPACE_ENDS: &str = "NamespaceTerminating";

/// Why a reconcile did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused a request or did not answer it.
    #[error("failed to {verb} {kind} {name}")]
    Request {
        /// What was tried, as a verb.
        verb: &'static str,
        /// On what kind of object.
        kind: &'static str,
        /// On which one.
        name: String,
        /// What came back.
        #[source]
        source: kube::Error,
    },
    /// An object of somebody else has the name of one of ours.
    #[error("{kind} {name} belongs to {holder}: delete it, or give the room another name")]
    Foreign {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Whose it is.
        holder: String,
    },
    /// An object of ours, or of a former room of this name, is on its way out.
    #[error("{kind} {name} is being deleted")]
    Leaving {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The source of randomness failed.
    #[error("failed to make up a password")]
    Random(#[source] getrandom::Error),
    /// The reconcile was ended by its time-out.
    #[error("took longer than {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The operator is stopping, and the watches with it.
    #[error("the watches have ended")]
    Stopping,
}

/// What an error asks for. The label is what metrics count it under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// The API server will not take what the room asks for: the room has to change.
    Invalid,
    /// The operator may not do it: its role, a quota or a policy has to change.
    Forbidden,
    /// An object of somebody else is in the way.
    Foreign,
    /// It passes by itself, and soon.
    Leaving,
    /// Somebody else was faster.
    Conflict,
    /// No answer, or none in time.
    Unreachable,
    /// The API server is in trouble.
    Server,
    /// The operator is stopping.
    Stopping,
}

impl Error {
    /// What it asks for.
    #[must_use]
    pub fn category(&self) -> Category {
        match self {
            Self::Request { source, .. } => of_request(source),
            Self::Foreign { .. } => Category::Foreign,
            Self::Leaving { .. } => Category::Leaving,
            Self::TimedOut(_) => Category::Unreachable,
            Self::Random(_) => Category::Server,
            Self::Stopping => Category::Stopping,
        }
    }

    /// The same, as the room's status tells it.
    #[must_use]
    pub fn to_failure(&self) -> ApplyFailure {
        let kind = match self.category() {
            Category::Invalid => FailureKind::Rejected,
            Category::Forbidden => FailureKind::Forbidden,
            Category::Foreign => FailureKind::ForeignObject,
            Category::Leaving | Category::Conflict | Category::Unreachable | Category::Server | Category::Stopping => {
                FailureKind::Transient
            }
        };
        let (object, message) = match self {
            Self::Request { kind, name, source: kube::Error::Api(status), .. } => {
                (format!("{kind} {name}"), status.message.clone())
            }
            Self::Request { kind, name, source, .. } => (format!("{kind} {name}"), source.to_string()),
            Self::Foreign { kind, name, holder } => {
                (format!("{kind} {name}"), format!("belongs to {holder}: delete it, or give the room another name"))
            }
            Self::Leaving { kind, name } => (format!("{kind} {name}"), "is being deleted".to_owned()),
            Self::Random(source) => ("Secret".to_owned(), source.to_string()),
            Self::TimedOut(_) | Self::Stopping => (String::new(), self.to_string()),
        };
        ApplyFailure { object, kind, message }
    }

    /// The whole story in one line for people: what was tried, and what came back.
    #[must_use]
    pub fn story(&self) -> String {
        match self {
            Self::Request { source: kube::Error::Api(status), .. } => format!("{self}: {}", status.message),
            Self::Request { source, .. } => format!("{self}: {source}"),
            Self::Random(source) => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

impl Category {
    /// Under which name metrics count it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Forbidden => "forbidden",
            Self::Foreign => "foreign",
            Self::Leaving => "leaving",
            Self::Conflict => "conflict",
            Self::Unreachable => "unreachable",
            Self::Server => "server",
            Self::Stopping => "stopping",
        }
    }

    /// How long to wait before the next try; `None`: as long as the room's back-off says.
    #[must_use]
    pub fn retry(self) -> Option<Duration> {
        match self {
            Self::Invalid => Some(PERMANENT_RETRY),
            Self::Forbidden => Some(FORBIDDEN_RETRY),
            Self::Foreign => Some(FOREIGN_RETRY),
            Self::Leaving => Some(LEAVING_RETRY),
            Self::Conflict | Self::Unreachable | Self::Server | Self::Stopping => None,
        }
    }
}

fn of_request(error: &kube::Error) -> Category {
    let kube::Error::Api(status) = error else {
        return Category::Unreachable;
    };
    match status.code {
        400 | 422 => Category::Invalid,
        // The room goes with its namespace in a moment: nobody has to help.
        403 if status
            .details
            .iter()
            .flat_map(|details| &details.causes)
            .any(|cause| cause.reason == NAMESPACE_ENDS) =>
        {
            Category::Leaving
        }
        403 => Category::Forbidden,
        409 => Category::Conflict,
        // What an apply answers to an unknown field, a wrong type or a list with the same key twice. The number says
        // "server", but the room is what has to change.
        500 if status.message.starts_with("failed to create typed patch object") => Category::Invalid,
        _ => Category::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn answer(code: u16, message: &str) -> Error {
        let source = kube::Error::Api(Status::failure(message, "").with_code(code).boxed());
        Error::Request { verb: "apply", kind: "Deployment", name: "lobby".into(), source }
    }

    #[test]
    fn refusals_wait_for_somebody_and_longest_for_whom_we_watch() {
        for (code, message, category, retry) in [
            (422, "Deployment.apps \"lobby\" is invalid", Category::Invalid, PERMANENT_RETRY),
            (403, "quota exceeded", Category::Forbidden, FORBIDDEN_RETRY),
            (
                500,
                "failed to create typed patch object (chat/lobby; apps/v1, Kind=Deployment): …",
                Category::Invalid,
                PERMANENT_RETRY,
            ),
        ] {
            let error = answer(code, message);
            assert_eq!(error.category(), category);
            assert_eq!(error.category().retry(), Some(retry));
            assert_eq!(error.story(), format!("failed to apply Deployment lobby: {message}"));
        }
    }

    #[test]
    fn a_namespace_that_ends_calls_nobody_for_help() {
        let status = serde_json::json!({
            "status": "Failure", "code": 403, "reason": "Forbidden",
            "message": "services \"lobby\" is forbidden: unable to create new content in namespace chat because it is being terminated",
            "details": {"causes": [{"reason": "NamespaceTerminating", "message": "namespace chat is being terminated"}]},
        });
        let source = kube::Error::Api(serde_json::from_value::<Status>(status).unwrap().boxed());
        let error = Error::Request { verb: "apply", kind: "Service", name: "lobby".into(), source };
        assert_eq!(error.category(), Category::Leaving);
        assert!(!error.to_failure().kind.is_permanent());
    }

    #[test]
    fn troubles_of_the_server_are_tried_again_with_back_off() {
        for (code, category) in [
            (409, Category::Conflict),
            (429, Category::Server),
            (500, Category::Server),
            (503, Category::Server),
            (504, Category::Server),
        ] {
            let error = answer(code, "etcdserver: leader changed");
            assert_eq!(error.category(), category);
            assert_eq!(error.category().retry(), None);
        }
    }
}
