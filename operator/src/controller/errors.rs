//! What can go wrong while a room is brought about, and what each kind asks for.

use crate::causes;
use crate::controller::report::{ApplyFailure, FailureKind};
use kube::core::Status;
use std::time::Duration;

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

/// What an error asks for. How long each is waited for, [`crate::controller::pace::after_failure`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// The API server will not take what the room asks for: the room has to change.
    Invalid,
    /// The operator may not do it: its role or a quota has to change.
    Forbidden,
    /// A webhook or a policy of the cluster will not have it: the policy or the room has to change.
    Denied,
    /// An object of somebody else is in the way.
    Foreign,
    /// Something has to go first, an object or the whole namespace; it passes by itself.
    Leaving,
    /// Somebody else was faster: look again and the next try may do.
    Conflict,
    /// The API server has too much to do, and says so.
    Throttled,
    /// No answer, or none in time.
    Unreachable,
    /// The API server is in trouble, or does not know us at the moment: a token is renewed by itself.
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

    /// How long the API server asks us to wait, if it does; at most five minutes, which is as long as we wait by ourselves.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Request { source: kube::Error::Api(status), .. } = self else { return None };
        let seconds = status.details.as_ref()?.retry_after_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds.min(300).into()))
    }

    /// The same, as the room's status tells it.
    #[must_use]
    pub fn to_failure(&self) -> ApplyFailure {
        let kind = match self.category() {
            Category::Invalid => FailureKind::Rejected,
            Category::Forbidden => FailureKind::Forbidden,
            Category::Denied => FailureKind::Denied,
            Category::Foreign => FailureKind::ForeignObject,
            Category::Leaving => FailureKind::Waiting,
            Category::Conflict
            | Category::Throttled
            | Category::Unreachable
            | Category::Server
            | Category::Stopping => FailureKind::Transient,
        };
        let (object, message) = match self {
            Self::Request { kind, name, source, .. } => (format!("{kind} {name}"), words(source)),
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
            Self::Request { source, .. } => format!("{self}: {}", words(source)),
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
            Self::Denied => "denied",
            Self::Foreign => "foreign",
            Self::Leaving => "leaving",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Server => "server",
            Self::Stopping => "stopping",
        }
    }
}

fn of_request(error: &kube::Error) -> Category {
    let kube::Error::Api(status) = error else {
        return match error {
            kube::Error::SerdeError(_) => Category::Server,
            // Connections that fail, time out or break, certificates, credentials that cannot be renewed at the moment.
            _ => Category::Unreachable,
        };
    };
    if is_denied(&status.message) {
        return Category::Denied;
    }
    match status.code {
        400 | 422 => Category::Invalid,
        403 if is_namespace_ending(status) => Category::Leaving,
        403 => Category::Forbidden,
        // Also where the namespace has gone since we saw the room: then the room has gone as well.
        404 if status.message.starts_with("namespaces ") => Category::Leaving,
        409 => Category::Conflict,
        429 => Category::Throttled,
        // What an apply answers to an unknown field, a wrong type or a list with the same key twice. The number says
        // "server", but the room is what has to change.
        500 if status.message.starts_with("failed to create typed patch object") => Category::Invalid,
        _ => Category::Server,
    }
}

/// Whether a webhook or a policy has refused. Each may choose the number itself, so only the words tell.
fn is_denied(message: &str) -> bool {
    (message.contains("admission webhook") && message.contains("denied the request"))
        || (message.contains("ValidatingAdmissionPolicy") && message.contains("denied request"))
}

/// Nothing can be created in a namespace that is being deleted. That is no lack of rights, and nobody has to help.
fn is_namespace_ending(status: &Status) -> bool {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "NamespaceTerminating")
        || status.message.ends_with("because it is being terminated")
}

/// What came back, without the debugging text that the error carries: the API server's words, or the whole chain of causes
/// when it did not get as far as that.
#[must_use]
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => causes::in_one_line(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str) -> Error {
        let source = kube::Error::Api(Status::failure(message, "").with_code(code).boxed());
        Error::Request { verb: "apply", kind: "Deployment", name: "lobby".into(), source }
    }

    #[test]
    fn what_the_server_will_not_take_is_told_by_its_number_and_its_words() {
        let webhook = "admission webhook \"policy.example.com\" denied the request: no team label";
        let policy = "deployments.apps \"lobby\" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: no";
        for (code, message, category) in [
            (422, "Deployment.apps \"lobby\" is invalid", Category::Invalid),
            (400, "strict decoding error", Category::Invalid),
            (500, "failed to create typed patch object (chat/lobby; apps/v1, Kind=Deployment): …", Category::Invalid),
            (403, "deployments.apps is forbidden: exceeded quota", Category::Forbidden),
            (403, webhook, Category::Denied),
            (400, webhook, Category::Denied),
            (500, webhook, Category::Denied),
            (422, policy, Category::Denied),
        ] {
            let error = answer(code, message);
            assert_eq!(error.category(), category, "{code} {message}");
            assert!(error.to_failure().kind.is_permanent(), "{code} {message}");
            assert_eq!(error.story(), format!("failed to apply Deployment lobby: {message}"));
        }
    }

    #[test]
    fn a_namespace_that_goes_is_waited_for() {
        let ending = "deployments.apps \"lobby\" is forbidden: unable to create new content in namespace chat because it is \
                      being terminated";
        for (code, message) in [(403, ending), (404, "namespaces \"chat\" not found")] {
            let error = answer(code, message);
            assert_eq!(error.category(), Category::Leaving, "{message}");
            assert_eq!(error.to_failure().kind, FailureKind::Waiting, "{message}");
        }
    }

    #[test]
    fn troubles_of_the_server_pass() {
        for (code, message, category) in [
            (401, "Unauthorized", Category::Server),
            (404, "the server could not find the requested resource", Category::Server),
            (409, "the object has been modified", Category::Conflict),
            (429, "Too many requests, please try again later.", Category::Throttled),
            (500, "Internal error occurred: failed calling webhook \"policy.example.com\": timeout", Category::Server),
            (503, "apiserver not ready", Category::Server),
            (504, "etcdserver: request timed out", Category::Server),
        ] {
            let error = answer(code, message);
            assert_eq!(error.category(), category, "{code}");
            assert!(!error.to_failure().kind.is_permanent(), "{code}");
        }
    }

    #[test]
    fn an_answer_that_never_came_is_told_with_its_cause() {
        let cause = std::io::Error::new(std::io::ErrorKind::TimedOut, "the certificate has expired");
        let source = kube::Error::Service(Box::new(cause));
        let error = Error::Request { verb: "apply", kind: "Deployment", name: "lobby".into(), source };
        assert_eq!(error.category(), Category::Unreachable);
        assert!(error.story().ends_with("the certificate has expired"), "{}", error.story());
    }

    #[test]
    fn a_server_that_says_how_long_to_wait_is_heard() {
        let details = kube::core::response::StatusDetails {
            retry_after_seconds: 7,
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
        };
        let status = Status { details: Some(details), ..Status::failure("busy", "").with_code(429) };
        let source = kube::Error::Api(status.boxed());
        let error = Error::Request { verb: "apply", kind: "Deployment", name: "lobby".into(), source };
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(answer(429, "busy").retry_after(), None);
    }
}
