//! The hot settings: read again while the gateway runs, and handed to whoever watches.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chatroom_settings::Hot;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::metrics::{BySettings, Metrics};
use crate::settings_file::{self, Parsed, SettingsError};
use crate::telemetry::LogFilter;

/// How often the file is looked at. A mounted ConfigMap follows its object within a minute or so; five seconds more do
/// not matter, and a file event would miss the mount's symlink swap.
pub const POLL_EVERY: Duration = Duration::from_secs(5);

/// The settings in force, and the hash of their text.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The settings; each holder sees a change when it asks or waits.
    pub hot: watch::Receiver<Arc<Hot>>,
    /// First 16 hex digits of the SHA-256 of their file.
    pub hash: watch::Receiver<String>,
    /// Why they are not those on disk; empty when they are.
    pub problem: watch::Receiver<String>,
}

/// What a look at the file came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As before.
    Unchanged,
    /// New settings are in force.
    TakenOver,
    /// The file is of no use; the last good settings stay in force.
    Refused,
}

/// Looks at the file.
#[derive(Debug)]
pub struct Reload {
    path: PathBuf,
    /// The text (or the reason why there was none) of the last look: each is judged, counted and told once.
    last_look: Result<String, String>,
    hot: watch::Sender<Arc<Hot>>,
    hash: watch::Sender<String>,
    problem: watch::Sender<String>,
    cold_hash: String,
    log_filter: LogFilter,
    metrics: Metrics,
}

impl Reload {
    /// Begins with settings that were read from `path` already. `cold_hash` is shown beside theirs.
    #[must_use]
    pub fn new(
        path: PathBuf,
        text: String,
        parsed: Parsed<Hot>,
        cold_hash: String,
        log_filter: LogFilter,
        metrics: Metrics,
    ) -> Self {
        warn_of_unknown(&path, &parsed.unknown);
        metrics.settings_current.set(1);
        metrics.show_settings(&BySettings { hot: parsed.hash.clone(), cold: cold_hash.clone() });
        Self {
            path,
            last_look: Ok(text),
            hot: watch::Sender::new(Arc::new(parsed.value)),
            hash: watch::Sender::new(parsed.hash),
            problem: watch::Sender::new(String::new()),
            cold_hash,
            log_filter,
            metrics,
        }
    }

    /// Where changes are seen.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        InForce { hot: self.hot.subscribe(), hash: self.hash.subscribe(), problem: self.problem.subscribe() }
    }

    /// Looks again and again; never returns.
    pub async fn run(mut self, every: Duration) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look();
        }
    }

    /// Looks once. The file is a few hundred bytes on a memory-backed mount, so it is read in place.
    pub fn look(&mut self) -> Look {
        let read = settings_file::text(&self.path);
        let seen = read.as_ref().map_or_else(|error| Err(with_source(error)), |text| Ok(text.clone()));
        if seen == self.last_look {
            return Look::Unchanged;
        }
        self.last_look = seen;
        match read.and_then(|text| settings_file::parse::<Hot>(&self.path, &text)) {
            Ok(parsed) => self.take_over(parsed),
            Err(error) => self.refuse(&error),
        }
    }

    fn take_over(&self, parsed: Parsed<Hot>) -> Look {
        warn_of_unknown(&self.path, &parsed.unknown);
        self.metrics.settings_current.set(1);
        self.problem.send_replace(String::new());
        if *self.hash.borrow() == parsed.hash {
            // A bad file was put right again.
            return Look::Unchanged;
        }
        self.log_filter.set(&parsed.value.log_filter);
        info!(path = %self.path.display(), hash = parsed.hash, "took over new settings");
        self.metrics.show_settings(&BySettings { hot: parsed.hash.clone(), cold: self.cold_hash.clone() });
        self.hash.send_replace(parsed.hash);
        self.hot.send_replace(Arc::new(parsed.value));
        Look::TakenOver
    }

    fn refuse(&self, error: &SettingsError) -> Look {
        self.metrics.reload_failures.inc();
        self.metrics.settings_current.set(0);
        self.problem.send_replace(with_source(error));
        error!(error = with_source(error), "new settings are of no use, the last good ones stay in force");
        Look::Refused
    }
}

/// One warning for all that a file says and this version does not know.
pub fn warn_of_unknown(path: &std::path::Path, unknown: &[String]) {
    if !unknown.is_empty() {
        warn!(path = %path.display(), fields = unknown.join(", "), "ignored settings that this version does not know");
    }
}

fn with_source(error: &SettingsError) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn text(connections: u32) -> String {
        format!(
            "logFilter: info\nlimits: {{maxConnectionsPerPod: {connections}, maxMessageBytes: 100, slowSeconds: 10}}\n"
        )
    }

    struct Desk {
        directory: TempDir,
        reload: Reload,
        metrics: Metrics,
        in_force: InForce,
    }

    impl Desk {
        fn new() -> Self {
            let directory = TempDir::new().unwrap();
            let path = directory.path().join("hot.yaml");
            let metrics = Metrics::default();
            let parsed = settings_file::parse(&path, &text(10)).unwrap();
            let reload = Reload::new(path, text(10), parsed, "cold".into(), LogFilter::fixed(), metrics.clone());
            let in_force = reload.in_force();
            Self { directory, reload, metrics, in_force }
        }

        fn write(&self, text: &str) {
            fs::write(self.directory.path().join("hot.yaml"), text).unwrap();
        }

        /// What `/metrics` says about the settings in force.
        fn shown(&self) -> Vec<String> {
            let mut registry = prometheus_client::registry::Registry::default();
            registry.register("settings_info", "", self.metrics.settings_info.clone());
            let mut page = String::new();
            prometheus_client::encoding::text::encode(&mut page, &registry).unwrap();
            page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        }

        fn connections(&self) -> u32 {
            self.in_force.hot.borrow().limits.max_connections_per_pod
        }
    }

    #[test]
    fn the_same_text_changes_nothing() {
        let mut desk = Desk::new();
        desk.write(&text(10));
        assert_eq!(desk.reload.look(), Look::Unchanged);
        assert!(!desk.in_force.hot.has_changed().unwrap());
    }

    #[test]
    fn new_text_is_taken_over_and_seen() {
        let mut desk = Desk::new();
        desk.write(&text(20));
        assert_eq!(desk.reload.look(), Look::TakenOver);
        assert_eq!(desk.connections(), 20);
        assert_eq!(*desk.in_force.hash.borrow(), settings_file::hash(&text(20)));
    }

    #[test]
    fn the_metric_shows_the_settings_in_force_and_no_others() {
        let mut desk = Desk::new();
        let line = |text: &str| format!("settings_info{{hot=\"{}\",cold=\"cold\"}} 1", settings_file::hash(text));
        assert_eq!(desk.shown(), [line(&text(10))]);
        desk.write(&text(20));
        desk.reload.look();
        assert_eq!(desk.shown(), [line(&text(20))]);
        desk.write("limits: [");
        desk.reload.look();
        assert_eq!(desk.shown(), [line(&text(20))], "the last good ones");
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said_until_it_is_right() {
        let mut desk = Desk::new();
        desk.write("limits: [");
        desk.reload.look();
        let problem = desk.in_force.problem.borrow().clone();
        assert!(problem.starts_with("failed to parse "), "{problem}");
        desk.write(&text(10));
        desk.reload.look();
        assert_eq!(*desk.in_force.problem.borrow(), "");
    }

    #[test]
    fn a_bad_file_is_counted_once_and_leaves_the_last_good_settings() {
        let mut desk = Desk::new();
        desk.write("limits: [");
        assert_eq!(desk.reload.look(), Look::Refused);
        assert_eq!(desk.reload.look(), Look::Unchanged);
        assert_eq!((desk.connections(), desk.metrics.reload_failures.get()), (10, 1));
        assert_eq!(desk.metrics.settings_current.get(), 0);
        desk.write("limits: {");
        assert_eq!(desk.reload.look(), Look::Refused);
        assert_eq!(desk.metrics.reload_failures.get(), 2);
    }

    #[test]
    fn a_file_that_is_away_for_a_moment_is_a_bad_file() {
        let mut desk = Desk::new();
        assert_eq!(desk.reload.look(), Look::Refused);
        assert_eq!(desk.reload.look(), Look::Unchanged);
        desk.write(&text(10));
        assert_eq!(desk.reload.look(), Look::Unchanged);
        assert_eq!((desk.metrics.reload_failures.get(), desk.metrics.settings_current.get()), (1, 1));
    }

    #[test]
    fn good_settings_after_bad_ones_are_current_again() {
        let mut desk = Desk::new();
        desk.write("nothing");
        desk.reload.look();
        desk.write(&text(30));
        assert_eq!(desk.reload.look(), Look::TakenOver);
        assert_eq!((desk.connections(), desk.metrics.settings_current.get()), (30, 1));
    }
}
