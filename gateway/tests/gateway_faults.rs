//! What a gateway makes of lost answers, lost messages, a lost lease and its own death.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatroom_gateway::backplane::memory::Memory;
use chatroom_gateway::backplane::publisher::PublishError;
use chatroom_gateway::backplane::{Backplane, LeaseAnswer, LeaseRequest};
use chatroom_gateway::id::Incarnation;
use chatroom_gateway::membership::roster::RegisterError;
use chatroom_gateway::membership::{Settings, Standing, Timing};
use futures_util::FutureExt as _;
use support::faulty::Faulty;
use support::gateway::{Gateway, HURRIED, details, text};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_said_once() {
    let view = Faulty::new(&Memory::new());
    let gateway = Gateway::start(Arc::new(view.clone())).await;
    let speaker = gateway.connect().await;
    view.lose_answers(true);
    for number in 1..=5 {
        assert_eq!(gateway.say(speaker, "again and again").await, number);
    }
    view.lose_answers(false);
    assert_eq!(gateway.say(speaker, "the end").await, 6);
    assert_eq!(gateway.heard.at_least(6).await.len(), 6);
    gateway.stop().await;
}

#[tokio::test]
async fn batches_that_do_not_arrive_are_read_from_the_log() {
    let room = Memory::new();
    let view = Faulty::new(&room);
    let (deaf, other) = (Gateway::start(Arc::new(view.clone())).await, Gateway::start(Arc::new(room)).await);
    let speaker = other.connect().await;
    view.lose_batches(true);
    for number in 1..=100 {
        other.say(speaker, &number.to_string()).await;
    }
    let heard = deaf.heard.at_least(100).await;
    assert!(heard.iter().map(|message| message.seq).eq(1..=100));
    assert_eq!(deaf.heard.lost(), 0);
    assert!(deaf.metrics.holes_repaired.get() > 0);
    deaf.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_batch_is_bounded_by_messages_and_by_bytes() {
    let view = Faulty::new(&Memory::new());
    let gateway = Gateway::start(Arc::new(view.clone())).await;
    let speaker = gateway.connect().await;
    let small = (0..500).map(|_| gateway.publisher.publish(text(speaker, "small")));
    futures_util::future::join_all(small).await;
    assert!((2..=64).contains(&view.largest_batch().0), "{:?}", view.largest_batch());
    let words = "x".repeat(40 << 10);
    let large = (0..10).map(|_| gateway.publisher.publish(text(speaker, &words)));
    futures_util::future::join_all(large).await;
    assert_eq!(view.largest_batch().1, 40 << 10, "two would be more than 64 KiB");
    gateway.say(speaker, &"x".repeat(1 << 20)).await;
    assert_eq!(view.largest_batch().1, 1 << 20, "a single one may be larger");
    gateway.stop().await;
}

#[tokio::test]
async fn a_registration_without_an_answer_is_taken_back() {
    let room = Memory::new();
    let view = Faulty::new(&room);
    let (gateway, witness) = (Gateway::start(Arc::new(view.clone())).await, Gateway::start(Arc::new(room)).await);
    view.lose_answers(true);
    let mut registered = 0;
    for _ in 0..30 {
        match gateway.joined.roster.register(gateway.joined.roster.mint(), details()).await {
            Ok(()) => registered += 1,
            Err(error) => assert_eq!(error, RegisterError::Unavailable),
        }
    }
    view.lose_answers(false);
    assert!((1..30).contains(&registered));
    assert_eq!(gateway.joined.roster.flush(soon()).await, 0);
    witness.online(registered).await;
    assert_eq!(gateway.joined.roster.live() as u64, registered);
    gateway.stop().await;
    witness.stop().await;
}

#[tokio::test]
async fn a_registration_that_nobody_waits_for_is_ended() {
    let room = Memory::new();
    let view = Faulty::new(&room);
    let (gateway, witness) = (Gateway::start(Arc::new(view.clone())).await, Gateway::start(Arc::new(room)).await);
    view.hang_registrations(true);
    let registration = gateway.joined.roster.register(gateway.joined.roster.mint(), details());
    // It is under way, and the client hangs up.
    assert!(registration.now_or_never().is_none());
    assert_eq!(gateway.joined.roster.live(), 0);
    assert_eq!(gateway.joined.roster.flush(soon()).await, 0);
    witness.online(0).await;
    gateway.stop().await;
    witness.stop().await;
}

#[tokio::test]
async fn ends_wait_while_nothing_is_reached_and_nobody_comes_in() {
    let room = Memory::new();
    let view = Faulty::new(&room);
    let (gateway, witness) = (Gateway::start(Arc::new(view.clone())).await, Gateway::start(Arc::new(room)).await);
    let clients = [gateway.connect().await, gateway.connect().await, gateway.connect().await];
    view.away(true);
    for client in &clients[..2] {
        gateway.joined.roster.end(*client, false);
        gateway.joined.roster.end(*client, false);
    }
    assert_eq!(gateway.metrics.ends_waiting.get(), 2);
    let refused = gateway.joined.roster.register(gateway.joined.roster.mint(), details()).await;
    assert_eq!(refused, Err(RegisterError::Unavailable));
    assert_eq!(gateway.joined.roster.flush(Instant::now()).await, 2, "not written by the deadline");
    view.away(false);
    assert_eq!(gateway.joined.roster.flush(soon()).await, 0);
    witness.online(1).await;
    gateway.stop().await;
    witness.stop().await;
}

#[tokio::test]
async fn an_isolated_gateway_delivers_nothing_and_then_what_it_missed() {
    let room = Memory::new();
    let view = Faulty::new(&room);
    let gateway = Gateway::start(Arc::new(view.clone())).await;
    // Leases too seldom to condemn anybody.
    let timing = Timing { lease: Duration::from_secs(60), renew: Duration::from_secs(30), ..HURRIED };
    let other = Gateway::begin(Arc::new(room), Settings { timing, ..Settings::default() });
    other.standing(Standing::Leased).await;
    let speaker = other.connect().await;
    other.say(speaker, "before").await;
    gateway.heard.at_least(1).await;
    view.away(true);
    gateway.standing(Standing::Isolated).await;
    assert_eq!(gateway.joined.membership.borrow().online, None);
    other.say(speaker, "meanwhile").await;
    other.heard.at_least(2).await;
    // Everybody else has heard it.
    assert_eq!(gateway.heard.messages().len(), 1);
    view.away(false);
    gateway.standing(Standing::Leased).await;
    assert_eq!(gateway.heard.at_least(2).await.len(), 2);
    assert_eq!(gateway.heard.lost(), 0);
    gateway.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_gateway_that_was_declared_dead_starts_anew() {
    let room = Memory::new();
    let settings = Settings { pod_uid: "pod".into(), timing: HURRIED, ..Settings::default() };
    let gateway = Gateway::begin(Arc::new(room.clone()), settings);
    gateway.standing(Standing::Leased).await;
    let before = gateway.joined.membership.borrow().incarnation;
    let (old, late) = (gateway.connect().await, gateway.joined.roster.mint());
    succeed(&room).await;
    assert_eq!(gateway.publisher.publish(text(old, "too late")).await, Err(PublishError::Fenced));
    assert_eq!(gateway.joined.roster.register(late, details()).await, Err(RegisterError::Fenced));
    gateway.standing(Standing::Leased).await;
    assert_ne!(gateway.joined.membership.borrow().incarnation, before);
    gateway.joined.roster.end(old, false);
    let new = gateway.connect().await;
    assert_eq!(gateway.publisher.publish(text(old, "still too late")).await, Err(PublishError::Fenced));
    gateway.say(new, "hello again").await;
    gateway.online(1).await;
    assert_eq!(gateway.heard.at_least(1).await.len(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_starts_anew_begins_where_the_room_is() {
    let room = Memory::new();
    let view = Faulty::new(&room);
    let settings = Settings { pod_uid: "pod".into(), timing: HURRIED, ..Settings::default() };
    let gateway = Gateway::begin(Arc::new(view.clone()), settings);
    gateway.standing(Standing::Leased).await;
    let other = Gateway::start(Arc::new(room.clone())).await;
    let speaker = other.connect().await;
    other.say(speaker, "before").await;
    gateway.heard.at_least(1).await;
    view.away(true);
    gateway.standing(Standing::Isolated).await;
    succeed(&room).await;
    other.say(speaker, "meanwhile").await;
    view.away(false);
    gateway.standing(Standing::Leased).await;
    let new = gateway.connect().await;
    gateway.say(new, "after").await;
    let heard = gateway.heard.at_least(2).await;
    let words: Vec<&[u8]> = heard.iter().map(|message| &message.message.payload[..]).collect();
    // Whoever comes now may have heard at another gateway what was said meanwhile.
    assert_eq!(words, [&b"before"[..], b"after"]);
    assert_eq!(gateway.heard.lost(), 1, "and who was there is told");
    gateway.stop().await;
    other.stop().await;
}

/// Somebody says that it is the next container of the pod.
async fn succeed(room: &Memory) {
    let successor = LeaseRequest {
        incarnation: Incarnation::random(),
        length: Duration::from_secs(60),
        born: None,
        pod_uid: "pod".into(),
        template: String::new(),
        draining: false,
        seen: Vec::new(),
    };
    assert!(matches!(room.lease(successor).await.unwrap(), LeaseAnswer::Leased(_)));
}

#[tokio::test]
async fn a_runtime_that_stands_still_loses_its_lease() {
    let gateway = Gateway::start(Arc::new(Memory::new())).await;
    let until = soon();
    // This test's runtime has one thread, and this is it.
    while gateway.joined.clock.holds() {
        assert!(Instant::now() < until, "a gateway that hangs keeps its lease");
        std::thread::yield_now();
    }
    gateway.standing(Standing::Leased).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_leaves_is_told_what_it_left() {
    let room = Memory::new();
    let (leaving, staying) = (Gateway::start(Arc::new(room.clone())).await, Gateway::start(Arc::new(room)).await);
    leaving.connect().await;
    leaving.joined.set_draining(true);
    let mut membership = staying.joined.membership.clone();
    membership.wait_for(|now| now.peers.same_template_staying == 0).await.unwrap();
    assert_eq!(leaving.joined.leave().await.unwrap(), 1);
    staying.online(0).await;
    while staying.metrics.swept.get() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(leaving.joined.leave().await.is_err(), "once is for good");
    leaving.stop().await;
    staying.stop().await;
}

#[tokio::test]
async fn who_waits_for_a_place_when_the_gateway_ends_is_told() {
    let view = Faulty::new(&Memory::new());
    let gateway = Gateway::start(Arc::new(view.clone())).await;
    let speaker = gateway.connect().await;
    view.away(true);
    let publisher = gateway.publisher.clone();
    let waiting = tokio::spawn(async move { publisher.publish(text(speaker, "never said")).await });
    tokio::task::yield_now().await;
    gateway.stop().await;
    assert_eq!(waiting.await.unwrap(), Err(PublishError::Ended));
}
