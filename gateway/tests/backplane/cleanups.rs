//! The properties of the queue of ends: nothing is lost, nobody is handed what another one works on, each is settled once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatroom_gateway::backplane::cleanups::{Claim, Claiming, Claims, Cleanups, Settlement};
use chatroom_gateway::backplane::{Backplane, End, Sweep};
use chatroom_gateway::id::{ConnectionId, Incarnation};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::{Known, LONG, LeaseRequest, SHORT, lease, register, request};

/// Writes that many ends; a lease comes first, as everywhere.
async fn ended(backplane: &dyn Backplane, me: Incarnation, many: usize) -> Vec<ConnectionId> {
    lease(backplane, request(me)).await;
    let ids: Vec<_> = (0..many).map(|_| me.random_connection()).collect();
    write(backplane, &ids).await;
    ids
}

async fn write(backplane: &dyn Backplane, ids: &[ConnectionId]) {
    for id in ids {
        let end = End { id: *id, event: Some(format!("details of {id}")) };
        backplane.unregister(id.incarnation(), vec![end], true).await.unwrap();
    }
}

fn due(at_most: usize, hidden_for: Duration) -> Claiming {
    Claiming { at_most, hidden_for, early: false }
}

async fn claim(backplane: &dyn Backplane, claiming: Claiming) -> Claims {
    backplane.claim(claiming).await.unwrap()
}

/// Claims until there is something to claim.
async fn claimed(backplane: &dyn Backplane, claiming: Claiming) -> Vec<Claim> {
    let began = Instant::now();
    loop {
        let Claims { events, next } = claim(backplane, claiming).await;
        if !events.is_empty() {
            return events;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "nothing came due");
        tokio::time::sleep(next.expect("something waits")).await;
    }
}

async fn settle(backplane: &dyn Backplane, claim: &Claim, outcome: Settlement) -> u64 {
    backplane.settle(vec![claim.settled(outcome)]).await.unwrap()
}

fn ids(claims: &[Claim]) -> BTreeSet<ConnectionId> {
    claims.iter().map(|claim| claim.id).collect()
}

pub(crate) async fn an_event_is_written_once(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let mut gateway = Known::new(1);
    gateway.lease(backplane).await;
    let me = gateway.incarnation;
    let [ended, unknown, swept] = [(); 3].map(|()| me.random_connection());
    register(backplane, ended).await;
    register(backplane, swept).await;
    let event = |id| vec![End { id, event: Some("ended".into()) }];
    backplane.unregister(me, event(ended), false).await.unwrap();
    backplane.unregister(me, event(ended), true).await.unwrap();
    backplane.unregister(me, event(unknown), false).await.unwrap();
    assert_eq!(gateway.lease(backplane).await.cleanups.due, 1);
    backplane.unregister(me, event(unknown), true).await.unwrap();
    assert_eq!(gateway.lease(backplane).await.cleanups.due, 2);
    let mut next = Known { pod: gateway.pod, ..Known::new(1) };
    assert_eq!(next.lease(backplane).await.condemned, [me]);
    assert_eq!(backplane.sweep(me, 100, true).await.unwrap(), Sweep { swept: 1, left: 0 });
    assert_eq!(next.lease(backplane).await.cleanups.due, 3);
}

pub(crate) async fn a_claimed_event_is_hidden_and_comes_back_when_its_worker_is_gone(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let written = ended(backplane, Incarnation::random(), 3).await;
    let Claims { events: first, next } = claim(backplane, due(2, LONG)).await;
    assert_eq!((first.len(), next), (2, Some(Duration::ZERO)), "one more is due");
    for claim in &first {
        assert_eq!(claim.details, format!("details of {}", claim.id), "nobody has another one's event");
        assert_eq!((claim.tries, claim.since_first), (1, Duration::ZERO));
    }
    let Claims { events: second, next } = claim(backplane, due(10, SHORT)).await;
    assert_eq!(second.len(), 1);
    assert!(next.is_some_and(|next| next <= SHORT), "the claim that lapses first: {next:?}");
    let mut all = ids(&first);
    all.extend(ids(&second));
    assert_eq!(all, written.into_iter().collect());

    // The second worker is gone, the first is busy.
    let again = claimed(backplane, due(10, LONG)).await;
    assert_eq!((ids(&again), again[0].tries), (ids(&second), 2));
    assert!(again[0].since_first >= SHORT, "{:?}", again[0].since_first);
    for claim in first.iter().chain(&again) {
        assert_eq!(settle(backplane, claim, Settlement::Done).await, 1);
        assert_eq!(settle(backplane, claim, Settlement::Done).await, 0, "once");
    }
    assert_eq!(claim(backplane, due(10, LONG)).await, Claims::default());
}

pub(crate) async fn an_event_that_is_put_off_waits_and_can_be_hastened(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let written = ended(backplane, Incarnation::random(), 4).await;
    let held = claim(backplane, due(1, LONG)).await.events;
    let put_off = claim(backplane, due(3, LONG)).await.events;
    settle(backplane, &put_off[0], Settlement::Later(SHORT)).await;
    for claim in &put_off[1..] {
        assert_eq!(settle(backplane, claim, Settlement::Later(LONG / 2)).await, 1);
    }
    let Claims { events, next } = claim(backplane, due(10, LONG)).await;
    assert_eq!(events, []);
    assert!(next.is_some_and(|next| next <= SHORT), "{next:?}");
    let soon = claimed(backplane, due(10, LONG)).await;
    assert_eq!(ids(&soon), ids(&put_off[..1]));

    let next = claim(backplane, due(10, LONG)).await.next.unwrap();
    assert!(next > SHORT && next <= LONG / 2, "{next:?}");
    assert_eq!(backplane.hasten(1).await.unwrap(), 1);
    assert_eq!(backplane.hasten(10).await.unwrap(), 1);
    assert_eq!(backplane.hasten(10).await.unwrap(), 0, "what is due is not put off");
    let hastened = claim(backplane, due(10, LONG)).await.events;
    assert_eq!(ids(&hastened), ids(&put_off[1..]), "and nothing that is claimed");
    assert!(hastened.iter().all(|claim| claim.tries == 2), "{hastened:?}");
    assert_eq!(held.len() + soon.len() + hastened.len(), written.len());
}

pub(crate) async fn one_that_is_not_due_can_be_had_early_but_never_a_claimed_one(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    ended(backplane, Incarnation::random(), 3).await;
    let early = Claiming { at_most: 1, hidden_for: LONG, early: true };
    let some = claim(backplane, due(3, LONG)).await.events;
    settle(backplane, &some[0], Settlement::Later(LONG)).await;
    settle(backplane, &some[1], Settlement::Later(LONG / 2)).await;
    let got = [claim(backplane, early).await.events, claim(backplane, early).await.events];
    assert_eq!(got.map(|events| ids(&events)), [ids(&some[1..2]), ids(&some[..1])], "the one that is due first");
    let Claims { events, next } = claim(backplane, early).await;
    assert_eq!(events, []);
    assert!(next.is_some());
}

pub(crate) async fn what_a_late_worker_says_does_not_disturb_the_next(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    ended(backplane, Incarnation::random(), 1).await;
    let late = claim(backplane, due(1, Duration::ZERO)).await.events.remove(0);
    let busy = claimed(backplane, due(1, LONG)).await.remove(0);
    assert_eq!(settle(backplane, &late, Settlement::Later(Duration::ZERO)).await, 0);
    assert_eq!(settle(backplane, &late, Settlement::Bury("late".into())).await, 0);
    assert_eq!(claim(backplane, due(1, LONG)).await.events, [], "it is in somebody's hands");
    assert_eq!(backplane.dead().await.unwrap(), []);
    // That the function knows is true whoever says it.
    assert_eq!(settle(backplane, &late, Settlement::Done).await, 1);
    assert_eq!(settle(backplane, &busy, Settlement::Later(Duration::ZERO)).await, 0);
    assert_eq!(claim(backplane, due(1, LONG)).await, Claims::default());
}

pub(crate) async fn what_is_buried_is_listed_and_comes_back_as_new(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let written = ended(backplane, Incarnation::random(), 3).await;
    for why in ["first", "second", "third"] {
        let again = claim(backplane, due(1, Duration::ZERO)).await.events.remove(0);
        settle(backplane, &again, Settlement::Later(Duration::ZERO)).await;
        let claim = claimed(backplane, Claiming { early: true, ..due(1, LONG) }).await.remove(0);
        assert_eq!(settle(backplane, &claim, Settlement::Bury(format!("{why}: {}", "é".repeat(200)))).await, 1);
        assert_eq!(settle(backplane, &claim, Settlement::Bury(why.into())).await, 0, "once");
    }
    assert_eq!(claim(backplane, due(10, LONG)).await, Claims::default());
    let dead = backplane.dead().await.unwrap();
    assert_eq!(dead.iter().map(|dead| dead.id).collect::<BTreeSet<_>>(), written.into_iter().collect());
    for (dead, why) in dead.iter().zip(["first", "second", "third"]) {
        assert_eq!(dead.details, format!("details of {}", dead.id));
        assert!(dead.tries >= 1 && dead.why.starts_with(why), "{dead:?}");
    }
    let places = |range: std::ops::Range<usize>| dead[range].iter().map(|dead| dead.place.clone()).collect::<Vec<_>>();
    assert_eq!(backplane.replay(places(1..2)).await.unwrap(), 1);
    assert_eq!(backplane.replay(places(0..2)).await.unwrap(), 1, "the other one is back already");
    assert_eq!(backplane.dead().await.unwrap(), dead[2..]);
    let back = claim(backplane, due(10, LONG)).await.events;
    assert_eq!(ids(&back), dead[..2].iter().map(|dead| dead.id).collect());
    assert!(back.iter().all(|claim| claim.tries == 1 && claim.since_first.is_zero()), "{back:?}");
}

pub(crate) async fn a_told_end_that_is_written_again_makes_no_event(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let (me, next) = (Incarnation::random(), Incarnation::random());
    lease(backplane, LeaseRequest { pod_uid: "pod".into(), ..request(me) }).await;
    let id = me.random_connection();
    register(backplane, id).await;
    write(backplane, &[id]).await;
    let told = claim(backplane, due(1, LONG)).await.events.remove(0);
    write(backplane, &[id]).await;
    assert_eq!(claim(backplane, due(1, LONG)).await.events, [], "claimed, so known");
    settle(backplane, &told, Settlement::Done).await;
    write(backplane, &[id]).await;
    // Nor when its registration comes late, and it is swept up.
    register(backplane, id).await;
    assert_eq!(lease(backplane, LeaseRequest { pod_uid: "pod".into(), ..request(next) }).await.condemned, [me]);
    assert_eq!(backplane.sweep(me, 10, true).await.unwrap().swept, 1);
    assert_eq!(claim(backplane, due(1, LONG)).await, Claims::default());
}

pub(crate) async fn what_waits_and_what_is_dead_is_counted(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let me = Incarnation::random();
    ended(backplane, me, 5).await;
    let some = claim(backplane, due(3, LONG)).await.events;
    settle(backplane, &some[0], Settlement::Later(LONG)).await;
    settle(backplane, &some[1], Settlement::Bury("for good".into())).await;
    // Due are the two that nobody touched; the one put off and the one claimed wait as well.
    let first = lease(backplane, request(me)).await;
    assert_eq!(first.cleanups, Cleanups { due: 2, waiting: 4, dead: 1 });
    claim(backplane, due(1, Duration::ZERO)).await;
    let known = LeaseRequest { born: Some(first.born), ..request(me) };
    assert_eq!(lease(backplane, known).await.cleanups.due, 2, "a claim that lapsed is due");
}

/// Several workers with one queue, some of which vanish with what they claimed.
pub(crate) async fn workers_share_the_queue_and_lose_nothing(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let hidden = Duration::from_millis(100);
    // Redis counts whole milliseconds, so a claim may lapse by so much earlier.
    let surely_hidden = hidden.saturating_sub(Duration::from_millis(2));
    let mut random = StdRng::seed_from_u64(11);
    let me = Incarnation::random();
    let (mut written, mut done) = (BTreeSet::new(), BTreeMap::<ConnectionId, u64>::new());
    let mut in_hand: BTreeMap<ConnectionId, Instant> = BTreeMap::new();
    for _ in 0..150 {
        written.extend(ended(backplane, me, random.random_range(0..4)).await);
        let early = random.random_bool(0.2);
        let before = Instant::now();
        let claims = claim(backplane, Claiming { at_most: 3, hidden_for: hidden, early }).await.events;
        for claim in claims {
            let theirs = in_hand.get(&claim.id);
            assert!(theirs.is_none_or(|until| *until <= Instant::now()), "{claim:?} is in somebody's hands");
            assert_eq!(claim.details, format!("details of {}", claim.id));
            in_hand.insert(claim.id, before + surely_hidden);
            let outcome = match random.random_range(0..10) {
                // Its worker is gone.
                0..2 => continue,
                2..4 => Settlement::Later(Duration::from_millis(random.random_range(0..150))),
                4 => Settlement::Bury("tried enough".into()),
                _ => Settlement::Done,
            };
            in_hand.remove(&claim.id);
            let is_done = outcome == Settlement::Done;
            let counted = settle(backplane, &claim, outcome).await;
            *done.entry(claim.id).or_default() += if is_done { counted } else { 0 };
        }
        if random.random_bool(0.05) {
            backplane.hasten(2).await.unwrap();
        }
        if random.random_bool(0.05) {
            let dead = backplane.dead().await.unwrap();
            let some: Vec<_> = dead.choose(&mut random).map(|dead| dead.place.clone()).into_iter().collect();
            backplane.replay(some).await.unwrap();
        }
    }
    let dead = backplane.dead().await.unwrap();
    backplane.replay(dead.into_iter().map(|dead| dead.place).collect()).await.unwrap();
    while let Some(next) = claim(backplane, due(0, LONG)).await.next {
        tokio::time::sleep(next).await;
        for claim in claim(backplane, due(50, LONG)).await.events {
            *done.entry(claim.id).or_default() += settle(backplane, &claim, Settlement::Done).await;
        }
    }
    assert_eq!(done.keys().copied().collect::<BTreeSet<_>>(), written);
    assert!(done.values().all(|times| *times == 1), "each is settled once: {done:?}");
}
