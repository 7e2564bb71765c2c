//! The functions of the room's owner, and where they are.

use std::net::{IpAddr, Ipv6Addr};

use chatroom_api as api;
use chatroom_api::{
    Bounds, ChatRoomSpec, Dialect, MAX_EVENT_WORD_LENGTH, MAX_URL_LENGTH, RegisterFailure, TransportAction,
    TransportFailure,
};
use http::Uri;

use super::{Invalid, Problems, Violation, bounded};

/// The functions of a room; each of them may be absent, not all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Functions {
    /// In whose words they are called.
    pub dialect: Dialect,
    /// Asked before a client is let in.
    pub register: Option<Function<RegisterFailure>>,
    /// Told each message.
    pub transport: Option<Function<TransportFailure>>,
    /// Told of ends.
    pub cleanup: Option<Function<()>>,
    /// The Secret with the keys that calls are signed with.
    pub signing_secret: Option<String>,
    /// What holds roots that are trusted beside the public ones.
    pub roots: Option<Roots>,
    /// What Tencent's events say beside what happened.
    pub tencent: Tencent,
}

/// One function; `Failure`: what becomes of the client when it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function<Failure> {
    /// Where it is.
    pub url: FunctionUrl,
    /// Seconds that a call of it may take.
    pub timeout_seconds: u32,
    /// What becomes of the client when it fails.
    pub on_failure: Failure,
}

/// A key of a Secret with certificates of authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// The Secret.
    pub secret_name: String,
    /// The key in it.
    pub secret_key: String,
}

/// What Tencent's events say beside what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tencent {
    /// `requestContext.serviceName`.
    pub service_name: String,
    /// `requestContext.stage`.
    pub stage: String,
    /// `websocket.action` of a message.
    pub transport_action: TransportAction,
    /// Whether the register event has the upgrade's headers and query.
    pub forward_request: bool,
}

/// Where a function is: `http` or `https`, a host that is not the credentials' of a cloud, no user, no fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUrl(String);

impl FunctionUrl {
    /// Takes a URL that a gateway can call.
    pub fn parse(field: &str, url: &str) -> Result<Self, Violation> {
        let wrong = |rule: &str| Err(Violation::new(field, rule));
        // What is wrong with it may be a password: it is not repeated.
        let rule = "must be http:// or https://, a host, and maybe a port, a path and a query, as in \
                    http://chat.default.svc/register: no user, no password, no fragment, no spaces";
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._~!$&'()*+,;=:@/?%[]-".contains(c);
        let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else { return wrong(rule) };
        let Ok(uri) = url.parse::<Uri>() else { return wrong(rule) };
        let Some(authority) = uri.authority().filter(|it| !it.as_str().contains('@') && !it.host().is_empty()) else {
            return wrong(rule);
        };
        if !url.chars().all(allowed) {
            return wrong(rule);
        }
        if url.len() > MAX_URL_LENGTH {
            return wrong(&format!("must have at most {MAX_URL_LENGTH} characters, has {}", url.len()));
        }
        // `Uri` takes any digits for a port, and says nothing of those that are none.
        let names_port =
            rest.split(['/', '?']).next().is_some_and(|authority| authority.len() > uri.host().map_or(0, str::len));
        if names_port && authority.port_u16().is_none_or(|port| port == 0) {
            return wrong("names a port that does not exist: 1 to 65535");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        match host.parse() {
            Ok(address) if keeps_credentials(address) => wrong(&format!(
                "{address} is where clouds hand out credentials to the machines themselves: gateways do not call it; \
                 name the function's own host, as in {scheme}://chat.default.svc/"
            )),
            _ => Ok(Self(url.to_owned())),
        }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether clouds answer there with the credentials of the machine: link-local addresses, and the one beside them that is known.
/// Names are looked up by the gateways, which refuse the same addresses when they connect.
fn keeps_credentials(address: IpAddr) -> bool {
    const INSTANCE_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address == INSTANCE_METADATA,
    }
}

impl Functions {
    /// `room_name`: what stands for the name that Tencent's events say.
    pub(crate) fn parse(spec: &ChatRoomSpec, room_name: &str) -> Result<Option<Self>, Invalid> {
        let Some(functions) = spec.functions.clone() else { return Ok(None) };
        let api::Functions { dialect, register, transport, cleanup, signing_secret_ref, ca_secret_ref, tencent } =
            functions;
        let mut problems = Problems::default();
        if register.is_none() && transport.is_none() && cleanup.is_none() {
            let message =
                "name at least one function: register, transport or cleanup; without any, leave functions out";
            problems.refuse("spec.functions", message);
        }
        if transport.is_some() && spec.broadcast.is_some() {
            let message = "with functions.transport the function decides who hears what: leave out broadcast, or \
                           functions.transport";
            problems.refuse("spec.broadcast", message);
        }
        let register = problems.keep(optional(register, |it| {
            let on_failure = it.on_failure.unwrap_or(RegisterFailure::Refuse);
            Function::parse("register", &it.url, it.timeout_seconds, api::REGISTER_TIMEOUT_SECONDS, on_failure)
        }));
        let transport = problems.keep(optional(transport, |it| {
            let on_failure = it.on_failure.unwrap_or(TransportFailure::Close);
            Function::parse("transport", &it.url, it.timeout_seconds, api::TRANSPORT_TIMEOUT_SECONDS, on_failure)
        }));
        let cleanup = problems.keep(optional(cleanup, |it| {
            Function::parse("cleanup", &it.url, it.timeout_seconds, api::CLEANUP_TIMEOUT_SECONDS, ())
        }));
        let signing_secret = signing_secret_ref.map(|reference| reference.name);
        problems.keep(a_secret("signingSecretRef", signing_secret.as_deref()));
        problems.keep(a_secret("caSecretRef", ca_secret_ref.as_ref().map(|reference| reference.name.as_str())));
        let roots = ca_secret_ref.map(|reference| Roots {
            secret_name: reference.name,
            secret_key: reference.key.unwrap_or_else(|| "ca.crt".to_owned()),
        });
        let tencent = problems.keep(Tencent::parse(tencent.unwrap_or_default(), room_name));
        let assemble = || {
            Some(Self {
                dialect,
                register: register?,
                transport: transport?,
                cleanup: cleanup?,
                signing_secret,
                roots,
                tencent: tencent?,
            })
        };
        let functions = assemble();
        problems.finish(functions.map(Some))
    }
}

fn optional<T, U>(value: Option<T>, parse: impl FnOnce(T) -> Result<U, Invalid>) -> Result<Option<U>, Invalid> {
    value.map(parse).transpose()
}

fn a_secret(field: &str, name: Option<&str>) -> Result<(), Violation> {
    match name {
        Some("") => Err(Violation::new(format!("spec.functions.{field}.name"), "must name a Secret")),
        _ => Ok(()),
    }
}

impl<Failure> Function<Failure> {
    fn parse(
        name: &str,
        url: &str,
        timeout_seconds: Option<i32>,
        bounds: Bounds,
        on_failure: Failure,
    ) -> Result<Self, Invalid> {
        let mut problems = Problems::default();
        let field = format!("spec.functions.{name}");
        let url = problems.keep(FunctionUrl::parse(&format!("{field}.url"), url));
        let timeout = problems.keep(bounded(&format!("{field}.timeoutSeconds"), timeout_seconds, bounds)).flatten();
        let function = url.zip(timeout).map(|(url, timeout_seconds)| Self { url, timeout_seconds, on_failure });
        problems.finish(function)
    }
}

impl Tencent {
    fn parse(events: api::TencentEvents, room_name: &str) -> Result<Self, Invalid> {
        let api::TencentEvents { service_name, stage, transport_action, forward_request } = events;
        let mut problems = Problems::default();
        for (field, word) in [("serviceName", &service_name), ("stage", &stage)] {
            let length = word.as_ref().map_or(1, |word| word.chars().count());
            if !(1..=MAX_EVENT_WORD_LENGTH).contains(&length) {
                let message = format!("must have 1 to {MAX_EVENT_WORD_LENGTH} characters, has {length}");
                problems.refuse(format!("spec.functions.tencent.{field}"), message);
            }
        }
        problems.finish(Some(Self {
            service_name: service_name.unwrap_or_else(|| room_name.to_owned()),
            stage: stage.unwrap_or_else(|| "release".to_owned()),
            transport_action: transport_action.unwrap_or(TransportAction::DataRecv),
            forward_request: forward_request.unwrap_or(false),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(url: &str) -> Option<String> {
        FunctionUrl::parse("url", url).err().map(|violation| violation.message)
    }

    #[test]
    fn urls_that_a_gateway_can_call_are_kept_as_they_stand() {
        for url in [
            "http://chat.default.svc",
            "http://chat.default.svc?a=b",
            "https://Chat.Example.com:8443/a//b/../c?d=%20e&f='g'",
            "http://127.0.0.1:9000/",
            "http://[::1]:65535/register",
            "http://[fd00::7]/",
            "http://169.253.0.1/",
        ] {
            assert_eq!(FunctionUrl::parse("url", url).unwrap().as_str(), url);
        }
    }

    #[test]
    fn what_is_no_such_url_is_told_without_repeating_it() {
        for url in [
            "",
            "chat.default.svc/register",
            "/register",
            "ws://chat.default.svc/",
            "http:///register",
            "http://:80/",
            "http://user:secret@chat.default.svc/",
            "http://secret@chat.default.svc/",
            "http://chat.default.svc/#top",
            "http://chat.default.svc/a b",
            "http://chat.default.svc/{a}",
            "http://chat.default.svc/ä",
            "http://[fd00::7/",
        ] {
            let message = said(url).unwrap_or_else(|| panic!("{url} is taken"));
            assert!(message.contains("as in http://chat.default.svc/register"), "{url}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
        for url in ["http://a:/", "http://a:0/", "http://a:65536/", "http://[::1]:/?x"] {
            assert_eq!(said(url).as_deref(), Some("names a port that does not exist: 1 to 65535"), "{url}");
        }
        let long = format!("http://a/{}", "x".repeat(MAX_URL_LENGTH));
        assert_eq!(said(&long).as_deref(), Some("must have at most 2048 characters, has 2057"));
    }

    #[test]
    fn where_clouds_keep_credentials_nobody_sends_a_gateway() {
        for host in
            ["169.254.169.254", "169.254.0.23:80", "[fe80::1]", "[::ffff:169.254.169.254]:80", "[fd00:ec2::254]"]
        {
            let message = said(&format!("http://{host}/latest")).unwrap_or_else(|| panic!("{host} is taken"));
            assert!(message.contains("hand out credentials"), "{host}: {message}");
        }
    }
}
