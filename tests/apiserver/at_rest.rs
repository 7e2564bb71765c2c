//! Rooms at rest: nothing is written, nothing is asked, also by an operator that starts anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chatroom_tests::wait::until;
use kube::api::ListParams;
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use crate::audit::Request;
use crate::children::{Child, KEPT};
use crate::operator::Operator;
use crate::world::{A_WHILE, World, comes_to_rest, in_namespace};

/// How many rooms rest beside each other.
const ROOMS: usize = 50;

/// How long they are watched resting: longer than the operator lets pass between two looks at such a room.
const WINDOW: Duration = Duration::from_secs(60);

#[tokio::test]
async fn fifty_rooms_at_rest_cost_no_request_for_a_minute_and_a_new_operator_moves_none_of_them() {
    in_namespace("at-rest", async |world| {
        let rooms: Vec<_> = (0..ROOMS).map(|index| format!("room-{index}")).collect();
        settle(world, &rooms).await;
        let resting = versions(world).await;
        is_quiet(world, ROOMS).await;
        assert_eq!(versions(world).await, resting);
        a_new_operator_moves_nothing(world, &rooms, &resting).await;
    })
    .await;
}

#[tokio::test]
async fn one_room_at_rest_costs_no_request_for_a_minute() {
    in_namespace("alone", async |world| {
        settle(world, &["lobby".to_owned()]).await;
        is_quiet(world, 1).await;
    })
    .await;
}

async fn settle(world: &World, rooms: &[String]) {
    let mark = world.mark();
    // One after the other: the rooms of other tests shall not wait for all of these.
    for room in rooms {
        world.apply(room, json!({})).await;
        world.settled(room).await;
    }
    comes_to_rest(async || versions(world).await).await;
    let asked = world.asked_since(mark);
    let writes = asked.iter().filter(|request| request.is_write()).count();
    eprintln!("{} rooms: {} requests until they rested, {writes} of them writes", rooms.len(), asked.len());
}

async fn is_quiet(world: &World, rooms: usize) {
    let mark = world.mark();
    // Here time itself is meant.
    tokio::time::sleep(WINDOW).await;
    let asked: Vec<_> = world.asked_since(mark).iter().map(ToString::to_string).collect();
    assert_eq!(asked, Vec::<String>::new(), "{rooms} rooms at rest");
    let watches = world.plane.audit().since(mark, &world.plane.operator().user, "");
    let other: Vec<_> = watches.iter().filter(|request| request.is_write()).map(ToString::to_string).collect();
    assert_eq!(other, Vec::<String>::new());
    eprintln!("{rooms} rooms at rest: no request in {WINDOW:?}, {} watches begun for the cluster", watches.len());
}

/// Another operator, with an empty memory, looks at each room: at most two requests a child, and no version moves.
async fn a_new_operator_moves_nothing(world: &World, rooms: &[String], resting: &BTreeMap<String, Option<String>>) {
    let mark = world.mark();
    let operator = Operator::install(world.plane, "another").await.expect("another operator can be installed");
    let asked = || world.plane.audit().since(mark, &operator.user, &world.namespace);
    until("the new operator has looked at every room to the end", A_WHILE, async || {
        let asked = asked();
        let last = asked.iter().filter(|request| request.is_write() && request.resource == "poddisruptionbudgets");
        let seen: BTreeSet<_> = last.map(|request| &request.name).collect();
        if seen.len() == rooms.len() { Ok(()) } else { Err(format!("{} of {} rooms", seen.len(), rooms.len())) }
    })
    .await;
    comes_to_rest(async || asked().len()).await;
    operator.stops().await;
    assert_eq!(versions(world).await, *resting);
    let asked = asked();
    assert!(asked.iter().all(|request| !request.is_event()), "nothing new is told");
    for room in rooms {
        let own = asked.iter().filter(|request| KEPT.iter().any(|child| is_about(request, *child, room))).count();
        assert!(own <= 2 * KEPT.len(), "{own} requests for {room}");
    }
    eprintln!("a new operator: {} requests for {} rooms", asked.len(), rooms.len());
}

fn is_about(request: &Request, child: Child, room: &str) -> bool {
    request.resource == child.plural && request.name == child.name(room)
}

/// The version of every object of the rooms, and of the rooms.
async fn versions(world: &World) -> BTreeMap<String, Option<String>> {
    let mut versions = BTreeMap::new();
    for room in world.rooms().list(&ListParams::default()).await.expect("rooms can be listed") {
        versions.insert(format!("ChatRoom {}", room.name_any()), room.resource_version());
    }
    let kinds: BTreeMap<_, _> = KEPT.iter().map(|child| (child.kind, *child)).collect();
    for (kind, child) in kinds {
        for object in world.of_kind(child).list(&ListParams::default()).await.expect("children can be listed") {
            versions.insert(format!("{kind} {}", object.name_any()), object.meta().resource_version.clone());
        }
    }
    versions
}
