//! A cleanup function as a test plays it, and a gateway as the worker sees it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chatroom_gateway::backplane::cleanups::Cleanups;
use chatroom_gateway::backplane::{Backplane, End, LeaseAnswer, LeaseRequest, Peers};
use chatroom_gateway::cleanup::{self, Callee, Cleanup, Host, Parts};
use chatroom_gateway::functions::Told;
use chatroom_gateway::id::{ConnectionId, Incarnation};
use chatroom_gateway::membership::{Membership, Standing};
use chatroom_gateway::metrics::{ByResult, Metrics};
use chatroom_settings::RedisStatus;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a call may take in these tests.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

type Script = Box<dyn FnMut(usize) -> (Duration, Told) + Send>;

/// Answers as the test says, and remembers who was told when.
#[derive(Clone)]
pub(crate) struct Function(Arc<Played>);

struct Played {
    began: Instant,
    script: Mutex<Script>,
    log: Mutex<Vec<(Duration, ConnectionId)>>,
    under_way: Mutex<BTreeSet<ConnectionId>>,
    most_at_once: AtomicUsize,
    changed: watch::Sender<usize>,
}

impl Function {
    /// `script` is told how many calls there were before.
    pub(crate) fn new(script: impl FnMut(usize) -> (Duration, Told) + Send + 'static) -> Self {
        Self(Arc::new(Played {
            began: Instant::now(),
            script: Mutex::new(Box::new(script)),
            log: Mutex::default(),
            under_way: Mutex::default(),
            most_at_once: AtomicUsize::new(0),
            changed: watch::Sender::new(0),
        }))
    }

    pub(crate) fn always(told: Told) -> Self {
        Self::new(move |_| (Duration::ZERO, told.clone()))
    }

    pub(crate) fn answers(&self, script: impl FnMut(usize) -> (Duration, Told) + Send + 'static) {
        *self.0.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn calls(&self) -> Vec<(Duration, ConnectionId)> {
        self.0.log.lock().unwrap().clone()
    }

    pub(crate) fn told(&self) -> Vec<ConnectionId> {
        self.calls().into_iter().map(|(_, id)| id).collect()
    }

    /// Calls at once, at most, since the last look.
    pub(crate) fn most_at_once(&self) -> usize {
        self.0.most_at_once.swap(0, SeqCst)
    }

    /// Waits for that many calls in all.
    pub(crate) async fn called(&self, times: usize) -> Vec<(Duration, ConnectionId)> {
        let mut changed = self.0.changed.subscribe();
        let reached = changed.wait_for(|calls| *calls >= times);
        let reached = tokio::time::timeout(Duration::from_secs(200_000), reached).await;
        assert!(reached.is_ok(), "not called {times} times: {:?}", self.calls());
        self.calls()
    }
}

impl Callee for Function {
    fn tell(&self, id: ConnectionId) -> BoxFuture<'static, Told> {
        let this = Arc::clone(&self.0);
        Box::pin(async move {
            assert!(this.under_way.lock().unwrap().insert(id), "{id} is told twice at the same time");
            this.most_at_once.fetch_max(this.under_way.lock().unwrap().len(), SeqCst);
            let before = {
                let mut log = this.log.lock().unwrap();
                log.push((this.began.elapsed(), id));
                log.len() - 1
            };
            let (takes, told) = (this.script.lock().unwrap())(before);
            this.changed.send_replace(before + 1);
            // Given up half way, it is not under way any more.
            let _over = Over(&this, id);
            tokio::time::sleep(takes).await;
            told
        })
    }

    fn timeout(&self) -> Duration {
        TIMEOUT
    }
}

struct Over<'a>(&'a Played, ConnectionId);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().unwrap().remove(&self.1);
    }
}

pub(crate) fn refused() -> Told {
    Told::Failed { answered: true, retry_after: None, why: "it answered 500".into() }
}

pub(crate) fn silent() -> Told {
    Told::Failed { answered: false, retry_after: None, why: "connection refused".into() }
}

/// What the worker knows of its gateway.
#[derive(Default)]
pub(crate) struct Home {
    pub(crate) leaseless: AtomicBool,
    pub(crate) owed: Mutex<Vec<ConnectionId>>,
    pub(crate) handed_over: watch::Sender<u64>,
}

impl Host for Home {
    fn may_act(&self) -> bool {
        !self.leaseless.load(SeqCst)
    }

    fn handed_over(&self) -> watch::Receiver<u64> {
        self.handed_over.subscribe()
    }

    fn owed(&self) -> Vec<(ConnectionId, String)> {
        self.owed.lock().unwrap().iter().map(|id| (*id, "details".into())).collect()
    }
}

/// A gateway with a worker.
pub(crate) struct Gateway {
    pub(crate) me: Incarnation,
    pub(crate) backplane: Arc<dyn Backplane>,
    pub(crate) cleanup: Cleanup,
    pub(crate) host: Arc<Home>,
    pub(crate) metrics: Metrics,
    pub(crate) membership: watch::Sender<Membership>,
    shutdown: watch::Sender<bool>,
    pub(crate) task: JoinHandle<()>,
    leases: JoinHandle<()>,
}

impl Gateway {
    pub(crate) async fn start(backplane: &Arc<dyn Backplane>, function: &Function) -> Self {
        let me = Incarnation::random();
        let membership = watch::Sender::new(Membership {
            incarnation: me,
            standing: Standing::Leased,
            online: None,
            cleanups: None,
            redis: RedisStatus::default(),
            missing: Vec::new(),
            refused: Vec::new(),
            peers: Peers::default(),
        });
        lease(&**backplane, me, &membership).await;
        let leases = {
            let (backplane, membership) = (Arc::clone(backplane), membership.clone());
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    lease(&*backplane, me, &membership).await;
                }
            })
        };
        let (host, shutdown) = (Arc::new(Home::default()), watch::Sender::new(false));
        let (metrics, _) = Metrics::new();
        let parts = Parts {
            backplane: Arc::clone(backplane),
            callee: Arc::new(function.clone()),
            host: Arc::clone(&host) as Arc<dyn Host>,
            membership: membership.subscribe(),
            metrics: metrics.clone(),
        };
        let (cleanup, task) = cleanup::start(parts, shutdown.subscribe());
        Self { me, backplane: Arc::clone(backplane), cleanup, host, metrics, membership, shutdown, task, leases }
    }

    /// Connections of this gateway end.
    pub(crate) async fn end(&self, many: usize) -> Vec<ConnectionId> {
        let ids: Vec<_> = (0..many).map(|_| self.me.random_connection()).collect();
        let ends = ids.iter().map(|id| End { id: *id, event: Some("details".into()) }).collect();
        self.backplane.unregister(self.me, ends, true).await.unwrap();
        self.host.handed_over.send_modify(|count| *count += many as u64);
        ids
    }

    pub(crate) async fn counts(&self) -> Cleanups {
        lease(&*self.backplane, self.me, &self.membership).await;
        self.membership.borrow().cleanups.unwrap()
    }

    /// Waits until nothing waits any more.
    pub(crate) async fn all_told(&self) {
        let began = Instant::now();
        while self.counts().await.waiting > 0 {
            assert!(began.elapsed() < Duration::from_secs(200_000), "something waits for ever");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    pub(crate) fn results(&self) -> [u64; 3] {
        ["delivered", "postponed", "buried"]
            .map(|result| self.metrics.cleanups.get_or_create(&ByResult { result }).get())
    }

    /// As by `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.leases.abort();
        self.shutdown.send_replace(true);
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.leases.abort();
    }
}

async fn lease(backplane: &dyn Backplane, me: Incarnation, membership: &watch::Sender<Membership>) {
    let request = LeaseRequest {
        incarnation: me,
        length: Duration::from_secs(12),
        born: None,
        pod_uid: String::new(),
        template: String::new(),
        draining: false,
        seen: Vec::new(),
    };
    let LeaseAnswer::Leased(lease) = backplane.lease(request).await.unwrap() else { panic!("fenced") };
    membership.send_modify(|membership| {
        membership.cleanups = Some(lease.cleanups);
        membership.peers = lease.peers;
    });
}
