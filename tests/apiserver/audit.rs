//! The audit log of the API server: who asked for what. What the operator did is read here and not where it says so itself.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

/// What is written down: every request but those of the API server to itself; deletions with their preconditions.
pub(crate) const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, users: ['system:apiserver']}
  - {level: Request, verbs: [delete]}
  - {level: Metadata}
";

/// Every request so far; grows while one looks.
#[derive(Debug)]
pub(crate) struct AuditLog {
    path: PathBuf,
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

/// One request that was answered, or a watch that began.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub(crate) verb: String,
    pub(crate) user: String,
    /// The plural, with the subresource: `chatrooms/status`.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) code: u64,
    /// Of a deletion: what was sent.
    pub(crate) body: Value,
}

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Now.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.text().len())
    }

    /// What `user` asked in `namespace` since then; `""`: of the whole cluster.
    pub(crate) fn since(&self, mark: Mark, user: &str, namespace: &str) -> Vec<Request> {
        let of_user = |request: &Request| request.user == user && request.namespace == namespace;
        self.text()[mark.0..].lines().filter_map(read).filter(of_user).collect()
    }

    /// Everything that `user` ever asked.
    pub(crate) fn of(&self, user: &str) -> Vec<Request> {
        self.text().lines().filter_map(read).filter(|request| request.user == user).collect()
    }

    /// What `user` wrote in `namespace`, ever.
    pub(crate) fn writes(&self, user: &str, namespace: &str) -> Vec<Request> {
        self.since(Mark(0), user, namespace).into_iter().filter(Request::is_write).collect()
    }

    fn text(&self) -> String {
        let mut text = std::fs::read_to_string(&self.path).unwrap_or_default();
        // The last line may not be whole yet.
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        text
    }
}

impl Request {
    /// Whether it was meant to change something.
    pub(crate) fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Whether it told people something.
    pub(crate) fn is_event(&self) -> bool {
        self.resource == "events"
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {} → {}", self.verb, self.resource, self.name, self.code)
    }
}

fn read(line: &str) -> Option<Request> {
    let entry: Value = serde_json::from_str(line).ok()?;
    // A watch is written down when it begins, and once more when it ends.
    let begun = entry["verb"] == "watch";
    if (entry["stage"] == "ResponseStarted") != begun {
        return None;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &entry["objectRef"];
    let resource = match object["subresource"].as_str() {
        Some(subresource) => format!("{}/{subresource}", text(&object["resource"])),
        None => text(&object["resource"]),
    };
    Some(Request {
        verb: text(&entry["verb"]),
        user: text(&entry["user"]["username"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        code: entry["responseStatus"]["code"].as_u64().unwrap_or_default(),
        body: entry["requestObject"].clone(),
    })
}
