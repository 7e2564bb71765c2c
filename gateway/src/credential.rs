//! A credential that is a file of a Secret: read again and again, because Secrets change under a running pod.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// What was found at the path.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// No file. A state, not an error: every Secret of a gateway is optional.
    Nothing,
    /// A file that cannot be read.
    Unreadable(io::ErrorKind),
    /// Its text.
    Text(&'a str),
}

/// What is made of the file.
pub trait Credential: Send + Sync + Sized + 'static {
    /// Reads what was found. `before` is what it was made into the last time; absent at the first look.
    fn read(found: Found<'_>, before: Option<&Self>) -> Self;

    /// Tells people of a change, without showing anything that is secret.
    fn tell(&self, path: &Path, first: bool);
}

/// Looks at the file.
#[derive(Debug)]
pub struct Watched<T> {
    path: PathBuf,
    /// What was found the last time: the text itself is not kept.
    seen: Seen,
    current: watch::Sender<Arc<T>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Unreadable(io::ErrorKind),
    Digest([u8; 32]),
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Unreadable(_) => "Unreadable",
            Self::Digest(_) => "Digest",
        })
    }
}

impl<T: Credential> Watched<T> {
    /// Looks for the first time.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let text = text(&path);
        let credential = T::read(found(&text), None);
        credential.tell(&path, true);
        Self { path, seen: seen(&text), current: watch::Sender::new(Arc::new(credential)) }
    }

    /// Where changes are seen.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<T>> {
        self.current.subscribe()
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

    /// Looks once. The file is a few bytes on a memory-backed mount, so it is read in place.
    pub fn look(&mut self) {
        let text = text(&self.path);
        let seen = seen(&text);
        if self.seen == seen {
            return;
        }
        self.seen = seen;
        let credential = T::read(found(&text), Some(&**self.current.borrow()));
        credential.tell(&self.path, false);
        self.current.send_replace(Arc::new(credential));
    }
}

fn text(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

fn found(text: &io::Result<String>) -> Found<'_> {
    match text {
        Ok(text) => Found::Text(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(error) => Found::Unreadable(error.kind()),
    }
}

fn seen(text: &io::Result<String>) -> Seen {
    match found(text) {
        Found::Nothing => Seen::Nothing,
        Found::Unreadable(kind) => Seen::Unreadable(kind),
        Found::Text(text) => Seen::Digest(Sha256::digest(text).into()),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// What was found each time, oldest first.
    #[derive(Debug, PartialEq)]
    struct Notes(Vec<String>);

    impl Credential for Notes {
        fn read(found: Found<'_>, before: Option<&Self>) -> Self {
            let mut notes = before.map_or_else(Vec::new, |before| before.0.clone());
            notes.push(match found {
                Found::Nothing => "nothing".into(),
                Found::Unreadable(_) => "unreadable".into(),
                Found::Text(text) => text.into(),
            });
            Self(notes)
        }

        fn tell(&self, _: &Path, first: bool) {
            assert_eq!(first, self.0.len() == 1);
        }
    }

    #[test]
    fn a_file_that_comes_changes_and_goes_is_followed() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("keys");
        let mut watched = Watched::<Notes>::new(path.clone());
        let mut current = watched.subscribe();
        let steps: [(&str, &dyn Fn()); 4] = [
            ("one", &|| std::fs::write(&path, "one").unwrap()),
            ("two", &|| std::fs::write(&path, "two").unwrap()),
            ("unreadable", &|| std::fs::write(&path, b"\xff").unwrap()),
            ("nothing", &|| std::fs::remove_file(&path).unwrap()),
        ];
        let mut expected = vec!["nothing"];
        for (found, change) in steps {
            change();
            watched.look();
            expected.push(found);
            assert_eq!(current.borrow_and_update().0, expected);
            watched.look();
            assert!(!current.has_changed().unwrap(), "the file is as it was");
        }
    }

    #[test]
    fn what_was_found_cannot_be_printed() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("keys");
        std::fs::write(&path, "a secret").unwrap();
        let seen = seen(&text(&path));
        assert_eq!(format!("{seen:?}"), "Digest");
    }
}
