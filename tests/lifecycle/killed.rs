//! The operator killed in the middle of its work: what comes of a room is what would have come anyway.

use std::fmt::{Debug, Write as _};

use chatroom_tests::wait::until;
use chatroom_tests::world::{A_ROLLOUT, Processes, World, in_words};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::operator::{Operator, alone};

/// What happens to a room, one after the other.
#[derive(Clone, Copy, Debug)]
enum Act {
    Created,
    Edited,
    OnAnotherRedis,
    OnItsOwnRedis,
    Deleted,
}

const LIFE: [Act; 5] = [Act::Created, Act::Edited, Act::OnAnotherRedis, Act::OnItsOwnRedis, Act::Deleted];

impl Act {
    fn spec(self) -> Value {
        match self {
            Self::Created | Self::Deleted => json!({"replicas": 1}),
            Self::Edited => json!({"replicas": 2, "pingIntervalSeconds": 20, "limits": {"maxMessageBytes": 1000}}),
            Self::OnAnotherRedis => {
                json!({"replicas": 1, "redis": {"external": {"urlSecretRef": {"name": "other-url"}}}})
            }
            Self::OnItsOwnRedis => json!({"replicas": 1, "redis": {"ephemeral": {}}}),
        }
    }

    /// After which write the operator is killed: each as soon as it is seen. It may die between any two; behind these, most
    /// is left to do.
    fn deadly(self) -> &'static [Written] {
        match self {
            Self::Created => &[Written::Nothing, Written::ConfigMap, Written::Redis, Written::Gateways],
            Self::Edited | Self::OnAnotherRedis => &[Written::Nothing, Written::Gateways],
            Self::OnItsOwnRedis => &[Written::Redis, Written::Gateways],
            Self::Deleted => &[Written::Nothing],
        }
    }
}

/// What the operator has written in an act.
#[derive(Clone, Copy, Debug)]
enum Written {
    Nothing,
    ConfigMap,
    Redis,
    Gateways,
}

#[tokio::test]
async fn an_operator_that_is_killed_at_any_time_comes_to_the_same_end() {
    alone("undone", async |world, operator| {
        let processes = Processes::are_here_for("an operator that is killed and not deleted");
        world.run_redis("other", "sesame").await;
        world.create_url_secret("other-url", &world.redis_url("other", "sesame")).await;
        for act in LIFE {
            play(world, act, "calm").await;
            let calm = end(world, act, "calm").await;
            let children = if matches!(act, Act::Deleted) { 0 } else { 2 };
            assert!(calm.matches("--- Service").count() >= children, "there is something to compare: {calm}");

            let before = versions(world, "hard").await;
            play(world, act, "hard").await;
            for written in act.deadly() {
                is_written(world, *written, &before).await;
                kill(operator, processes.as_ref()).await;
            }
            assert_eq!(
                end(world, act, "hard").await,
                calm.replace("calm", "hard"),
                "{act:?}, with the operator killed"
            );
        }
    })
    .await;
}

async fn play(world: &World, act: Act, room: &str) {
    match act {
        Act::Deleted => {
            drop(world.rooms().delete(room, &DeleteParams::default()).await.expect("a room can be deleted"));
        }
        _ => world.apply(room, act.spec()).await,
    }
}

/// Kills the operator's process, and then its pod: the kubelet would let the next one wait for longer each time.
async fn kill(operator: &Operator, processes: Option<&Processes>) {
    let pod = until("the operator runs", A_ROLLOUT, async || {
        let pods = operator.its_pods().await.map_err(|error| error.to_string())?;
        let running = pods.into_iter().find(|pod| {
            let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            containers.into_iter().any(|own| own.state.as_ref().is_some_and(|state| state.running.is_some()))
                && pod.metadata.deletion_timestamp.is_none()
        });
        running.ok_or_else(|| "no pod of it runs".to_owned())
    })
    .await;
    if let Some(processes) = processes {
        assert!(processes.kill(&pod, "chatroom-operator"), "it ran a moment ago");
    }
    operator
        .pods
        .delete(&pod.name_any(), &DeleteParams::default().grace_period(0))
        .await
        .expect("a pod can be deleted");
}

/// Generation and uid of the room's Deployments, uid of its ConfigMap; empty where there is none.
async fn versions(world: &World, room: &str) -> [String; 3] {
    let deployment = async |name: &str| {
        let found = world.api::<Deployment>().get_opt(name).await.expect("Deployments can be asked for");
        found.map(|found| format!("{:?} {:?}", found.uid(), found.metadata.generation)).unwrap_or_default()
    };
    let map = world.api::<ConfigMap>().get_opt(&format!("{room}-config")).await.expect("ConfigMaps can be asked for");
    let map = map.and_then(|map| map.uid()).unwrap_or_default();
    [map, deployment(&format!("{room}-redis")).await, deployment(room).await]
}

async fn is_written(world: &World, written: Written, before: &[String; 3]) {
    let place = match written {
        Written::Nothing => return,
        Written::ConfigMap => 0,
        Written::Redis => 1,
        Written::Gateways => 2,
    };
    until(&format!("{written:?} is written"), A_ROLLOUT, async || {
        let now = versions(world, "hard").await;
        if now[place] == before[place] { Err(now[place].clone()) } else { Ok(()) }
    })
    .await;
}

/// Waits for the end of an act, and tells how the room stands then.
async fn end(world: &World, act: Act, room: &str) -> String {
    match act {
        Act::Deleted => {}
        Act::Edited => drop(world.ready(room, 2).await),
        Act::Created | Act::OnAnotherRedis | Act::OnItsOwnRedis => drop(world.ready(room, 1).await),
    }
    if matches!(act, Act::OnAnotherRedis) {
        until("the own Redis is gone", A_ROLLOUT, async || {
            let redis = world.api::<Deployment>().get_opt(&format!("{room}-redis")).await;
            if redis.map_err(|error| error.to_string())?.is_none() { Ok(()) } else { Err("it is there".to_owned()) }
        })
        .await;
    }
    if matches!(act, Act::Deleted) {
        return until("nothing of the room is left", A_ROLLOUT, async || {
            let left = children(world, room).await;
            if left.is_empty() { Ok(left) } else { Err(left) }
        })
        .await;
    }
    // The last words of the status come with the answers of the gateways.
    let status = until("the room has settled", A_ROLLOUT, async || {
        let status = world.rooms().get(room).await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let all = [status.observed_generation.is_some(), status.draining_replicas == Some(0), status.online.is_some()];
        let last_words = ["Settled", "Connected", "AllGateways"];
        let said = last_words.iter().all(|word| status.conditions.iter().any(|own| own.reason == *word));
        if all == [true; 3] && said { Ok(status) } else { Err(serde_json::to_string(&status).unwrap_or_default()) }
    })
    .await;
    let mut told = children(world, room).await;
    for condition in &status.conditions {
        let _ = writeln!(told, "{} {} {}", condition.type_, condition.status, condition.reason);
    }
    let counts = (status.replicas, status.ready_replicas, status.updated_replicas, status.desired_replicas);
    let _ = writeln!(told, "{counts:?} {:?} {:?} {:?}", status.url, status.redis, status.image);
    told
}

/// Every child as it shall be: what the API server and its controllers made of it is left out, and what is the name of a
/// room or a namespace anyway.
async fn children(world: &World, room: &str) -> String {
    let mut told = Vec::new();
    told.extend(of_kind::<ConfigMap>(world, room).await);
    told.extend(of_kind::<Secret>(world, room).await);
    told.extend(of_kind::<ServiceAccount>(world, room).await);
    told.extend(of_kind::<Service>(world, room).await);
    told.extend(of_kind::<Deployment>(world, room).await);
    told.extend(of_kind::<PodDisruptionBudget>(world, room).await);
    told.sort();
    told.concat()
}

async fn of_kind<K>(world: &World, room: &str) -> Vec<String>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + Debug
        + serde::Serialize
        + for<'de> serde::Deserialize<'de>,
{
    let of_room = ListParams::default().labels(&format!("app.kubernetes.io/instance={room}"));
    let found = world.api::<K>().list(&of_room).await.expect("objects can be listed").items;
    found.iter().map(|object| in_words(K::kind(&()).as_ref(), object)).collect()
}
