//! A namespace of a test's own on the shared control plane, and what is done and seen in it.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use chatroom_api::{ChatRoom, ChatRoomStatus, condition};
use chatroom_operator::conditions::find;
use chatroom_tests::wait::{ask, until};
use chatroom_tests::{environment, skipped};
use futures_util::FutureExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::audit::{Mark, Request};
use crate::children::Child;
use crate::control_plane::{ControlPlane, control_plane};
use crate::tools;

/// What is promised of the operator: within ten seconds it has repaired what somebody broke, or told why it cannot. And as much
/// again for a machine that does other things as well.
pub(crate) const PROMISED: Duration = Duration::from_secs(20);

/// Whatever takes a few requests of several programs, on a machine that does other things as well.
pub(crate) const A_WHILE: Duration = Duration::from_secs(150);

/// A namespace of a test's own.
pub(crate) struct World {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// Runs `test` in a fresh namespace, if tests with an API server are wanted and can run here.
pub(crate) async fn in_namespace(name: &str, test: impl AsyncFnOnce(&World)) {
    if is_skipped(name) {
        return;
    }
    let plane = control_plane();
    let client = plane.client().await.expect("the administrator's kubeconfig works");
    let wanted: Namespace = serde_json::from_value(json!({"metadata": {
        "generateName": format!("{name}-"),
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    }}))
    .expect("this is a namespace");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace =
        namespaces.create(&PostParams::default(), &wanted).await.expect("a namespace can be made").name_any();
    // It is not removed: everything goes with the control plane.
    let world = World { plane, client, namespace };
    // Boxed: a test's future is as large as everything it does.
    if let Err(panic) = AssertUnwindSafe(Box::pin(test(&world))).catch_unwind().await {
        world.tell_everything().await;
        std::panic::resume_unwind(panic);
    }
}

/// Whether a test cannot run here, or was not asked for; then it is told.
pub(crate) fn is_skipped(name: &str) -> bool {
    let why = if environment::api_server_is_wanted() {
        tools::missing()
    } else {
        Some(format!("`make apiserver` runs it ({}=1)", environment::API_SERVER))
    };
    if let Some(why) = &why {
        skipped::say(name, why);
    }
    why.is_some()
}

impl World {
    pub(crate) fn rooms(&self) -> Api<ChatRoom> {
        self.api()
    }

    /// The objects of one kind in this namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The objects of a child's kind in this namespace.
    pub(crate) fn of_kind(&self, child: Child) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &child.resource())
    }

    /// Applies a room as somebody who uses server-side apply.
    pub(crate) async fn apply(&self, room: &str, spec: Value) -> ChatRoom {
        let parameters = PatchParams::apply("people").force();
        self.rooms().patch(room, &parameters, &Patch::Apply(manifest(room, &spec))).await.expect("a good room is taken")
    }

    /// Changes a room by a merge patch.
    pub(crate) async fn edit(&self, room: &str, patch: Value) -> ChatRoom {
        let patched = self.rooms().patch(room, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.expect("a good room is taken")
    }

    /// The live child of a room.
    pub(crate) async fn child(&self, child: Child, room: &str) -> DynamicObject {
        let found = self.of_kind(child).get(&child.name(room)).await;
        found.unwrap_or_else(|error| panic!("{}: {error}", child.called(room)))
    }

    /// Changes a child by a merge patch, as somebody with `kubectl edit`.
    pub(crate) async fn edit_child(&self, child: Child, room: &str, patch: Value) -> DynamicObject {
        let parameters = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
        let patched = self.of_kind(child).patch(&child.name(room), &parameters, &Patch::Merge(patch)).await;
        patched.unwrap_or_else(|error| panic!("{}: {error}", child.called(room)))
    }

    /// Deletes the object with this uid, which nobody holds up.
    pub(crate) async fn delete(&self, child: Child, object: &DynamicObject) {
        let preconditions = Preconditions { uid: object.uid(), resource_version: None };
        let parameters = DeleteParams::background().preconditions(preconditions);
        let deleted = self.of_kind(child).delete(&object.name_any(), &parameters).await;
        deleted.unwrap_or_else(|error| panic!("{} {}: {error}", child.kind, object.name_any()));
    }

    /// Makes an object of somebody else.
    pub(crate) async fn create(&self, child: Child, object: &DynamicObject) -> DynamicObject {
        let created = self.of_kind(child).create(&PostParams::default(), object).await;
        created.unwrap_or_else(|error| panic!("{} {}: {error}", child.kind, object.name_any()))
    }

    /// Waits until the room is as asked for, and answers it. Its pods are up as soon as they are asked for.
    pub(crate) async fn settled(&self, room: &str) -> ChatRoom {
        until(&format!("{room} has settled"), A_WHILE, async || {
            self.pods_are_up(room).await;
            let room = self.rooms().get(room).await.map_err(|error| error.to_string())?;
            let status = room.status.clone().unwrap_or_default();
            let current = status.observed_generation == room.metadata.generation;
            let is = |type_: &str, wanted: &str| found(&status, type_).is_some_and(|(is, _, _)| is == wanted);
            let well =
                is(condition::READY, "True") && is(condition::RECONCILING, "False") && is(condition::STALLED, "False");
            if current && well { Ok(room) } else { Err(serde_json::to_string(&status).unwrap_or_default()) }
        })
        .await
    }

    /// Reports the pods of the room's Deployments as up, as the controllers and kubelets of a cluster would in the end.
    pub(crate) async fn pods_are_up(&self, room: &str) {
        let deployments = self.api::<Deployment>();
        for name in [room.to_owned(), format!("{room}-redis")] {
            let Ok(Some(live)) = deployments.get_opt(&name).await else { continue };
            if !live.owner_references().iter().any(|owner| owner.kind == "ChatRoom" && owner.name == room) {
                continue;
            }
            let pods = live.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default();
            let status = json!({
                "observedGeneration": live.metadata.generation, "replicas": pods, "readyReplicas": pods,
                "updatedReplicas": pods, "availableReplicas": pods,
            });
            let reported = serde_json::to_value(&live.status).unwrap_or_default();
            let differs =
                |(key, value): (&String, &Value)| reported[key].as_i64().unwrap_or(0) != value.as_i64().unwrap_or(0);
            if status.as_object().is_some_and(|status| status.iter().any(differs)) {
                // Somebody may have deleted it just now.
                let patch = Patch::Merge(json!({"status": status}));
                let _ = deployments.patch_status(&name, &PatchParams::default(), &patch).await;
            }
        }
    }

    /// Waits until a condition of the room has this status and reason, and answers its message.
    pub(crate) async fn has(&self, room: &str, deadline: Duration, type_: &str, status: &str, reason: &str) -> String {
        until(&format!("{type_} of {room} is {status} with {reason}"), deadline, async || {
            let room = self.rooms().get(room).await.map_err(|error| error.to_string())?;
            match found(&room.status.unwrap_or_default(), type_) {
                Some((is, why, message)) if is == status && why == reason => Ok(message),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Waits until something is told about the room with this reason, and answers the note.
    pub(crate) async fn is_told(&self, room: &str, reason: &str) -> String {
        let events = self.api::<k8s_openapi::api::events::v1::Event>();
        until(&format!("an event {reason} is told about {room}"), A_WHILE, async || {
            let all = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let about = |event: &&k8s_openapi::api::events::v1::Event| {
                event.regarding.as_ref().is_some_and(|object| object.name.as_deref() == Some(room))
            };
            let mut told = all.items.iter().filter(about);
            let matching = told.find(|event| event.reason.as_deref() == Some(reason));
            matching.map(|event| event.note.clone().unwrap_or_default()).ok_or(format!("{} events", all.items.len()))
        })
        .await
    }

    /// Waits until this holds of a child that exists.
    pub(crate) async fn child_becomes(
        &self,
        child: Child,
        room: &str,
        what: &str,
        deadline: Duration,
        holds: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let (what, began) = (format!("{} {what}", child.called(room)), Instant::now());
        let live = until(&what, deadline, async || {
            let live = self.of_kind(child).get(&child.name(room)).await.map_err(|error| error.to_string())?;
            if holds(&live) { Ok(live) } else { Err(serde_json::to_string(&live).unwrap_or_default()) }
        })
        .await;
        eprintln!("{what} after {:.1} s", began.elapsed().as_secs_f64());
        live
    }

    /// Waits until another object than `before` is the room's child, as it is promised after `before` went.
    pub(crate) async fn becomes_ours(&self, child: Child, room: &str, before: &DynamicObject) -> DynamicObject {
        let ours = |live: &DynamicObject| live.uid() != before.uid() && !live.owner_references().is_empty();
        self.child_becomes(child, room, "is the room's", PROMISED, ours).await
    }

    /// Waits until there is no such child.
    pub(crate) async fn is_gone(&self, child: Child, room: &str) {
        until(&format!("{} is gone", child.called(room)), A_WHILE, async || {
            match self.of_kind(child).get_opt(&child.name(room)).await {
                Ok(None) => Ok(()),
                Ok(Some(_)) => Err("it is there".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Makes the operator look at the room: people may write annotations as they like.
    pub(crate) async fn touch(&self, room: &str, stamp: usize) {
        self.edit(room, json!({"metadata": {"annotations": {"example.com/touched": stamp.to_string()}}})).await;
    }

    /// What the operator asked in this namespace since then; without the events that it told.
    pub(crate) fn asked_since(&self, mark: Mark) -> Vec<Request> {
        let asked = self.plane.audit().since(mark, &self.plane.operator().user, &self.namespace);
        asked.into_iter().filter(|request| !request.is_event()).collect()
    }

    /// What the operator wrote in this namespace since then; without the events that it told.
    pub(crate) fn written_since(&self, mark: Mark) -> Vec<Request> {
        self.asked_since(mark).into_iter().filter(Request::is_write).collect()
    }

    /// Now.
    pub(crate) fn mark(&self) -> Mark {
        self.plane.audit().mark()
    }

    /// `kubectl` in this namespace.
    ///
    /// # Errors
    /// What it wrote to stderr, when it failed.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let namespace = format!("--namespace={}", self.namespace);
        let all: Vec<_> = [namespace.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        self.plane.kubectl(&all, input)
    }

    /// What one would look up after a failure.
    async fn tell_everything(&self) {
        eprintln!("--- namespace {}", self.namespace);
        for room in self.rooms().list(&ListParams::default()).await.into_iter().flatten().take(3) {
            eprintln!("--- room {}\n{}", room.name_any(), serde_yaml::to_string(&room).unwrap_or_default());
        }
        eprintln!("--- what the operator wrote");
        for request in self.plane.audit().writes(&self.plane.operator().user, &self.namespace).iter().take(100) {
            eprintln!("{request}");
        }
        eprintln!("{}", self.plane.last_words("chatroom-operator"));
    }
}

/// Nothing moves any more: the same picture three times in a row.
pub(crate) async fn comes_to_rest<T: PartialEq + Debug>(mut picture: impl AsyncFnMut() -> T) -> T {
    let mut last = picture().await;
    let mut same = 0;
    let answer = ask(A_WHILE, async || {
        let now = picture().await;
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same >= 20 { Ok(()) } else { Err(format!("{last:?}")) }
    });
    answer.await.unwrap_or_else(|seen| panic!("it does not come to rest: {seen}"));
    last
}

/// A room as people write it.
pub(crate) fn manifest(room: &str, spec: &Value) -> Value {
    json!({"apiVersion": "chatroom.dev/v1alpha1", "kind": "ChatRoom", "metadata": {"name": room}, "spec": spec})
}

/// Status, reason and message of a condition.
fn found(status: &ChatRoomStatus, type_: &str) -> Option<(String, String, String)> {
    let condition = find(status, type_)?;
    Some((condition.status.clone(), condition.reason.clone(), condition.message.clone()))
}
