//! Ends of those who are swept up: the cleanup function is owed them where there is one.

use std::time::Duration;

use chatroom_gateway::backplane::{Entry, LeaseRequest, RegisterMode};
use chatroom_gateway::id::Incarnation;
use chatroom_gateway::membership::Settings;

use super::room;
use super::support::gateway::{Gateway, HURRIED};

#[tokio::test]
async fn whoever_is_swept_up_is_owed_to_the_cleanup_function_also_while_being_registered() {
    for (cleanup, owed) in [(true, 2), (false, 0)] {
        let room = room();
        let dead = Incarnation::random();
        let request = LeaseRequest {
            incarnation: dead,
            length: Duration::from_secs(60),
            born: None,
            pod_uid: String::new(),
            template: String::new(),
            draining: false,
            seen: Vec::new(),
        };
        room.lease(request).await.unwrap();
        for mode in [RegisterMode::Direct, RegisterMode::Pending] {
            let entry = Entry { id: dead.random_connection(), details: "details".into() };
            room.register(dead, mode, vec![entry]).await.unwrap();
        }
        assert_eq!(room.leave(dead).await.unwrap(), 2);
        let settings = Settings { cleanup, timing: HURRIED, ..Settings::default() };
        let gateway = Gateway::begin(room, settings);
        let swept = async {
            while gateway.metrics.swept.get() < 2 || gateway.joined.membership.borrow().cleanups.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), swept).await.expect("the dead are swept up");
        gateway.joined.renew.now();
        let mut membership = gateway.joined.membership.clone();
        let counted = membership.wait_for(|now| now.cleanups.is_some_and(|counts| counts.waiting == owed));
        tokio::time::timeout(Duration::from_secs(30), counted).await.expect("what is owed is counted").unwrap();
        assert_eq!(gateway.metrics.cleanups_waiting.get(), i64::try_from(owed).unwrap());
        gateway.stop().await;
    }
}
