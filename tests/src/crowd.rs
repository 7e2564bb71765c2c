//! Many clients that come back whenever they are sent away, as a browser's page would, and remember what they lived through.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::chat::{ChatClient, Received};
use crate::wait::{SOON, until};

/// Between two attempts to come in. Not all in the same moment: each client adds its number in milliseconds.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two lines of a [`Speaker`].
const BETWEEN_LINES: Duration = Duration::from_millis(100);

/// Clients that run by themselves until the crowd is dropped.
pub struct Crowd {
    members: Vec<Arc<Mutex<Story>>>,
    _running: JoinSet<()>,
}

/// What one client lived through: a visit for each connection it had.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// In their order; the last one may still go on.
    pub visits: Vec<Visit>,
}

/// One connection.
#[derive(Clone, Default)]
pub struct Visit {
    /// Where it connected to.
    pub url: String,
    /// The numbers of the lines that it heard.
    pub heard: Vec<u64>,
    /// How it ended: with which close code, or without one, which a browser calls 1006. `None`: it goes on.
    pub end: Option<Option<u16>>,
}

impl Crowd {
    /// So many clients, spread over `urls`; whoever is sent away comes back through `door`.
    ///
    /// # Panics
    /// When not all of them are in soon.
    pub async fn gather(count: usize, urls: &[String], door: &str) -> Self {
        let mut running = JoinSet::new();
        let members: Vec<_> = (0..count).map(|_| Arc::new(Mutex::new(Story::default()))).collect();
        for (number, story) in members.iter().enumerate() {
            let first = urls[number % urls.len()].clone();
            running.spawn(live(number, first, door.to_owned(), Arc::clone(story)));
        }
        let crowd = Self { members, _running: running };
        crowd.is_in(SOON).await;
        crowd
    }

    /// Waits until everybody is connected.
    ///
    /// # Panics
    /// When somebody still is not at the deadline.
    pub async fn is_in(&self, deadline: Duration) {
        until("the whole crowd is connected", deadline, async || {
            let present = self.stories().iter().filter(|story| story.is_in()).count();
            if present == self.members.len() { Ok(()) } else { Err(format!("{present} of {}", self.members.len())) }
        })
        .await;
    }

    /// Waits until everybody has heard this line on the connection that it has now.
    ///
    /// # Panics
    /// When somebody still has not at the deadline.
    pub async fn hears(&self, line: u64, deadline: Duration) {
        until(&format!("the whole crowd has heard line {line}"), deadline, async || {
            let stories = self.stories();
            let deaf: Vec<_> = stories.iter().filter_map(Story::now).filter(|now| !now.heard.contains(&line)).collect();
            match deaf.first() {
                None => Ok(()),
                Some(first) => Err(format!("{} have not, such as one on {}: {:?}", deaf.len(), first.url, first.end)),
            }
        })
        .await;
    }

    /// What everybody lived through so far.
    #[must_use]
    pub fn stories(&self) -> Vec<Story> {
        self.members.iter().map(|story| lock(story).clone()).collect()
    }

    /// How often each client was sent away, and how.
    #[must_use]
    pub fn ends(&self) -> Vec<Vec<Option<u16>>> {
        self.stories().iter().map(|story| story.visits.iter().filter_map(|visit| visit.end).collect()).collect()
    }

    /// Nobody was sent away.
    ///
    /// # Panics
    /// When somebody was.
    pub fn was_left_alone(&self) {
        let gone: Vec<_> =
            self.stories().into_iter().filter(|story| story.visits.len() > 1 || !story.is_in()).collect();
        assert!(gone.is_empty(), "{} of {} were sent away, such as {:?}", gone.len(), self.members.len(), gone[0]);
    }

    /// Nobody is sent away for so long.
    ///
    /// # Panics
    /// When somebody is.
    pub async fn is_left_alone_for(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.was_left_alone();
            sleep(PAUSE).await;
        }
    }

    /// Everybody was sent away with 1012, once.
    ///
    /// # Panics
    /// When somebody was not, or otherwise.
    pub fn moved_once(&self) {
        let wrong = |story: &&Story| story.visits.iter().filter_map(|visit| visit.end).ne([Some(1012)]);
        let stories = self.stories();
        let other: Vec<_> = stories.iter().filter(wrong).collect();
        assert!(
            other.is_empty(),
            "{} of {} did not move once with 1012, such as {:?}",
            other.len(),
            stories.len(),
            other.iter().take(3).collect::<Vec<_>>()
        );
    }

    /// While it was connected, nobody missed a line that anybody heard, or heard one twice or out of order.
    ///
    /// # Panics
    /// When somebody did.
    pub fn missed_nothing(&self) {
        let stories = self.stories();
        let visits = || stories.iter().flat_map(|story| &story.visits);
        let heard: BTreeSet<u64> = visits().flat_map(|visit| visit.heard.iter().copied()).collect();
        for visit in visits() {
            let (Some(first), Some(last)) = (visit.heard.first(), visit.heard.last()) else { continue };
            assert!(first <= last, "on {} lines came out of order: {:?}", visit.url, visit.heard);
            let there: Vec<_> = heard.range(first..=last).copied().collect();
            assert_eq!(visit.heard, there, "what was heard on {}, and what was to be heard meanwhile", visit.url);
        }
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.heard.first(), self.heard.last());
        write!(formatter, "{} heard {first:?} to {last:?}, ended {:?}", self.url, self.end)
    }
}

impl Story {
    fn now(&self) -> Option<&Visit> {
        self.visits.last()
    }

    fn is_in(&self) -> bool {
        self.now().is_some_and(|visit| visit.end.is_none())
    }
}

/// Says line after line, each with the next number, and comes back whenever it is sent away.
pub struct Speaker {
    said: Arc<Mutex<u64>>,
    running: JoinSet<()>,
}

impl Speaker {
    /// Begins to speak.
    #[must_use]
    pub fn start(door: &str) -> Self {
        let said = Arc::new(Mutex::new(0));
        let mut running = JoinSet::new();
        running.spawn(speak(door.to_owned(), Arc::clone(&said)));
        Self { said, running }
    }

    /// The number of the last line so far.
    #[must_use]
    pub fn said(&self) -> u64 {
        *lock(&self.said)
    }

    /// Waits until a further line was said, and answers its number: whoever is connected then hears it.
    ///
    /// # Panics
    /// When the speaker does not come to it soon.
    pub async fn says_another(&self) -> u64 {
        let before = self.said();
        // The one after the next: the next may have been on its way already.
        until("the speaker says another line", SOON, async || {
            let said = self.said();
            if said >= before + 2 { Ok(said) } else { Err(said) }
        })
        .await
    }

    /// Says no more.
    pub async fn stop(mut self) {
        self.running.shutdown().await;
    }
}

async fn live(number: usize, first: String, door: String, story: Arc<Mutex<Story>>) {
    let name = format!("member {number}");
    let mut url = first;
    loop {
        if let Some(mut client) = knock(&name, &url).await {
            lock(&story).visits.push(Visit { url: url.clone(), ..Visit::default() });
            let end = listen(&mut client, &story).await;
            if let Some(visit) = lock(&story).visits.last_mut() {
                visit.end = Some(end);
            }
        }
        url.clone_from(&door);
        sleep(PAUSE + Duration::from_millis(number as u64)).await;
    }
}

/// One attempt to come in. A door behind which nobody is yet may not answer at all, and a knock would be repeated by the
/// system at ever longer intervals.
async fn knock(name: &str, url: &str) -> Option<ChatClient> {
    timeout(PATIENCE, ChatClient::try_connect(name, url)).await.ok()?.ok()
}

/// Answers the close code.
async fn listen(client: &mut ChatClient, story: &Mutex<Story>) -> Option<u16> {
    loop {
        match client.next_within(Duration::MAX).await {
            Some(Received::Text(text)) => {
                if let Some(line) = text.strip_prefix("line ").and_then(|line| line.parse().ok())
                    && let Some(visit) = lock(story).visits.last_mut()
                {
                    visit.heard.push(line);
                }
            }
            Some(Received::Closed(code)) => return code,
            Some(Received::Binary(_)) | None => {}
        }
    }
}

async fn speak(door: String, said: Arc<Mutex<u64>>) {
    loop {
        if let Some(mut client) = knock("speaker", &door).await {
            loop {
                let line = *lock(&said) + 1;
                if !client.try_say(&format!("line {line}")).await {
                    break;
                }
                *lock(&said) = line;
                if let Some(Received::Closed(_)) = client.next_within(BETWEEN_LINES).await {
                    break;
                }
            }
        }
        sleep(PAUSE).await;
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
