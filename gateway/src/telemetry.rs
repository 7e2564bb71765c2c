//! Log lines: JSON or text on standard error, with a filter that changes while the gateway runs.

use std::io::IsTerminal as _;

use chatroom_settings::LogFormat;
use tracing::warn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

/// The handle to the filter; cloning shares it.
#[derive(Clone, Debug)]
pub struct LogFilter {
    handle: Option<Handle<EnvFilter, Registry>>,
}

impl LogFilter {
    /// A filter that belongs to somebody else and does not follow the settings.
    #[must_use]
    pub fn fixed() -> Self {
        Self { handle: None }
    }

    /// Logs by another filter from now on.
    pub fn set(&self, filter: &str) {
        let Some(handle) = &self.handle else { return };
        let filter = match EnvFilter::try_new(filter) {
            Ok(filter) => filter,
            // The settings were checked when they were read, so this is not met.
            Err(error) => return warn!(%error, "failed to parse the log filter"),
        };
        if let Err(error) = handle.reload(filter) {
            warn!(%error, "failed to change the log filter");
        }
    }
}

/// Begins to log, for the whole process.
///
/// # Errors
/// When somebody began already.
pub fn start(format: LogFormat, filter: &str) -> Result<LogFilter, TryInitError> {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = reload::Layer::new(filter);
    // Standard output belongs to nobody yet; log lines on standard error mix with panics in the right order.
    let lines = match format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
        // Colours are for eyes: in a file or a pipe they are noise.
        LogFormat::Text => fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(LogFilter { handle: Some(handle) })
}
