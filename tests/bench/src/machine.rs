//! On what it was measured, as far as the system tells.

use std::process::Command;

/// Facts for whoever reads the figures.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    pub(crate) redis: String,
    pub(crate) rust: String,
    /// The product's version and the commit that was built.
    pub(crate) chatroom: String,
    /// The day, in UTC.
    pub(crate) date: String,
}

impl Machine {
    /// Looks; what cannot be found out is "unknown".
    pub(crate) fn look() -> Self {
        let commit = said_by("git", &["describe", "--always", "--dirty", "--exclude", "*"]);
        Self {
            processor: line_of("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: said_by("uname", &["-sr"]).unwrap_or_else(unknown),
            redis: said_by("redis-server", &["--version"]).as_deref().and_then(redis_version).unwrap_or_else(unknown),
            rust: said_by("rustc", &["--version"]).unwrap_or_else(unknown),
            chatroom: format!("{}, commit {}", env!("CARGO_PKG_VERSION"), commit.unwrap_or_else(unknown)),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        }
    }
}

/// How many programs wanted to run, on the average of the last minute; absent where the system does not tell.
pub(crate) fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn line_of(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|said| !said.is_empty())
}

/// `Redis server v=7.0.15 sha=…` → `7.0.15`.
fn redis_version(said: &str) -> Option<String> {
    said.split_whitespace().find_map(|word| word.strip_prefix("v=")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_redis_is_found_in_what_it_says_of_itself() {
        let said = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=83a7cb1b1a69a9c3";
        assert_eq!(redis_version(said).as_deref(), Some("7.0.15"));
        assert_eq!(redis_version("something else"), None);
    }
}
