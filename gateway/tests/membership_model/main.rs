//! A random model of the registry: gateways that are killed, frozen and swept up half way, a Redis that stalls for longer
//! than a lease. In the end every connection that ended has its event, no other has one, and the count is the truth.
//!
//! The same model must see defects that are planted in the scripts; a model that sees none proves nothing.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and a line is for its reader"
)]

mod findings;
#[path = "../support/mod.rs"]
mod support;
mod workers;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use findings::Findings;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use support::redis::Server;
use workers::Workers;

const LEASE: Duration = Duration::from_millis(400);
const PREFIX: &str = "cr1:{model}:";

/// The texts of the scripts, which a test may spoil.
#[derive(Clone)]
struct Scripts {
    lease: String,
    register: String,
    unregister: String,
    sweep: String,
    claim: String,
    settle: String,
    replay: String,
}

impl Scripts {
    fn good() -> Self {
        Self {
            lease: include_str!("../../src/backplane/redis/lease.lua").into(),
            register: include_str!("../../src/backplane/redis/register.lua").into(),
            unregister: include_str!("../../src/backplane/redis/unregister.lua").into(),
            sweep: include_str!("../../src/backplane/redis/sweep.lua").into(),
            claim: include_str!("../../src/backplane/redis/claim.lua").into(),
            settle: include_str!("../../src/backplane/redis/settle.lua").into(),
            replay: include_str!("../../src/backplane/redis/replay.lua").into(),
        }
    }
}

fn spoil(script: &mut String, right: &str, wrong: &str) {
    assert!(script.contains(right), "the planted defect has no place any more: {right}");
    *script = script.replace(right, wrong);
}

/// How rough the world is.
#[derive(Clone, Copy)]
struct World {
    seed: u64,
    kills: bool,
    freezes: bool,
    stalls: bool,
}

struct Gateway {
    name: String,
    pod: String,
    born: String,
    live: BTreeSet<String>,
    frozen_until: Instant,
    renewed: Option<Instant>,
}

struct Model {
    scripts: Scripts,
    connection: redis::Connection,
    random: StdRng,
    gateways: Vec<Gateway>,
    must: BTreeSet<String>,
    never: BTreeSet<String>,
    numbers: u64,
    next_stall: Instant,
    workers: Workers,
    /// Ends that were written, of which some are written again.
    written: Vec<(String, String)>,
    findings: Findings,
}

impl Model {
    fn new(server: &Server, scripts: &Scripts, seed: u64) -> Self {
        let mut model = Self {
            scripts: scripts.clone(),
            connection: server.connection(),
            random: StdRng::seed_from_u64(seed),
            gateways: Vec::new(),
            must: BTreeSet::new(),
            never: BTreeSet::new(),
            numbers: 0,
            next_stall: Instant::now() + LEASE * 3,
            workers: Workers::default(),
            written: Vec::new(),
            findings: Findings::default(),
        };
        (0..3).for_each(|_| model.join(None));
        model
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn call<T: redis::FromRedisValue>(&mut self, script: &str, keys: &[&str], arguments: &[&str]) -> T {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(keys.len());
        keys.iter().for_each(|key| _ = command.arg(format!("{PREFIX}{key}")));
        command.arg(arguments).query(&mut self.connection).unwrap()
    }

    fn join(&mut self, pod: Option<String>) {
        let number = self.number();
        let now = Instant::now();
        let gateway = Gateway {
            name: format!("g{number}"),
            pod: pod.unwrap_or_else(|| format!("pod-{number}")),
            born: String::new(),
            live: BTreeSet::new(),
            frozen_until: now,
            renewed: None,
        };
        self.gateways.push(gateway);
        let last = self.gateways.len() - 1;
        self.renew(last);
    }

    /// Whether the gateway still lives.
    fn renew(&mut self, slot: usize) -> bool {
        let token = format!("token-{}", self.number());
        let Gateway { name, pod, born, .. } = &self.gateways[slot];
        let (name, pod, born) = (name.clone(), pod.clone(), born.clone());
        let length = LEASE.as_millis().to_string();
        let script = self.scripts.lease.clone();
        let answer: Vec<redis::Value> = self.call(
            &script,
            &["gateways", "room", "history", "due", "claims", "events", "tries", "told", "dead"],
            &[&name, &length, "86400", PREFIX, &token, &born, &pod, "template", "0", "1", "30000", "120000"],
        );
        let text = |value: &redis::Value| redis::from_redis_value::<String>(value.clone()).unwrap();
        if text(&answer[0]) == "fenced" {
            return false;
        }
        self.gateways[slot].born = text(&answer[1]);
        self.gateways[slot].renewed = Some(Instant::now());
        let condemned: Vec<String> = redis::from_redis_value(answer[4].clone()).unwrap();
        for condemned in condemned {
            // Sometimes stops half way.
            for _ in 0..*[0, 1, 1, 99].choose(&mut self.random).unwrap() {
                if self.sweep(&condemned).1 == 0 {
                    break;
                }
            }
        }
        true
    }

    fn sweep(&mut self, condemned: &str) -> (u64, u64) {
        let script = self.scripts.sweep.clone();
        let (connections, pending) = (format!("conns:{condemned}"), format!("pending:{condemned}"));
        let keys = ["gateways", &connections, &pending, "due", "events", "told", "room"];
        self.call(&script, &keys, &[condemned, "5", "1", "86400"])
    }

    fn register(&mut self, gateway: &str, mode: &str, id: &str) -> String {
        let script = self.scripts.register.clone();
        let (connections, pending) = (format!("conns:{gateway}"), format!("pending:{gateway}"));
        self.call(
            &script,
            &["gateways", "room", &connections, &pending],
            &[gateway, mode, id, &format!("details of {id}")],
        )
    }

    fn unregister(&mut self, gateway: &str, id: &str, event: &str) {
        let script = self.scripts.unregister.clone();
        let (connections, pending) = (format!("conns:{gateway}"), format!("pending:{gateway}"));
        let keys = ["gateways", "room", &connections, &pending, "due", "events", "told"];
        let event = if event.is_empty() { String::new() } else { format!("{event}: {id}") };
        let force = if event.is_empty() { "0" } else { "1" };
        let _: u64 = self.call(&script, &keys, &[gateway, force, "86400", id, &event]);
        if !event.is_empty() {
            self.written.push((gateway.to_owned(), id.to_owned()));
        }
    }

    /// All its connections have ended, though it could not say so.
    fn bury(&mut self, slot: usize) -> Gateway {
        let mut dead = self.gateways.remove(slot);
        self.must.append(&mut dead.live);
        dead
    }

    fn renew_who_is_due(&mut self) {
        let mut slot = 0;
        while slot < self.gateways.len() {
            let Gateway { frozen_until, renewed, .. } = &self.gateways[slot];
            let due = renewed.is_none_or(|renewed| renewed.elapsed() > LEASE / 3);
            if due && *frozen_until <= Instant::now() && !self.renew(slot) {
                self.findings.fenced += 1;
                self.bury(slot);
                self.join(None);
            } else {
                slot += 1;
            }
        }
    }

    fn step(&mut self, world: World) {
        let slot = self.random.random_range(0..self.gateways.len());
        if self.gateways[slot].frozen_until > Instant::now() {
            return;
        }
        let name = self.gateways[slot].name.clone();
        match self.random.random_range(0..10_000) {
            0..5_000 => self.connect(slot, &name),
            5_000..8_950 => {
                let some = self.random.random_range(0..=self.gateways[slot].live.len());
                let Some(id) = self.gateways[slot].live.iter().nth(some).cloned() else { return };
                self.gateways[slot].live.remove(&id);
                let leased = self.gateways[slot].renewed.is_some_and(|renewed| renewed.elapsed() < LEASE);
                let is_told = self.workers.done.contains_key(&id);
                if leased && (is_told || self.command(&["HEXISTS", &format!("{PREFIX}events"), &id])) {
                    self.findings.of_living += 1;
                }
                self.must.insert(id.clone());
                for _ in 0..self.random.random_range(1..3) {
                    self.unregister(&name, &id, "ended");
                }
            }
            // Redis changed under it, or the answer got lost: some end is written again.
            8_950..9_000 => {
                let Some((owner, id)) = self.written.choose(&mut self.random).cloned() else { return };
                self.unregister(&owner, &id, "ended");
            }
            9_000..9_015 if world.kills => {
                self.findings.killed += 1;
                let dead = self.bury(slot);
                let pod = self.random.random_bool(0.5).then_some(dead.pod);
                self.join(pod);
            }
            _ => {}
        }
    }

    /// Freezes a gateway or stalls Redis when it is time for that, so that a slow machine sees as much of it.
    fn disturb(&mut self, world: World) {
        let now = Instant::now();
        // One at a time: a silence of all is a stall, and condemns nobody.
        let thawed = self.gateways.iter().all(|gateway| gateway.frozen_until + LEASE / 4 <= now);
        if world.freezes && thawed {
            let pause = *[LEASE / 2, LEASE * 5 / 4, LEASE * 5 / 2].choose(&mut self.random).unwrap();
            let slot = self.random.random_range(0..self.gateways.len());
            self.gateways[slot].frozen_until = now + pause;
        }
        if world.stalls && now >= self.next_stall {
            self.stall();
            self.next_stall = Instant::now() + LEASE * self.random.random_range(4..8);
        }
    }

    fn stall(&mut self) {
        self.findings.stalled += 1;
        let seconds = (LEASE * 7 / 4).as_secs_f64().to_string();
        redis::cmd("DEBUG").arg("SLEEP").arg(seconds).query::<()>(&mut self.connection).unwrap();
    }

    fn connect(&mut self, slot: usize, name: &str) {
        let id = format!("{name}-{}", self.number());
        match self.random.random_range(0..100) {
            0..40 => {
                if self.register(name, "direct", &id) == "ok" {
                    self.gateways[slot].live.insert(id);
                }
                return;
            }
            _ if self.register(name, "pending", &id) != "ok" => return,
            // Its call timed out: nobody knows, so there has to be an event.
            40..46 => {
                self.unregister(name, &id, "unknown");
                self.must.insert(id);
                return;
            }
            46..52 => {
                self.unregister(name, &id, "");
                self.never.insert(id);
                return;
            }
            // Killed before it could confirm; stays pending until it is swept.
            52..54 => {
                self.gateways[slot].live.insert(id);
                let dead = self.bury(slot);
                self.join(Some(dead.pod));
                return;
            }
            _ => {}
        }
        if self.register(name, "confirm", &id) == "ok" {
            self.gateways[slot].live.insert(id);
        } else {
            self.must.insert(id);
        }
    }

    fn settle(&mut self) {
        let until = Instant::now() + LEASE * 5;
        self.gateways.iter_mut().for_each(|gateway| gateway.frozen_until = Instant::now());
        while Instant::now() < until {
            self.renew_who_is_due();
            std::thread::yield_now();
        }
        let dead: Vec<String> = self.command(&["ZRANGEBYSCORE", &format!("{PREFIX}gateways"), "0", "0"]);
        for dead in dead {
            while self.sweep(&dead).1 > 0 {}
        }
        for slot in 0..self.gateways.len() {
            assert!(self.renew(slot), "nobody is frozen any more");
        }
    }

    fn command<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        redis::cmd(words[0]).arg(&words[1..]).query(&mut self.connection).unwrap()
    }
}

/// Runs the model for a while; nothing where there is no Redis.
fn run(scripts: &Scripts, world: World, seconds: u64) -> Option<Findings> {
    let server = Server::start(&["--enable-debug-command", "local"])?;
    let mut model = Model::new(&server, scripts, world.seed);
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        model.renew_who_is_due();
        model.disturb(world);
        model.step(world);
        model.work();
    }
    model.settle();
    let findings = model.find();
    println!("seed {}: {findings:?}", world.seed);
    Some(findings)
}

fn rough(seed: u64) -> World {
    World { seed, kills: true, freezes: true, stalls: true }
}

/// Runs several worlds at once: they mostly wait.
fn run_all(scripts: &Scripts, worlds: &[World], seconds: u64) -> Vec<Findings> {
    std::thread::scope(|scope| {
        let runs: Vec<_> = worlds.iter().map(|world| scope.spawn(|| run(scripts, *world, seconds))).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap()).collect()
    })
}

#[test]
fn every_end_has_its_event_and_the_count_is_the_truth() {
    let findings = run_all(&Scripts::good(), &[1, 2, 3, 4].map(rough), 8);
    for findings in &findings {
        assert!(findings.are_right(), "{findings:?}");
        assert!(findings.ended > 100, "the model did something: {findings:?}");
    }
    let total = |of: fn(&Findings) -> usize| findings.iter().map(of).sum::<usize>();
    let something =
        [total(|f| f.fenced), total(|f| f.killed), total(|f| f.stalled), total(|f| f.buried), total(|f| f.crashed)];
    assert!(
        findings.is_empty() || something.iter().all(|count| *count > 0),
        "fenced, killed, stalled, buried, crashed: {something:?}"
    );
}

#[test]
fn a_stall_fences_nobody() {
    let calm = World { seed: 5, kills: false, freezes: false, stalls: true };
    for findings in run_all(&Scripts::good(), &[calm], 5) {
        assert!(findings.are_right() && findings.stalled > 0, "{findings:?}");
        assert_eq!(findings.fenced, 0, "{findings:?}");
    }
}

/// The line by which a condemned gateway learns that it is.
const UNDEAD: &str = "if mine == '0' or (not mine and known ~= '' and known == born) then";

#[test]
fn planted_defects_are_seen() {
    let planted = |spoil: &dyn Fn(&mut Scripts)| {
        let mut scripts = Scripts::good();
        spoil(&mut scripts);
        scripts
    };
    let too_early = planted(&|scripts| spoil(&mut scripts.sweep, "if left == 0 then", "if true then"));
    for findings in run_all(&too_early, &[rough(6)], 4) {
        assert!(findings.missing > 0, "an incarnation removed after the first batch: {findings:?}");
    }
    let of_refused = planted(&|scripts| spoil(&mut scripts.unregister, "event ~= '' and (", "("));
    for findings in run_all(&of_refused, &[rough(7)], 3) {
        assert!(findings.of_refused > 0, "an event for who was refused: {findings:?}");
    }
    let forgetful = planted(&|scripts| spoil(&mut scripts.unregister, "not redis.call('ZSCORE', told, id)", "true"));
    for findings in run_all(&forgetful, &[rough(15)], 3) {
        assert!(findings.repeated > 0, "an end that is written again is told again: {findings:?}");
    }
    let lossy = planted(&|scripts| spoil(&mut scripts.claim, "redis.call('ZADD', due, lapsed[i + 1], lapsed[i])", ""));
    for findings in run_all(&lossy, &[rough(16)], 3) {
        assert!(findings.missing > 0, "what a dead worker held is lost: {findings:?}");
    }
    let late = planted(&|scripts| spoil(&mut scripts.settle, "event and count == try", "event"));
    for findings in run_all(&late, &[rough(17)], 3) {
        assert!(findings.twice > 0, "a late worker puts off what another one holds: {findings:?}");
    }
    let undead = planted(&|scripts| spoil(&mut scripts.lease, UNDEAD, "if false then"));
    // On a machine that is busy with other things everybody is silent now and then, and nobody is condemned.
    let is_seen = |findings: &Findings| findings.of_living > 0 || findings.online != findings.truth;
    let frosty = |seed| World { kills: false, stalls: false, ..rough(seed) };
    let mut runs = (8..14).map(|seed| run_all(&undead, &[frosty(seed)], 5));
    // Nothing was found where there is no Redis to look into.
    let seen = runs.any(|found| found.is_empty() || found.iter().any(is_seen));
    assert!(seen, "the condemned go on, and nobody sees it");
    let hasty = planted(&|scripts| {
        spoil(&mut scripts.lease, "deadline < now and now >= quiet", "deadline < now");
    });
    let calm = World { seed: 9, kills: false, freezes: false, stalls: true };
    for findings in run_all(&hasty, &[calm], 5) {
        assert!(findings.stalled == 0 || findings.fenced > 0, "a stall fences the fleet: {findings:?}");
    }
}
