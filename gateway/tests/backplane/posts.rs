//! What gateways send each other, and what the registry says about those who do not listen; who is left out of a message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chatroom_gateway::backplane::bus::{self, BusEvent};
use chatroom_gateway::backplane::{Backplane, PublishAnswer, SendAnswer, SendRequest};
use chatroom_gateway::id::Incarnation;
use chatroom_gateway::message::Message;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

use super::support::gateway::text;
use super::{Known, SHORT, heard, publish, register};

fn to(to: Incarnation, body: &'static str) -> SendRequest {
    SendRequest { to, body: body.into(), good_for: Duration::from_secs(5), lease: SHORT }
}

pub(super) async fn a_batch_says_how_many_were_there_and_who_is_left_out(backplane: Arc<dyn Backplane>) {
    let mut gateway = Known::new(1);
    let epoch = gateway.lease(&*backplane).await.position.epoch;
    let id = gateway.incarnation.random_connection();
    register(&*backplane, id).await;
    let (sender, mut bus) = bus::queue(Counter::default());
    let feed = tokio::spawn(backplane.subscribe(sender, watch::channel(gateway.incarnation).1));
    assert_eq!(heard(&mut bus).await, BusEvent::Subscribed);
    let excluding = Message {
        from: None,
        exclude: Some(vec![id, gateway.incarnation.random_connection()].into()),
        ..text(id, "hush")
    };
    for (number, message) in [(1, text(id, "all")), (2, excluding)] {
        let messages = [message];
        let expected = PublishAnswer::Placed { epoch: epoch.clone(), last: number, online: 1 };
        let answer = publish(&*backplane, gateway.incarnation, number, &epoch, &messages).await;
        assert_eq!(answer, expected);
        if number == 2 {
            register(&*backplane, gateway.incarnation.random_connection()).await;
            let again = publish(&*backplane, gateway.incarnation, number, &epoch, &messages).await;
            assert_eq!(again, expected, "a repeat is told the count of its place");
        }
        let BusEvent::Batch(batch) = heard(&mut bus).await else { panic!("nothing was missed") };
        assert_eq!(batch.messages, messages);
        assert_eq!(backplane.history(number - 1).await.unwrap().batches, [batch], "the log keeps it, too");
    }
    feed.abort();
}

pub(super) async fn a_post_reaches_its_gateway_behind_what_was_published_before(backplane: Arc<dyn Backplane>) {
    let mut gateways = [Known::new(1), Known::new(2)];
    let mut now = 0;
    for gateway in &mut gateways {
        now = gateway.lease(&*backplane).await.time;
    }
    let epoch = backplane.position().await.unwrap().now.epoch;
    let [owner, asker] = [gateways[0].incarnation, gateways[1].incarnation];
    assert_eq!(backplane.send(to(owner, "nobody listens")).await.unwrap(), SendAnswer::Unheard);
    let mut buses = Vec::new();
    for incarnation in [owner, asker] {
        let (sender, mut bus) = bus::queue(Counter::default());
        let feed = tokio::spawn(backplane.subscribe(sender, watch::channel(incarnation).1));
        assert_eq!(heard(&mut bus).await, BusEvent::Subscribed);
        buses.push((bus, feed));
    }
    for number in 1..=20 {
        publish(&*backplane, asker, number, &epoch, &[text(asker.random_connection(), "before")]).await;
        assert_eq!(backplane.send(to(owner, "for you")).await.unwrap(), SendAnswer::Sent);
        assert!(matches!(heard(&mut buses[0].0).await, BusEvent::Batch(batch) if batch.first == number));
        let BusEvent::Post(post) = heard(&mut buses[0].0).await else { panic!("the post does not follow") };
        assert_eq!(post.body, "for you");
        assert!((now + 5_000..now + 60_000).contains(&post.deadline), "{} after {now}", post.deadline);
        // Nothing but the batch.
        assert!(matches!(heard(&mut buses[1].0).await, BusEvent::Batch(batch) if batch.first == number));
    }
    buses.into_iter().for_each(|(_, feed)| feed.abort());
}

pub(super) async fn only_the_registry_says_that_a_gateway_is_gone(backplane: Arc<dyn Backplane>) {
    let backplane = &*backplane;
    let (mut gateway, mut dead) = (Known::new(1), Known::new(2));
    gateway.lease(backplane).await;
    dead.lease(backplane).await;
    register(backplane, dead.incarnation.random_connection()).await;
    assert_eq!(backplane.send(to(dead.incarnation, "?")).await.unwrap(), SendAnswer::Unheard);
    backplane.leave(dead.incarnation).await.unwrap();
    assert_eq!(backplane.send(to(dead.incarnation, "?")).await.unwrap(), SendAnswer::Gone, "condemned");
    while backplane.sweep(dead.incarnation, 100, false).await.unwrap().left > 0 {}
    // A registry that may still learn of somebody does not say that there is nobody.
    let began = Instant::now();
    loop {
        match backplane.send(to(dead.incarnation, "?")).await.unwrap() {
            SendAnswer::Gone => break,
            SendAnswer::TooYoung => assert!(began.elapsed() < Duration::from_secs(20), "it stays young"),
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(SHORT / 10).await;
    }
}

pub(super) async fn a_gateway_that_starts_anew_hears_under_its_new_name(backplane: Arc<dyn Backplane>) {
    let (mut before, mut after) = (Known::new(1), Known::new(2));
    before.lease(&*backplane).await;
    let (sender, mut bus) = bus::queue(Counter::default());
    let (rename, name) = watch::channel(before.incarnation);
    let feed = tokio::spawn(backplane.subscribe(sender, name));
    assert_eq!(heard(&mut bus).await, BusEvent::Subscribed);
    after.lease(&*backplane).await;
    rename.send_replace(after.incarnation);
    let began = Instant::now();
    while backplane.send(to(after.incarnation, "hello")).await.unwrap() != SendAnswer::Sent {
        assert!(began.elapsed() < Duration::from_secs(20), "nobody listens to the new name");
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(matches!(heard(&mut bus).await, BusEvent::Post(post) if post.body == "hello"));
    feed.abort();
}
