//! The command line and the environment of the operator, read once into a [`Task`].

use crate::room::Defaults;
use crate::scope::Scope;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use http::Uri;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for a log collector.
    Json,
    /// Lines for people.
    Text,
}

/// What the program was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Run the operator.
    Run(Settings),
    /// Ask these addresses, all of them `http://`, and end.
    Probe(Vec<Uri>),
}

/// Everything that the operator is told from outside, apart from how to reach the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The images of rooms that name none.
    pub defaults: Defaults,
    /// What is watched; at least one.
    pub scopes: Vec<Scope>,
    /// Where probes and metrics are served.
    pub listen: SocketAddr,
    /// Name of the operator's pod; events carry it.
    pub pod_name: Option<String>,
    /// What is logged, and how.
    pub log: Log,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// In the syntax of `tracing`'s `EnvFilter`.
    pub filter: String,
    /// How lines are written.
    pub format: LogFormat,
}

/// Runs chat rooms on Kubernetes.
///
/// Watches every ChatRoom of the cluster (or of some namespaces) and keeps its WebSocket gateways, their Service, their
/// settings and, where the room brings no Redis of its own, a small Redis as the room says. How to reach the cluster is
/// found as kubectl finds it: the service account of the pod, else the file of KUBECONFIG, else ~/.kube/config.
///
/// Exit codes: 0 stopped as asked, 1 failed while running, 2 bad input.
#[derive(Debug, Parser)]
#[command(name = "chatroom-operator", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Image of the chat gateway, for rooms that name none (required)
    #[arg(long, value_name = "IMAGE", env = "RELATED_IMAGE_GATEWAY")]
    gateway_image: Option<String>,

    /// Image of the Redis of rooms that bring none (required)
    #[arg(long, value_name = "IMAGE", env = "RELATED_IMAGE_REDIS")]
    redis_image: Option<String>,

    /// Namespace to look after, may be given several times (the variable: separated by commas); without it, the whole cluster
    ///
    /// In a list of namespaces the operator needs a Role and a RoleBinding in each of them and no right in the cluster. One
    /// that does not exist yet, or lacks rights, is waited for and does not hold up the others.
    #[arg(long = "watch-namespace", value_name = "NAME", env = "WATCH_NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,

    /// Address on which /livez, /readyz and /metrics are served; [::] also takes IPv4
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    bind: IpAddr,

    /// Port of /livez, /readyz and /metrics
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    port: u16,

    /// Name of the pod this runs in; events carry it
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pod_name: Option<String>,

    /// What is logged: a level, or levels by module, such as "info,chatroom_operator::fleet=debug"
    #[arg(long, value_name = "FILTER", env = "LOG_FILTER", default_value = "info")]
    log_filter: String,

    /// How log lines are written
    #[arg(long, value_name = "FORMAT", env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask addresses over HTTP and print a line for each: what came back
    ///
    /// Exit codes: 0 every address answered with success, 1 one did not, 2 bad input.
    Probe {
        /// What to ask, such as http://127.0.0.1:9090/readyz
        #[arg(value_name = "URL", required = true, value_parser = http_address)]
        urls: Vec<Uri>,
    },
}

impl Task {
    /// Reads the command line and the environment. On bad input, and for `--help` and `--version`, it prints and ends
    /// the process.
    #[must_use]
    pub fn read() -> Self {
        Arguments::parse().into_task().unwrap_or_else(|error| error.exit())
    }

    /// As [`Task::read`], from the given words, the first of which is the program's name.
    ///
    /// # Errors
    /// When a word is not understood, or an image is missing.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, clap::Error> {
        Arguments::try_parse_from(words)?.into_task()
    }
}

impl Arguments {
    fn into_task(self) -> Result<Task, clap::Error> {
        match self.command {
            Some(Command::Probe { urls }) => Ok(Task::Probe(urls)),
            None => self.into_settings().map(Task::Run),
        }
    }

    fn into_settings(self) -> Result<Settings, clap::Error> {
        let Self {
            command: _,
            gateway_image,
            redis_image,
            watch_namespaces,
            bind,
            port,
            pod_name,
            log_filter,
            log_format,
        } = self;
        tracing_subscriber::EnvFilter::try_new(&log_filter).map_err(|error| {
            bad_input(&format!("--log-filter (LOG_FILTER) {log_filter:?} is not a filter: {error}"))
        })?;
        Ok(Settings {
            defaults: Defaults {
                gateway_image: image(gateway_image, "--gateway-image", "RELATED_IMAGE_GATEWAY")?,
                redis_image: image(redis_image, "--redis-image", "RELATED_IMAGE_REDIS")?,
            },
            scopes: Scope::of_list(watch_namespaces.iter().map(String::as_str))
                .map_err(|wrong| bad_input(&format!("--watch-namespace (WATCH_NAMESPACES): {wrong}")))?,
            listen: SocketAddr::new(bind, port),
            // An unset value that a manifest's template rendered as "" is as good as absent.
            pod_name: pod_name.filter(|name| !name.is_empty()),
            log: Log { filter: log_filter, format: log_format },
        })
    }
}

/// An image must be given, or every room without one of its own would fail with a pod that never starts.
fn image(given: Option<String>, flag: &str, variable: &str) -> Result<String, clap::Error> {
    match given.map(|image| image.trim().to_owned()) {
        Some(image) if !image.is_empty() && !image.contains(char::is_whitespace) => Ok(image),
        Some(image) if !image.is_empty() => Err(bad_input(&format!("{flag} ({variable}) {image:?} is not an image"))),
        _ => Err(bad_input(&format!(
            "{variable} is not set (nor {flag}): the image that rooms get which name none, such as \
             ghcr.io/chatroom-dev/gateway:1.0.0"
        ))),
    }
}

/// An address without TLS, which the image's own ports do not speak, and with a host.
fn http_address(text: &str) -> Result<Uri, String> {
    let address: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
    match (address.scheme_str(), address.host()) {
        (Some("http"), Some(_)) => Ok(address),
        _ => Err("should be like http://127.0.0.1:9090/readyz".to_owned()),
    }
}

fn bad_input(message: &str) -> clap::Error {
    Arguments::command().error(ErrorKind::ValueValidation, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 3] = ["chatroom-operator", "--gateway-image=gateway:1", "--redis-image=redis:1"];

    fn read<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Settings, clap::Error> {
        Task::from_words(words).map(|task| match task {
            Task::Run(settings) => settings,
            Task::Probe(_) => panic!("these words run the operator"),
        })
    }

    #[test]
    fn two_images_are_all_that_is_needed() {
        let settings = read(WORDS).unwrap();
        assert_eq!(settings.defaults, Defaults { gateway_image: "gateway:1".into(), redis_image: "redis:1".into() });
        assert_eq!(settings.listen.to_string(), "[::]:9090");
        assert_eq!(settings.log.format, LogFormat::Json);
        assert_eq!(settings.scopes, [Scope::Cluster]);
    }

    #[test]
    fn namespaces_are_given_one_by_one_or_separated_by_commas() {
        let flags = ["--watch-namespace=team-b", "--watch-namespace", "team-a,team-b"];
        let settings = read(WORDS.into_iter().chain(flags)).unwrap();
        assert_eq!(settings.scopes, ["team-a", "team-b"].map(|name| Scope::Namespace(name.into())));
        let none = read(WORDS.into_iter().chain(["--watch-namespace="])).unwrap();
        assert_eq!(none.scopes, [Scope::Cluster], "a variable that a template rendered as nothing");
    }

    #[test]
    fn a_namespace_that_cannot_be_one_is_bad_input() {
        let error = read(WORDS.into_iter().chain(["--watch-namespace=Team A"])).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("WATCH_NAMESPACES") && error.to_string().contains("Team A"), "{error}");
    }

    #[test]
    fn a_missing_image_is_bad_input_and_names_its_variable() {
        for (words, variable) in
            [(&WORDS[..2], "RELATED_IMAGE_REDIS"), (&[WORDS[0], WORDS[2]], "RELATED_IMAGE_GATEWAY")]
        {
            let error = Task::from_words(words.iter().copied()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(variable), "{error}");
        }
    }

    #[test]
    fn an_empty_image_counts_as_missing() {
        let error = Task::from_words(["chatroom-operator", "--gateway-image=", "--redis-image=redis:1"]).unwrap_err();
        assert!(error.to_string().contains("RELATED_IMAGE_GATEWAY is not set"), "{error}");
    }

    #[test]
    fn a_filter_that_is_none_is_bad_input() {
        let error = Task::from_words(WORDS.into_iter().chain(["--log-filter", "loud=="])).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_probe_needs_addresses_and_no_images() {
        let urls = ["http://10.0.0.7:9090/readyz", "http://operator.rooms.svc:9090/metrics"];
        let task = Task::from_words(["chatroom-operator", "probe", urls[0], urls[1]]).unwrap();
        assert_eq!(task, Task::Probe(urls.map(|url| url.parse().unwrap()).to_vec()));
        assert_eq!(Task::from_words(["chatroom-operator", "probe"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn an_address_that_cannot_be_asked_is_bad_input() {
        for url in ["/readyz", "10.0.0.7:9090", "https://10.0.0.7:9090/readyz", "http:///readyz"] {
            let error = Task::from_words(["chatroom-operator", "probe", url]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{url}: {error}");
        }
    }

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }
}
