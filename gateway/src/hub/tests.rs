//! The hub seen from its door: what members get, in which order, and who is too slow.

use std::time::Duration;

use chatroom_settings::Limits;
use proptest::prelude::*;

use super::*;
use crate::id::Incarnation;
use crate::message::{Kind, Message};
use crate::protocol::Run;

fn id(number: u8) -> ConnectionId {
    Incarnation::from_bytes([0; 9]).connection([number; 15])
}

fn hub() -> Arc<Hub> {
    hub_that(&Broadcast { exclude_sender: true, online_suffix: None })
}

fn hub_that(broadcast: &Broadcast) -> Arc<Hub> {
    let limits = Limits {
        max_connections_per_pod: 10,
        max_message_bytes: 64 * 1024,
        max_pending_bytes: 65_536,
        slow_seconds: 10,
        idle_timeout_seconds: None,
        max_connection_age_seconds: None,
    };
    let hot = Hot { log_filter: "info".to_owned(), allowed_origins: None, limits };
    Arc::new(Hub::new(broadcast, watch::Sender::new(Arc::new(hot)).subscribe()))
}

/// A message of two bytes, so four bytes on the wire.
fn said(by: u8, what: u8) -> RoomMessage {
    let message = Message { from: Some(id(by)), kind: Kind::Binary, payload: vec![by, what].into(), exclude: None };
    RoomMessage { seq: 1, online: 1, message }
}

/// What the pending frames say: who and what.
fn frames(pending: &Pending) -> Vec<(u8, u8)> {
    let bytes: Vec<u8> = pending.runs().iter().flat_map(|run| run.bytes().to_vec()).collect();
    bytes.chunks(4).map(|frame| (frame[2], frame[3])).collect()
}

fn hears(member: &mut Member) -> Vec<(u8, u8)> {
    let pending = member.pending().unwrap();
    member.wrote(&pending, pending.runs().iter().map(Run::frames).sum(), false);
    frames(&pending)
}

#[test]
fn a_member_hears_what_comes_after_it_joined_and_nothing_of_its_own() {
    let hub = hub();
    let _early = hub.join(id(9));
    hub.deliver(&[said(1, 1)]);
    let mut member = hub.join(id(2));
    hub.deliver(&[said(1, 2), said(2, 3), said(1, 4)]);
    hub.deliver(&[said(2, 5)]);
    assert_eq!(hears(&mut member), [(1, 2), (1, 4)]);
    assert_eq!(hears(&mut member), []);
    assert_eq!(member.behind_since(), None);
}

#[test]
fn the_sender_gets_its_copy_where_the_room_says_so() {
    let hub = hub_that(&Broadcast { exclude_sender: false, online_suffix: None });
    let mut member = hub.join(id(2));
    hub.deliver(&[said(2, 1)]);
    assert_eq!(hears(&mut member), [(2, 1)]);
}

#[test]
fn a_hole_is_told_to_those_who_were_there() {
    let hub = hub();
    let mut before = hub.join(id(1));
    hub.lose_position();
    let mut after = hub.join(id(2));
    hub.deliver(&[said(3, 1)]);
    assert_eq!(before.pending().unwrap_err(), Missed::Position);
    assert_eq!(hears(&mut after), [(3, 1)]);
}

#[test]
fn who_falls_out_of_the_log_is_told() {
    let hub = hub();
    let (mut slow, mut quick) = (hub.join(id(1)), hub.join(id(2)));
    let large = Message { from: None, kind: Kind::Binary, payload: vec![0; 1 << 20].into(), exclude: None };
    let large = RoomMessage { seq: 1, online: 1, message: large };
    for _ in 0..20 {
        hub.deliver(std::slice::from_ref(&large));
        let pending = quick.pending().unwrap();
        quick.wrote(&pending, 1, false);
    }
    assert_eq!(slow.pending().unwrap_err(), Missed::FellOut);
    assert!(quick.pending().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_member_knows_since_when_it_is_behind() {
    let hub = hub();
    let mut member = hub.join(id(1));
    let begin = Instant::now();
    hub.deliver(&[said(2, 1), said(2, 2)]);
    tokio::time::advance(Duration::from_secs(1)).await;
    hub.deliver(&[said(2, 3)]);
    let later = Instant::now();

    // One frame and a half.
    let pending = member.pending().unwrap();
    member.wrote(&pending, 2, true);
    assert_eq!(member.behind_since(), Some(begin));
    // Nothing new, and the half is still a half.
    let pending = member.pending().unwrap();
    assert_eq!(frames(&pending), [(2, 3)]);
    member.wrote(&pending, 0, true);
    assert_eq!(member.behind_since(), Some(begin));
    // The half is whole; what comes next has not begun.
    member.wrote(&pending, 0, false);
    assert_eq!(member.behind_since(), Some(later));
    member.wrote(&pending, 1, false);
    assert_eq!(member.behind_since(), None);
}

#[tokio::test]
async fn a_batch_wakes_a_member_once() {
    let hub = hub();
    let mut member = hub.join(id(1));
    hub.deliver(&[said(2, 1), said(2, 2)]);
    member.changed().await;
    assert_eq!(hears(&mut member).len(), 2);
    assert!(tokio::time::timeout(Duration::ZERO, member.changed()).await.is_err());
}

#[test]
fn without_members_nothing_is_kept() {
    let hub = hub();
    drop(hub.join(id(1)));
    hub.deliver(&[said(1, 1)]);
    assert!(hub.log().from(0).is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Deliver(Vec<u8>),
    Write(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        proptest::collection::vec(0_u8..3, 0..6).prop_map(Step::Deliver),
        (0_usize..8).prop_map(Step::Write),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn every_frame_is_written_once_and_in_order_however_the_writes_go(steps in steps()) {
        let hub = hub();
        let mut member = hub.join(id(0));
        let (mut said_so_far, mut expected, mut written) = (0, Vec::new(), Vec::new());
        for step in steps.into_iter().chain([Step::Write(usize::MAX)]) {
            match step {
                Step::Deliver(senders) => {
                    let messages: Vec<_> = senders.iter().map(|by| {
                        said_so_far += 1;
                        said(*by, said_so_far)
                    }).collect();
                    let others = messages.iter().filter(|message| message.message.from != Some(id(0)));
                    expected.extend(others.map(|message| (message.message.payload[0], message.message.payload[1])));
                    hub.deliver(&messages);
                }
                Step::Write(most) => loop {
                    let pending = member.pending().unwrap();
                    let begun = frames(&pending).len().min(most);
                    written.extend_from_slice(&frames(&pending)[..begun]);
                    member.wrote(&pending, begun, false);
                    if most != usize::MAX || begun == 0 {
                        break;
                    }
                },
            }
        }
        prop_assert_eq!(written, expected);
        prop_assert_eq!(member.behind_since(), None);
    }
}
