//! The Redis behind a room: another one, a lost password, a URL that comes late or is wrong.

use chatroom_api::condition;
use chatroom_tests::conversation::count_becomes;
use chatroom_tests::crowd::{Crowd, Speaker};
use chatroom_tests::wait::{SOON, until};
use chatroom_tests::world::{A_ROLLOUT, World, in_namespace, url_of};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

const LOBBY: &str = "(===Online people:{online}===)";

/// A Secret that is mounted reaches a running pod within about 90 seconds, and a gateway looks at it every few.
const A_SECRET_ARRIVES: std::time::Duration = std::time::Duration::from_secs(180);

#[tokio::test]
async fn a_room_moves_to_another_redis_and_back_as_a_rollout() {
    in_namespace("switch", async |world| {
        world.run_redis("other", "sesame").await;
        world.create_url_secret("other-url", &world.redis_url("other", "sesame")).await;
        world.apply("lobby", json!({"replicas": 2})).await;
        world.ready("lobby", 2).await;
        let door = world.door("lobby").await;
        let urls: Vec<_> = world.gateways("lobby").await.iter().map(url_of).collect();
        let crowd = Crowd::gather(20, &urls, &door).await;

        world.apply("lobby", json!({"replicas": 2, "redis": external("other-url")})).await;
        switched(world, "External", false).await;
        crowd.is_in(SOON).await;
        all_hear_each_other(world, &crowd, &door).await;

        world.apply("lobby", json!({"replicas": 2, "redis": {"ephemeral": {}}})).await;
        switched(world, "Ephemeral", true).await;
        crowd.is_in(SOON).await;
        all_hear_each_other(world, &crowd, &door).await;

        // Gateways on different Redises do not see each other: an old one cannot know that the other old ones go next, and a
        // client may come to each of them once. Nobody ends otherwise.
        for ends in crowd.ends() {
            assert!(ends.iter().all(|end| *end == Some(1012)), "{ends:?}");
            assert!((2..=4).contains(&ends.len()), "two switches of two gateways: {ends:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_lost_password_comes_back_and_the_room_with_it() {
    in_namespace("password", async |world| {
        world.apply("lobby", json!({"replicas": 2, "broadcast": {"onlineSuffix": LOBBY}})).await;
        world.ready("lobby", 2).await;
        let gateways = world.gateways("lobby").await;
        let mut ann = world.connect("ann", &gateways[0]).await;
        let mut bob = world.connect("bob", &gateways[1]).await;
        count_becomes(2, &mut ann, &mut bob, SOON).await;

        let secrets = world.api::<Secret>();
        let lost = secrets.get("lobby-redis").await.expect("a room's own Redis has a password").uid();
        secrets.delete("lobby-redis", &DeleteParams::default()).await.expect("a Secret can be deleted");
        // Nobody needs it while all are connected.
        count_becomes(2, &mut bob, &mut ann, SOON).await;
        until("the Secret is back", A_SECRET_ARRIVES, async || {
            let now = secrets.get("lobby-redis").await.map_err(|error| error.to_string())?;
            if now.uid() == lost { Err("it is still the old one".to_owned()) } else { Ok(()) }
        })
        .await;
        // A new password is one that nobody has: Redis and gateways start anew, and the room stands again.
        until("everybody hears everybody again", A_SECRET_ARRIVES, async || hears_across(world).await).await;
        world.ready("lobby", 2).await;
    })
    .await;
}

#[tokio::test]
async fn a_room_waits_for_its_redis_url_and_says_so() {
    in_namespace("late", async |world| {
        world.run_redis("other", "sesame").await;
        world.apply("lobby", json!({"replicas": 1, "redis": external("other-url")})).await;
        world.says("lobby", condition::READY, ("False", "SecretNotFound"), &["Secret other-url", "key url"]).await;
        world.create_url_secret("other-url", &world.redis_url("other", "sesame")).await;
        world.ready("lobby", 1).await;
        world.says("lobby", condition::REDIS_READY, ("True", "Connected"), &[]).await;
    })
    .await;
}

#[tokio::test]
async fn a_wrong_redis_password_is_told_and_can_be_corrected() {
    in_namespace("wrong", async |world| {
        world.run_redis("other", "sesame").await;
        world.create_url_secret("other-url", &world.redis_url("other", "open")).await;
        world.apply("lobby", json!({"replicas": 1, "redis": external("other-url")})).await;
        let told = world.says("lobby", condition::REDIS_READY, ("False", "CredentialsRefused"), &[]).await;
        assert!(!told.message.contains("open"), "no credential in a status: {}", told.message);
        world.says("lobby", condition::READY, ("False", "CredentialsRefused"), &[]).await;
        let right = json!({"stringData": {"url": world.redis_url("other", "sesame")}});
        world.change::<Secret>("other-url", right).await;
        world.ready("lobby", 1).await;
    })
    .await;
}

fn external(secret: &str) -> Value {
    json!({"external": {"urlSecretRef": {"name": secret, "key": "url"}}})
}

/// Watches a switch: there are always enough gateways, the own Redis is there for as long as a gateway of a template that
/// needs it, and in the end only if `own`.
async fn switched(world: &World, kind: &str, own: bool) {
    until(&format!("the room runs with its {kind} Redis alone"), A_ROLLOUT, async || {
        // The pods first: a Redis that goes after them is right.
        let pods = world.pods("lobby").await;
        let redis = world.api::<Deployment>().get_opt("lobby-redis").await.map_err(|error| error.to_string())?;
        let needs =
            |pod: &Pod| pod.annotations().get("chatroom.dev/settings").is_some_and(|text| text.contains("address"));
        let needing: Vec<_> = pods.iter().filter(|pod| needs(pod)).map(|pod| pod.name_any()).collect();
        let room = world.rooms().get("lobby").await.map_err(|error| error.to_string())?;
        let status = room.status.unwrap_or_default();
        assert!(redis.is_some() || needing.is_empty() || pods.is_empty(), "the Redis went, and {needing:?} need it");
        let settled = status.redis.as_deref() == Some(kind)
            && status.observed_generation == room.metadata.generation
            && status.conditions.iter().any(|own| own.type_ == condition::RECONCILING && own.status == "False");
        if settled && redis.is_some() == own && needing.is_empty() != own {
            Ok(())
        } else {
            Err(format!("{status:?}, own Redis {}, needed by {needing:?}", redis.is_some()))
        }
    })
    .await;
    world.ready("lobby", 2).await;
    let service = world.api::<Service>().get_opt("lobby-redis").await.expect("Services can be asked for");
    assert_eq!(service.is_some(), own, "the Service of the own Redis");
    let redis_pods = ListParams::default().labels("app.kubernetes.io/name=chatroom-redis");
    if !own {
        until("no pod of the own Redis is left", A_ROLLOUT, async || {
            let left = world.api::<Pod>().list(&redis_pods).await.map_err(|error| error.to_string())?.items.len();
            if left == 0 { Ok(()) } else { Err(left.to_string()) }
        })
        .await;
    }
}

async fn all_hear_each_other(world: &World, crowd: &Crowd, door: &str) {
    let speaker = Speaker::start(door);
    crowd.hears(speaker.says_another().await, SOON).await;
    speaker.stop().await;
    assert_eq!(world.gateways("lobby").await.len(), 2);
}

/// Whether two clients of two gateways hear each other.
async fn hears_across(world: &World) -> anyhow::Result<()> {
    use chatroom_tests::chat::{ChatClient, Received};
    let gateways = world.gateways("lobby").await;
    let [one, .., other] = gateways.as_slice() else { anyhow::bail!("there are not two gateways") };
    let mut ann = ChatClient::try_connect("ann", &url_of(one)).await?;
    let mut bob = ChatClient::try_connect("bob", &url_of(other)).await?;
    ann.try_say("hello").await;
    match bob.next_within(std::time::Duration::from_secs(5)).await {
        Some(Received::Text(text)) if text.starts_with("hello(") => Ok(()),
        other => anyhow::bail!("{other:?}"),
    }
}
