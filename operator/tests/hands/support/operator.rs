//! An operator whose watches are filled by hand, so that a test decides what it has seen.

use super::{ApiServer, NAMESPACE, Request, defaults};
use chatroom_api::ChatRoom;
use chatroom_operator::controller::errors::Error;
use chatroom_operator::controller::gate::Gate;
use chatroom_operator::controller::memory::Memory;
use chatroom_operator::controller::watches::{Stores, Writers};
use chatroom_operator::controller::{Context, on_error, reconcile};
use chatroom_operator::events::Events;
use chatroom_operator::fleet::Fleet;
use chatroom_operator::health::Health;
use chatroom_operator::metrics::Metrics;
use chatroom_operator::observed::GatewayReport;
use chatroom_operator::scope::Scope;
use chatroom_settings::GatewayStatus;
use kube::runtime::controller::Action;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{Lookup, ObjectRef};
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

pub(crate) struct Operator {
    api: ApiServer,
    writers: Writers,
    pub(crate) context: Arc<Context>,
}

impl Operator {
    /// A process that has just begun and remembers nothing.
    pub(crate) fn begins(api: &ApiServer) -> Self {
        let (stores, writers) = Stores::new();
        let fleet = Fleet::default();
        fleet.hear(HashMap::new());
        let context = Context {
            client: api.client(),
            stores,
            fleet,
            gate: Gate::new(1),
            defaults: defaults(),
            memory: Memory::default(),
            events: Events::new(api.client(), Some("operator-1".into())),
            metrics: Metrics::new(BTreeMap::new),
            health: Health::new(&[Scope::Cluster]),
        };
        Self { api: api.clone(), writers, context: Arc::new(context) }
    }

    /// Lets the watches see what stands there now.
    pub(crate) fn sees(&mut self) {
        let (api, writers) = (&self.api, &mut self.writers);
        fill(api, "apis/chatroom.dev/v1alpha1/chatrooms", &mut writers.rooms, false);
        fill(api, "api/v1/configmaps", &mut writers.config_maps, true);
        fill(api, "api/v1/serviceaccounts", &mut writers.service_accounts, true);
        fill(api, "api/v1/services", &mut writers.services, true);
        fill(api, "apis/apps/v1/deployments", &mut writers.deployments, true);
        fill(api, "apis/policy/v1/poddisruptionbudgets", &mut writers.budgets, true);
        fill(api, "api/v1/pods", &mut writers.pods, true);
    }

    /// Hears this from the one gateway of `lobby`.
    pub(crate) fn hears(&self, status: GatewayStatus) {
        let report = GatewayReport { pod: "lobby-1".into(), answer: Ok(status) };
        let lobby = ObjectRef::new("lobby").within(NAMESPACE);
        self.context.fleet.hear(HashMap::from([(lobby, vec![report])]));
    }

    /// Reconciles `lobby` as the watches have seen it last.
    pub(crate) async fn reconciles(&self) -> Result<Action, Error> {
        let lobby = ObjectRef::<ChatRoom>::new("lobby").within(NAMESPACE);
        let room = self.context.stores.rooms.get(&lobby).expect("the watch has seen the room");
        let ended = reconcile(Arc::clone(&room), Arc::clone(&self.context)).await;
        if let Err(error) = &ended {
            let _ = on_error(room, error, Arc::clone(&self.context));
        }
        ended
    }

    /// Sees, reconciles, and gives the requests that it made.
    pub(crate) async fn runs(&mut self) -> Vec<Request> {
        self.sees();
        self.api.take_requests();
        self.reconciles().await.expect("a reconcile that succeeds");
        self.api.take_requests()
    }

    /// Runs until nothing more is asked of the server.
    pub(crate) async fn settles(&mut self) {
        for _ in 0..10 {
            if self.runs().await.is_empty() {
                return;
            }
        }
        panic!("ten runs, and still there is something to do");
    }
}

fn fill<K>(api: &ApiServer, resource: &str, writer: &mut Writer<K>, labelled: bool)
where
    K: Lookup<DynamicType = ()> + DeserializeOwned + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    writer.apply_watcher_event(&Event::Init);
    for object in api.all(resource) {
        if !labelled || object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "chatroom-operator" {
            let object = serde_json::from_value(object).expect("objects of the server are whole");
            writer.apply_watcher_event(&Event::InitApply(object));
        }
    }
    writer.apply_watcher_event(&Event::InitDone);
}
