//! The properties of a backplane, for each implementation: the registry counts right, the order has no holes, the dead
//! are found.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and a line is for its reader"
)]

mod cleanups;
mod posts;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatroom_gateway::backplane::bus::{self, BusEvent};
use chatroom_gateway::backplane::{
    Backplane, Batch, End, Entry, Lease, LeaseAnswer, LeaseRequest, Peers, PublishAnswer, PublishRequest,
    RegisterAnswer, RegisterMode, Sweep,
};
use chatroom_gateway::id::{ConnectionId, Incarnation};
use chatroom_gateway::message::{Epoch, Message};
use cleanups::{
    a_claimed_event_is_hidden_and_comes_back_when_its_worker_is_gone, a_told_end_that_is_written_again_makes_no_event,
    an_event_is_written_once, an_event_that_is_put_off_waits_and_can_be_hastened,
    one_that_is_not_due_can_be_had_early_but_never_a_claimed_one, what_a_late_worker_says_does_not_disturb_the_next,
    what_is_buried_is_listed_and_comes_back_as_new, what_waits_and_what_is_dead_is_counted,
    workers_share_the_queue_and_lose_nothing,
};
use posts::{
    a_batch_says_how_many_were_there_and_who_is_left_out, a_gateway_that_starts_anew_hears_under_its_new_name,
    a_post_reaches_its_gateway_behind_what_was_published_before, only_the_registry_says_that_a_gateway_is_gone,
};
use prometheus_client::metrics::counter::Counter;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use support::gateway::text;
use tokio::sync::watch;

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(60);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(400);

/// Runs each property against both.
macro_rules! properties {
    ($($property:ident),* $(,)?) => {
        mod in_memory {
            use super::*;
            $(#[tokio::test]
            async fn $property() {
                super::$property(Arc::new(chatroom_gateway::backplane::memory::Memory::new())).await;
            })*
        }
        mod in_redis {
            use super::*;
            $(#[tokio::test]
            async fn $property() {
                let Some(server) = support::redis::Server::start(&[]) else { return };
                let backplane = server.backplane(stringify!($property));
                backplane.connect().await.unwrap();
                super::$property(backplane).await;
            })*
        }
    };
}

properties![
    members_balance_whoever_comes_goes_and_dies,
    the_order_has_no_holes_and_a_repeat_keeps_its_place,
    what_has_no_lease_is_fenced,
    a_silent_gateway_is_condemned_and_the_others_are_not,
    after_a_silence_of_all_nobody_is_condemned,
    a_gateway_that_leaves_is_gone_or_swept,
    peers_are_counted_by_template_and_drain,
    a_pending_connection_does_not_count_and_may_be_gone,
    an_event_is_written_once,
    a_claimed_event_is_hidden_and_comes_back_when_its_worker_is_gone,
    an_event_that_is_put_off_waits_and_can_be_hastened,
    one_that_is_not_due_can_be_had_early_but_never_a_claimed_one,
    what_a_late_worker_says_does_not_disturb_the_next,
    what_is_buried_is_listed_and_comes_back_as_new,
    a_told_end_that_is_written_again_makes_no_event,
    what_waits_and_what_is_dead_is_counted,
    workers_share_the_queue_and_lose_nothing,
    the_log_hands_out_what_is_behind_a_number,
    a_batch_says_how_many_were_there_and_who_is_left_out,
    a_post_reaches_its_gateway_behind_what_was_published_before,
    only_the_registry_says_that_a_gateway_is_gone,
    a_gateway_that_starts_anew_hears_under_its_new_name,
];

fn request(incarnation: Incarnation) -> LeaseRequest {
    LeaseRequest {
        incarnation,
        length: LONG,
        born: None,
        pod_uid: String::new(),
        template: String::new(),
        draining: false,
        seen: Vec::new(),
    }
}

async fn lease(backplane: &dyn Backplane, request: LeaseRequest) -> Lease {
    match backplane.lease(request).await.unwrap() {
        LeaseAnswer::Leased(lease) => lease,
        LeaseAnswer::Fenced => panic!("fenced"),
    }
}

fn entry(id: ConnectionId) -> Entry {
    Entry { id, details: format!("details of {id}") }
}

async fn register(backplane: &dyn Backplane, id: ConnectionId) -> RegisterAnswer {
    backplane.register(id.incarnation(), RegisterMode::Direct, vec![entry(id)]).await.unwrap()
}

fn end(id: ConnectionId) -> End {
    End { id, event: None }
}

async fn publish(
    backplane: &dyn Backplane,
    incarnation: Incarnation,
    number: u64,
    epoch: &Epoch,
    messages: &[Message],
) -> PublishAnswer {
    let request = PublishRequest { incarnation, number, epoch: Some(epoch), seen: 0, messages };
    backplane.publish(request).await.unwrap()
}

fn placed(answer: PublishAnswer) -> u64 {
    match answer {
        PublishAnswer::Placed { last, .. } => last,
        other => panic!("{other:?}"),
    }
}

/// What a gateway and the test know of it.
struct Known {
    incarnation: Incarnation,
    pod: String,
    live: BTreeSet<ConnectionId>,
    born: Option<Arc<str>>,
    number: u64,
}

impl Known {
    fn new(pod: usize) -> Self {
        Self {
            incarnation: Incarnation::random(),
            pod: format!("pod-{pod}"),
            live: BTreeSet::new(),
            born: None,
            number: 0,
        }
    }

    async fn lease(&mut self, backplane: &dyn Backplane) -> Lease {
        let request = LeaseRequest { born: self.born.clone(), pod_uid: self.pod.clone(), ..request(self.incarnation) };
        let lease = lease(backplane, request).await;
        self.born = Some(Arc::clone(&lease.born));
        lease
    }
}

async fn members_balance_whoever_comes_goes_and_dies(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    for seed in 0..4 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut gateways: Vec<Known> = (0..3).map(|slot| Known::new(slot + 10 * seed as usize)).collect();
        for gateway in &mut gateways {
            gateway.lease(backplane).await;
        }
        for _ in 0..300 {
            let slot = random.random_range(0..gateways.len());
            let gateway = &mut gateways[slot];
            match random.random_range(0..100) {
                0..45 => {
                    let id = gateway.incarnation.random_connection();
                    assert_eq!(register(backplane, id).await, RegisterAnswer::Registered);
                    gateway.live.insert(id);
                }
                45..75 => {
                    if let Some(id) = gateway.live.pop_first() {
                        let ends = vec![end(id), end(id)];
                        assert_eq!(backplane.unregister(gateway.incarnation, ends, false).await.unwrap(), 1);
                        assert_eq!(backplane.unregister(gateway.incarnation, vec![end(id)], true).await.unwrap(), 0);
                    }
                }
                75..80 => {
                    // Killed; its next container takes its place.
                    let pod = std::mem::take(&mut gateway.pod);
                    *gateway = Known { pod, ..Known::new(0) };
                    gateway.lease(backplane).await;
                }
                80..90 => {
                    let lease = gateway.lease(backplane).await;
                    for condemned in lease.condemned {
                        // Sometimes stops half way.
                        for _ in 0..random.random_range(0..6) {
                            backplane.sweep(condemned, 5, false).await.unwrap();
                        }
                    }
                }
                _ => {
                    let truth: usize = gateways.iter().map(|gateway| gateway.live.len()).sum();
                    let lease = gateways[slot].lease(backplane).await;
                    assert_eq!(lease.online, truth as u64, "seed {seed}");
                }
            }
        }
        for gateway in &mut gateways {
            let condemned = gateway.lease(backplane).await.condemned;
            for condemned in condemned {
                while backplane.sweep(condemned, 100, false).await.unwrap().left > 0 {}
            }
        }
        let lease = gateways[0].lease(backplane).await;
        assert_eq!(lease.condemned, []);
        for gateway in gateways {
            let ends = gateway.live.iter().map(|id| end(*id)).collect();
            assert_eq!(
                backplane.unregister(gateway.incarnation, ends, false).await.unwrap(),
                gateway.live.len() as u64
            );
            assert_eq!(backplane.leave(gateway.incarnation).await.unwrap(), 0);
        }
    }
}

async fn heard(bus: &mut bus::Receiver) -> BusEvent {
    tokio::time::timeout(Duration::from_secs(10), bus.next()).await.expect("something is on the bus")
}

async fn the_order_has_no_holes_and_a_repeat_keeps_its_place(backplane: Arc<dyn Backplane>) {
    let mut gateways = [Known::new(1), Known::new(2)];
    let mut epoch = None;
    for gateway in &mut gateways {
        epoch = Some(gateway.lease(&*backplane).await.position.epoch);
    }
    let epoch = epoch.unwrap();
    let (sender, mut bus) = bus::queue(Counter::default());
    let feed = tokio::spawn(backplane.subscribe(sender, watch::channel(gateways[0].incarnation).1));
    assert_eq!(heard(&mut bus).await, BusEvent::Subscribed);

    let mut random = StdRng::seed_from_u64(7);
    let (mut said, mut places) = (Vec::new(), HashMap::new());
    for round in 0..200 {
        let slot = random.random_range(0..gateways.len());
        let gateway = &mut gateways[slot];
        let id = gateway.incarnation.random_connection();
        let repeat = gateway.number > 0 && random.random_bool(0.3);
        if repeat {
            let number = random.random_range(1..=gateway.number);
            let other = [text(id, "a repeat changes nothing, whatever it says")];
            let last = placed(publish(&*backplane, gateway.incarnation, number, &epoch, &other).await);
            // An older batch than the newest is answered with the newest place: only the newest is ever repeated.
            assert_eq!(last, places[&(slot, gateway.number)]);
        } else {
            gateway.number += 1;
            let messages: Vec<Message> =
                (0..random.random_range(1..5)).map(|place| text(id, &format!("{round}-{place}"))).collect();
            let last = placed(publish(&*backplane, gateway.incarnation, gateway.number, &epoch, &messages).await);
            said.extend(messages);
            assert_eq!(last, said.len() as u64);
            places.insert((slot, gateway.number), last);
        }
    }
    let mut next = 1;
    while next <= said.len() as u64 {
        let BusEvent::Batch(Batch { epoch: of, first, online, messages }) = heard(&mut bus).await else {
            panic!("nothing was missed");
        };
        assert_eq!((&of, first, online), (&epoch, next, 0));
        for message in messages {
            assert_eq!(message, said[usize::try_from(next).unwrap() - 1]);
            next += 1;
        }
    }
    assert_eq!(backplane.position().await.unwrap().now.seq, said.len() as u64);
    let other = Epoch("another".into());
    let answer = publish(&*backplane, gateways[0].incarnation, 1_000, &other, &said[..1]).await;
    assert_eq!(answer, PublishAnswer::OtherEpoch(epoch));
    assert_eq!(backplane.position().await.unwrap().now.seq, said.len() as u64, "nothing was written");
    feed.abort();
}

async fn what_has_no_lease_is_fenced(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let mut gateway = Known::new(1);
    let epoch = gateway.lease(backplane).await.position.epoch;
    let stranger = Incarnation::random();
    let id = stranger.random_connection();
    assert_eq!(register(backplane, id).await, RegisterAnswer::Fenced);
    assert_eq!(publish(backplane, stranger, 1, &epoch, &[text(id, "hello")]).await, PublishAnswer::Fenced);

    let mine = gateway.incarnation.random_connection();
    register(backplane, mine).await;
    let dead = gateway.incarnation;
    let born = gateway.born.clone();
    gateway = Known { pod: gateway.pod, ..Known::new(1) };
    assert_eq!(gateway.lease(backplane).await.condemned, [dead]);
    assert_eq!(register(backplane, dead.random_connection()).await, RegisterAnswer::Fenced);
    assert_eq!(publish(backplane, dead, 1, &epoch, &[text(mine, "hello")]).await, PublishAnswer::Fenced);
    let again = LeaseRequest { born, ..request(dead) };
    assert_eq!(backplane.lease(again.clone()).await.unwrap(), LeaseAnswer::Fenced);
    // An end is taken also from the dead: nobody else may know of it.
    assert_eq!(backplane.unregister(dead, vec![end(mine)], false).await.unwrap(), 1);
    assert_eq!(backplane.sweep(dead, 100, false).await.unwrap(), Sweep { swept: 0, left: 0 });
    assert_eq!(backplane.lease(again).await.unwrap(), LeaseAnswer::Fenced, "also when it is swept up");
}

async fn a_silent_gateway_is_condemned_and_the_others_are_not(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let (silent, awake) = (Incarnation::random(), Incarnation::random());
    let short = |incarnation| LeaseRequest { length: SHORT, ..request(incarnation) };
    lease(backplane, short(silent)).await;
    register(backplane, silent.random_connection()).await;
    let began = Instant::now();
    loop {
        let lease = lease(backplane, short(awake)).await;
        if !lease.condemned.is_empty() {
            assert_eq!((lease.condemned, lease.online), (vec![silent], 0));
            break;
        }
        assert_eq!(lease.online, 1);
        assert!(began.elapsed() < Duration::from_secs(20), "a silent gateway was never condemned");
        tokio::time::sleep(SHORT / 10).await;
    }
    assert_eq!(backplane.sweep(silent, 100, false).await.unwrap(), Sweep { swept: 1, left: 0 });
    assert_eq!(lease(backplane, short(awake)).await.condemned, []);
}

async fn after_a_silence_of_all_nobody_is_condemned(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let gateways = [Incarnation::random(), Incarnation::random()];
    let short = |incarnation| LeaseRequest { length: SHORT, ..request(incarnation) };
    let mut born = None;
    for incarnation in gateways {
        born = Some(lease(backplane, short(incarnation)).await.born);
    }
    // Not a wait for something to happen: it is the silence that is the case.
    tokio::time::sleep(SHORT * 2).await;
    for incarnation in gateways {
        assert_eq!(lease(backplane, LeaseRequest { born: born.clone(), ..short(incarnation) }).await.condemned, []);
    }
}

async fn a_gateway_that_leaves_is_gone_or_swept(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let mut gateways = [Known::new(1), Known::new(2), Known::new(3)];
    for gateway in &mut gateways {
        gateway.lease(backplane).await;
    }
    let [empty, full, witness] = &mut gateways;
    for _ in 0..3 {
        register(backplane, full.incarnation.random_connection()).await;
    }
    assert_eq!(backplane.leave(empty.incarnation).await.unwrap(), 0);
    assert_eq!(backplane.leave(full.incarnation).await.unwrap(), 3);
    let lease = witness.lease(backplane).await;
    assert_eq!((lease.condemned, lease.online), (vec![full.incarnation], 0));
    for left in [empty, full] {
        let again = LeaseRequest { born: left.born.clone(), ..request(left.incarnation) };
        assert_eq!(backplane.lease(again).await.unwrap(), LeaseAnswer::Fenced, "leaving is for good");
    }
}

async fn peers_are_counted_by_template_and_drain(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let me = Incarnation::random();
    let others = ["old", "old", "new", "new", "new"].map(|template| (Incarnation::random(), template));
    for (number, (incarnation, template)) in others.into_iter().enumerate() {
        // One of each drains.
        let draining = matches!(number, 0 | 2);
        lease(backplane, LeaseRequest { template: template.into(), draining, ..request(incarnation) }).await;
    }
    let lease = lease(backplane, LeaseRequest { template: "old".into(), ..request(me) }).await;
    assert_eq!(lease.peers, Peers { same_template_staying: 1, other_template_staying: 2 });
}

async fn a_pending_connection_does_not_count_and_may_be_gone(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let mut gateway = Known::new(1);
    gateway.lease(backplane).await;
    let me = gateway.incarnation;
    let [stays, goes] = [me.random_connection(), me.random_connection()];
    let register = |mode, id| backplane.register(me, mode, vec![entry(id)]);
    for id in [stays, goes] {
        assert_eq!(register(RegisterMode::Pending, id).await.unwrap(), RegisterAnswer::Registered);
    }
    assert_eq!(gateway.lease(backplane).await.online, 0);
    assert_eq!(register(RegisterMode::Confirm, stays).await.unwrap(), RegisterAnswer::Registered);
    assert_eq!(register(RegisterMode::Confirm, stays).await.unwrap(), RegisterAnswer::Registered, "a repeat");
    assert_eq!(backplane.unregister(me, vec![end(goes)], false).await.unwrap(), 1);
    assert_eq!(register(RegisterMode::Confirm, goes).await.unwrap(), RegisterAnswer::Gone);
    assert_eq!(gateway.lease(backplane).await.online, 1);
}

async fn the_log_hands_out_what_is_behind_a_number(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let mut gateway = Known::new(1);
    let epoch = gateway.lease(backplane).await.position.epoch;
    let id = gateway.incarnation.random_connection();
    for number in 1..=10 {
        let pair = ["a", "b"].map(|half| text(id, &format!("{number}{half}")));
        publish(backplane, gateway.incarnation, number, &epoch, &pair).await;
    }
    let firsts = async |after| -> Vec<u64> {
        let history = backplane.history(after).await.unwrap();
        assert!(history.complete);
        history.batches.iter().map(|batch| batch.first).collect()
    };
    assert_eq!(firsts(0).await, (0..10).map(|batch| 2 * batch + 1).collect::<Vec<u64>>());
    assert_eq!(firsts(15).await, [15, 17, 19], "also the batch that the number cuts");
    assert_eq!(firsts(16).await, [17, 19]);
    assert_eq!(firsts(20).await, Vec::<u64>::new());
    // Large messages push old ones out; the newest stays.
    let large = [text(id, &"x".repeat(1 << 20))];
    for number in 11..=20 {
        publish(backplane, gateway.incarnation, number, &epoch, &large).await;
    }
    let kept = firsts(0).await;
    assert!((3..=5).contains(&kept.len()), "{kept:?}");
    assert_eq!(kept.last(), Some(&30));
}
