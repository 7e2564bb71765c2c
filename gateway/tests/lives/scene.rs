//! The scene of a case: three gateways in one room, their functions, the clients, and who strikes when.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chatroom_gateway::backplane::{Backplane, LeaseAnswer, LeaseRequest};
use chatroom_gateway::id::{ConnectionId, Incarnation};
use chatroom_gateway::protocol::Close;
use futures_util::future::{join, join_all};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::case::{Case, Conduct, Kind, Life, Moment, Mood, NODES};
use crate::node::{Node, TIMING};
use crate::support::functions::{Call, FunctionServer, Then};
use crate::told::{Told, What};

/// Until a lease has run out that is not renewed any more, and some more.
const FREEZE: Duration = Duration::from_millis(3_500);
const HICCUP: Duration = Duration::from_millis(900);
/// How long a cleanup function is away that is away at first.
const AWAY: Duration = Duration::from_millis(800);
/// For everything to be over: a claim of a gateway that was killed is hidden for 7 s, and may then fail.
const LONG: Duration = Duration::from_secs(30);

type Client = WebSocketStream<TcpStream>;
/// One for each gateway, and one to look into the room.
pub(crate) type Backplanes = [Arc<dyn Backplane>; NODES + 1];

/// What is known when everything is over.
pub(crate) struct Outcome {
    pub(crate) told: Vec<Told>,
    /// Incarnations that were never declared dead.
    pub(crate) lived: BTreeSet<Incarnation>,
    /// Gateways to which something was done.
    pub(crate) struck: BTreeSet<usize>,
    /// Lives that came in.
    pub(crate) seated: BTreeSet<usize>,
    /// Why it is not over, or what is left over.
    pub(crate) unrest: Option<String>,
}

struct Scene {
    case: Case,
    nodes: OnceLock<Vec<Node>>,
    known: watch::Sender<Known>,
}

#[derive(Clone, Default)]
struct Known {
    /// Lives that the register function was asked about.
    asked: BTreeMap<usize, ConnectionId>,
    of: HashMap<ConnectionId, usize>,
    seated: BTreeSet<usize>,
    /// Lives of which the transport function was told something.
    heard: BTreeSet<usize>,
    /// Ends that the cleanup function was told of.
    ends: BTreeSet<ConnectionId>,
    away_until: Option<Instant>,
    struck: BTreeSet<usize>,
    /// The numbers of blows that fell.
    fallen: BTreeSet<usize>,
    thaws: Option<Instant>,
}

/// Plays a case to its end.
pub(crate) async fn play(case: &Case, backplanes: Backplanes) -> Outcome {
    let scene = Arc::new(Scene { case: case.clone(), nodes: OnceLock::new(), known: watch::Sender::default() });
    let responding = Arc::clone(&scene);
    let server = FunctionServer::start(move |call| responding.respond(call));
    let observer = Arc::clone(&backplanes[NODES]);
    let starts = backplanes.into_iter().take(NODES).enumerate();
    let nodes = join_all(starts.map(|(number, room)| Node::start(room, server.address, number))).await;
    assert!(scene.nodes.set(nodes).is_ok(), "the nodes are set once");

    let strikes = join_all((0..case.blows.len()).map(|blow| scene.strike_after_an_answer(&server, blow)));
    let unrest = tokio::select! {
        unrest = scene.play(&server, &*observer) => unrest.err(),
        _ = join(strikes, std::future::pending::<()>()) => None,
    };
    let living = || scene.nodes().iter().filter(|node| node.lives());
    let outcome = Outcome {
        told: server.journal().into_iter().map(|(call, ended)| Told::read(&call, ended)).collect(),
        lived: living().map(|node| node.joined.membership.borrow().incarnation).collect(),
        struck: scene.known.borrow().struck.clone(),
        seated: scene.known.borrow().seated.clone(),
        unrest,
    };
    scene.nodes().iter().for_each(Node::kill);
    outcome
}

impl Scene {
    fn nodes(&self) -> &[Node] {
        self.nodes.get().expect("nobody calls before all gateways are there")
    }

    async fn play(&self, server: &FunctionServer, observer: &dyn Backplane) -> Result<(), String> {
        let lives = join_all((0..self.case.lives.len()).map(|life| self.live(server, life)));
        let Ok(clients) = timeout(LONG, lives).await else { return Err("the clients are not done".into()) };
        let thaws = self.known.borrow().thaws;
        if let Some(thaws) = thaws {
            sleep_until(thaws).await;
        }
        drop(clients);
        self.come_to_rest(observer).await?;
        for (number, node) in self.nodes().iter().enumerate().filter(|(_, node)| node.lives()) {
            match timeout(LONG, node.joined.leave()).await {
                Ok(Ok(0)) => {}
                other => return Err(format!("gateway {number} left the room, and in its registry were {other:?}")),
            }
        }
        Ok(())
    }

    /// One client's life, up to what it waits for until all others are done as well.
    async fn live(&self, server: &FunctionServer, life: usize) -> Option<Client> {
        let Life { node, conduct, .. } = self.case.lives[life];
        let address = self.nodes()[node].address;
        let stream = TcpStream::connect(address).await.ok()?;
        let handshake = client_async(format!("ws://{address}/?life={life}"), stream);
        let mut client = tokio::select! {
            () = self.until(|known| known.asked.contains_key(&life)), if conduct == Conduct::LeavesWhileRegistered => {
                return None;
            }
            done = handshake => done.ok()?.0,
        };
        self.known.send_modify(|known| _ = known.seated.insert(life));
        self.strike(Moment::Seated, life, node);
        for word in 0..conduct.says() {
            // The gateway may be gone.
            let _ = client.send(Message::text(word.to_string())).await;
        }
        let heard = self.until(|known| known.heard.contains(&life));
        match conduct {
            Conduct::Stays { says: 0 } => return Some(client),
            Conduct::Stays { says } => {
                let told = server.until(|journal| {
                    let ended = journal.iter().filter(|(_, ended)| ended.is_some());
                    let told = ended.map(|(call, _)| Told::read(call, None));
                    told.filter(|told| self.is_message_of(life, told)).count() >= says.into()
                });
                tokio::select! {
                    () = told => return Some(client),
                    () = closed(&mut client) => {}
                }
            }
            Conduct::LeavesWhileTold { .. } => tokio::select! {
                () = heard => {}
                () = closed(&mut client) => {}
            },
            Conduct::ClosedInside { says } => {
                tokio::select! {
                    () = heard, if says > 0 => {}
                    () = closed(&mut client), if says > 0 => {}
                    else => {}
                }
                let id = self.known.borrow().asked[&life];
                // It may be closing already.
                let _ = self.nodes()[node].sessions.close(id, Close::asked(None, "bye"));
                closed(&mut client).await;
            }
            Conduct::LeavesAtOnce | Conduct::LeavesWhileRegistered | Conduct::ClosedWhileRegistered => {}
        }
        None
    }

    async fn until(&self, met: impl Fn(&Known) -> bool) {
        // The sender is part of `self`.
        let _ = self.known.subscribe().wait_for(met).await;
    }

    fn is_message_of(&self, life: usize, told: &Told) -> bool {
        matches!(told.what, What::Transport { .. }) && self.known.borrow().of.get(&told.id) == Some(&life)
    }

    /// What a function does with a call.
    fn respond(&self, call: &Call) -> Then {
        let Told { id, what, node, .. } = Told::read(call, None);
        let life = self.known.borrow().of.get(&id).copied();
        match what {
            What::Register { life } => {
                self.known.send_modify(|known| {
                    known.asked.insert(life, id);
                    known.of.insert(id, life);
                });
                if self.case.lives[life].conduct == Conduct::ClosedWhileRegistered {
                    assert!(self.nodes()[node].sessions.close(id, Close::asked(None, "bye")), "it is being registered");
                }
                self.strike(Moment::RegisterRead, life, node);
                self.case.lives[life].register.then()
            }
            What::Transport { .. } => {
                // Nobody can say anything of whom the register function was not asked about.
                let Some(life) = life else { return Then::Die };
                self.known.send_modify(|known| _ = known.heard.insert(life));
                self.strike(Moment::TransportRead, life, node);
                self.case.lives[life].transport.then()
            }
            What::Cleanup => {
                if let Some(life) = life {
                    self.strike(Moment::CleanupRead, life, node);
                }
                self.clean_up(id)
            }
        }
    }

    fn clean_up(&self, id: ConnectionId) -> Then {
        let (mut is_first, mut is_away) = (false, false);
        self.known.send_modify(|known| {
            is_first = known.ends.insert(id);
            is_away = Instant::now() < *known.away_until.get_or_insert_with(|| Instant::now() + AWAY);
        });
        match self.case.cleanup {
            Mood::RefusesFirst if is_first => Then::status(500),
            Mood::AwayAtFirst if is_away => Then::Die,
            Mood::Well | Mood::RefusesFirst | Mood::AwayAtFirst => Then::ok(""),
        }
    }

    /// The blows of this moment in this life fall.
    fn strike(&self, moment: Moment, life: usize, node: usize) {
        for (number, blow) in self.case.blows.iter().enumerate() {
            if blow.moment == moment && self.case.life_of(blow) == life {
                self.fall(number, blow.kind, node);
            }
        }
    }

    /// A blow that comes when the server has answered.
    async fn strike_after_an_answer(&self, server: &FunctionServer, number: usize) {
        let blow = &self.case.blows[number];
        let life = self.case.life_of(blow);
        let is_meant = |told: &Told| {
            let is_of_life = self.known.borrow().of.get(&told.id) == Some(&life);
            is_of_life
                && match blow.moment {
                    Moment::RegisterAnswered => matches!(told.what, What::Register { .. }),
                    Moment::CleanupAnswered => told.what == What::Cleanup,
                    Moment::RegisterRead | Moment::Seated | Moment::TransportRead | Moment::CleanupRead => false,
                }
        };
        let found = watch::Sender::new(None);
        server
            .until(|journal| {
                let answered = journal.iter().filter(|(_, ended)| ended.is_some_and(|ended| ended.answered));
                let meant = answered.map(|(call, _)| Told::read(call, None)).find(|told| is_meant(told));
                found.send_replace(meant.map(|told| told.node)).is_some() || found.borrow().is_some()
            })
            .await;
        let node = *found.borrow();
        if let Some(node) = node {
            self.fall(number, blow.kind, node);
        }
    }

    /// Each blow falls once, and one gateway is left alive.
    fn fall(&self, number: usize, kind: Kind, node: usize) {
        let is_new = self.known.send_if_modified(|known| known.fallen.insert(number));
        let is_last = self.nodes().iter().filter(|node| node.lives()).count() == 1;
        if !is_new || !self.nodes()[node].lives() || (kind == Kind::Kill && is_last) {
            return;
        }
        let time = match kind {
            Kind::Kill => Duration::ZERO,
            Kind::Freeze => FREEZE,
            Kind::Hiccup => HICCUP,
        };
        if kind == Kind::Kill {
            self.nodes()[node].kill();
        } else {
            self.nodes()[node].freeze(time);
        }
        self.known.send_modify(|known| {
            known.struck.insert(node);
            known.thaws = known.thaws.max(Some(Instant::now() + time));
        });
    }

    /// Waits until nobody is here, and nothing is left to do.
    async fn come_to_rest(&self, observer: &dyn Backplane) -> Result<(), String> {
        observer.connect().await.map_err(|error| error.to_string())?;
        let me = Incarnation::random();
        let until = Instant::now() + LONG;
        loop {
            match self.is_at_rest(observer, me).await {
                Ok(()) => return Ok(()),
                Err(unrest) if Instant::now() > until => return Err(unrest),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn is_at_rest(&self, observer: &dyn Backplane, me: Incarnation) -> Result<(), String> {
        if self.known.borrow().thaws.is_some_and(|thaws| Instant::now() < thaws) {
            return Err("somebody is frozen".into());
        }
        let mut living = 0;
        for (number, node) in self.nodes().iter().enumerate().filter(|(_, node)| node.lives()) {
            living += 1;
            if !node.is_empty().await {
                return Err(format!("gateway {number} is not empty"));
            }
        }
        let request = LeaseRequest {
            incarnation: me,
            length: TIMING.lease,
            born: None,
            pod_uid: String::new(),
            template: String::new(),
            draining: true,
            seen: Vec::new(),
        };
        let lease = match observer.lease(request).await {
            Ok(LeaseAnswer::Leased(lease)) => lease,
            other => return Err(format!("nobody can look into the room: {other:?}")),
        };
        let known_as_living = lease.peers.same_template_staying + lease.peers.other_template_staying;
        if known_as_living != living || !lease.condemned.is_empty() {
            return Err(format!("{living} gateways live, and the room knows {known_as_living}"));
        }
        if lease.online != 0 || lease.cleanups.waiting != 0 || lease.cleanups.dead != 0 {
            return Err(format!("online: {}, {:?}", lease.online, lease.cleanups));
        }
        Ok(())
    }
}

/// Reads until the gateway closes the connection.
async fn closed(client: &mut Client) {
    while let Some(Ok(_)) = client.next().await {}
}
