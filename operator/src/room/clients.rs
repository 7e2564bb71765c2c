//! What clients meet: the path, who may connect, how messages are handed on, what each client may take.

use chatroom_api as api;
use chatroom_api::{ChatRoomSpec, PING_INTERVAL_SECONDS};

use super::{Invalid, Problems, Violation, bounded, typo};

/// Everything a client can notice of the room's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Where they connect.
    pub path: Path,
    /// Whether a browser gets the page.
    pub web_client: bool,
    /// Whose pages may connect; `None`: anybody's.
    pub allowed_origins: Option<Vec<Origin>>,
    /// Whether the sender gets no copy.
    pub exclude_sender: bool,
    /// What is appended to text messages.
    pub online_suffix: Option<String>,
    /// Seconds between two pings.
    pub ping_interval_seconds: u32,
    /// What each client, and each pod, may take.
    pub limits: Limits,
}

/// What each client, and each pod, may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of a pod.
    pub max_connections_per_pod: u32,
    /// Bytes of an inbound message.
    pub max_message_bytes: u32,
    /// Bytes of pushed messages that wait for one client.
    pub max_pending_bytes: u32,
    /// Seconds that a reader may lag.
    pub slow_seconds: u32,
    /// Seconds without a message.
    pub idle_timeout_seconds: Option<u32>,
    /// Seconds that a connection lives.
    pub max_connection_age_seconds: Option<u32>,
}

/// The path at which clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

/// An origin as browsers send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Path {
    /// Takes a path without query, fragment, escapes and empty or dot segments.
    pub fn parse(path: &str) -> Result<Self, Violation> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        let Some(rest) = path.strip_prefix('/') else {
            return Err(Violation::new("spec.path", format!("must begin with '/', is '{path}'")));
        };
        let mut segments = rest.split('/').peekable();
        let mut resolved = true;
        while let Some(segment) = segments.next() {
            let last = segments.peek().is_none();
            resolved &= !matches!(segment, "." | "..") && (last || !segment.is_empty());
        }
        if path.chars().all(allowed) && resolved && path.len() <= 256 {
            return Ok(Self(path.to_owned()));
        }
        let rule = "takes letters, digits and '-._~/' only, without empty, '.' and '..' segments";
        Err(Violation::new("spec.path", format!("{rule}, is '{path}'")))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Origin {
    /// Takes `scheme://host[:port]` in lower case.
    pub fn parse(field: &str, origin: &str) -> Result<Self, Violation> {
        let wrong = || {
            Violation::new(field, format!("must be scheme://host or scheme://host:port in lower case, is '{origin}'"))
        };
        let (scheme, authority) = origin.split_once("://").ok_or_else(wrong)?;
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.chars().all(|c| lower(c) || "+.-".contains(c));
        let authority_ok = !authority.is_empty() && authority.chars().all(|c| lower(c) || "._-:[]".contains(c));
        if scheme_ok && authority_ok { Ok(Self(origin.to_owned())) } else { Err(wrong()) }
    }

    /// The origin.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Clients {
    pub(crate) fn parse(spec: &ChatRoomSpec) -> Result<Self, Invalid> {
        let mut problems = Problems::default();
        let path = problems.keep(Path::parse(&spec.path));
        let origins = problems.keep(origins(spec.allowed_origins.as_deref()));
        let field = "spec.pingIntervalSeconds";
        let ping = problems.keep(bounded(field, spec.ping_interval_seconds, PING_INTERVAL_SECONDS)).flatten();
        let limits = problems.keep(Limits::parse(spec.limits.as_ref()));
        let broadcast = spec.broadcast.clone().unwrap_or_default();
        problems.keep(placeholders(broadcast.online_suffix.as_deref().unwrap_or_default()));
        let clients = path.zip(origins).zip(ping.zip(limits)).map(
            |((path, allowed_origins), (ping_interval_seconds, limits))| Self {
                path,
                web_client: spec.web_client,
                allowed_origins,
                exclude_sender: broadcast.exclude_sender.unwrap_or(true),
                online_suffix: broadcast.online_suffix,
                ping_interval_seconds,
                limits,
            },
        );
        problems.finish(clients)
    }
}

impl Limits {
    fn parse(limits: Option<&api::Limits>) -> Result<Self, Invalid> {
        let limits = limits.cloned().unwrap_or_default();
        let mut problems = Problems::default();
        let mut number =
            |name: &str, value, bounds| problems.keep(bounded(&format!("spec.limits.{name}"), value, bounds)).flatten();
        let connections = number("maxConnectionsPerPod", limits.max_connections_per_pod, api::MAX_CONNECTIONS_PER_POD);
        let bytes = number("maxMessageBytes", limits.max_message_bytes, api::MAX_MESSAGE_BYTES);
        let pending = number("maxPendingBytes", limits.max_pending_bytes, api::MAX_PENDING_BYTES);
        let slow = number("slowSeconds", limits.slow_seconds, api::SLOW_SECONDS);
        let idle_timeout_seconds = number("idleTimeoutSeconds", limits.idle_timeout_seconds, api::IDLE_TIMEOUT_SECONDS);
        let max_connection_age_seconds =
            number("maxConnectionAgeSeconds", limits.max_connection_age_seconds, api::MAX_CONNECTION_AGE_SECONDS);
        let limits =
            connections.zip(bytes).zip(pending.zip(slow)).map(|((connections, bytes), (pending, slow))| Self {
                max_connections_per_pod: connections,
                max_message_bytes: bytes,
                max_pending_bytes: pending,
                slow_seconds: slow,
                idle_timeout_seconds,
                max_connection_age_seconds,
            });
        problems.finish(limits)
    }
}

/// Braces may stand in a suffix, in JSON for one. What looks like `{online}` misspelt may not: nobody would be counted.
fn placeholders(suffix: &str) -> Result<(), Violation> {
    const PLACEHOLDER: &str = "{online}";
    // What people call it who have another program in mind.
    const OTHER_NAMES: [&str; 8] = ["count", "users", "people", "members", "clients", "connections", "total", "number"];
    // Doubled braces first: the inner ones would pass.
    let doubled = suffix.contains("{{online}}").then_some("{{online}}".to_owned());
    let mut single = suffix.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(inside, _)| inside);
    let is_meant = |inside: &&str| {
        let word = inside.trim();
        let near = typo::nearest(word, ["online"]).is_some() || word.is_empty();
        **inside != *"online" && (near || OTHER_NAMES.contains(&word.to_lowercase().as_str()))
    };
    match doubled.or_else(|| single.find(is_meant).map(|inside| format!("{{{inside}}}"))) {
        None => Ok(()),
        Some(wrong) => {
            let message = format!(
                "{wrong} would be sent as it stands: {PLACEHOLDER} is what is replaced by the number of people"
            );
            Err(Violation::new("spec.broadcast.onlineSuffix", message))
        }
    }
}

fn origins(origins: Option<&[String]>) -> Result<Option<Vec<Origin>>, Invalid> {
    let Some(origins) = origins else { return Ok(None) };
    let mut problems = Problems::default();
    let parsed: Vec<_> = origins
        .iter()
        .enumerate()
        .filter_map(|(index, origin)| problems.keep(Origin::parse(&format!("spec.allowedOrigins[{index}]"), origin)))
        .collect();
    if origins.is_empty() {
        problems.refuse("spec.allowedOrigins", "must name an origin; leave it out to allow any");
    }
    problems.finish(Some(Some(parsed)))
}
