//! Makes the cluster as it shall be: writes what differs, deletes what is no longer wanted, leaves the rest alone.

use crate::controller::Context;
use crate::controller::errors::Error;
use crate::controller::report::{Applied, Outcome, Plan};
use crate::controller::skip::{Fingerprint, Remembered};
use crate::controller::takeover::{Owner, Standing, may_delete, standing};
use crate::controller::way_back::way_back;
use crate::decide::{Decision, PushDecision, RedisDecision, ServiceAccountDecision};
use crate::desired::{RedisResources, Resources, SecretToCreate};
use crate::hex::hex;
use crate::names::{MANAGER, Names};
use crate::room::Invalid;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use std::sync::Arc;
use tracing::info;

/// A version that no object has: what is stored first in a cluster gets 2. An apply that carries it creates the object if there
/// is none, because a version does not count then, and is a conflict if there is one. (A POST would say the same, but leaves a
/// second entry of ours in `managedFields`, and what we no longer ask for would stay.)
const OF_NO_OBJECT: &str = "1";

/// What came of trying to bring a room about.
#[derive(Debug)]
pub struct Attempt {
    /// For the status.
    pub outcome: Outcome,
    /// What was done, in order; also when the end was not reached.
    pub deeds: Vec<Deed>,
    /// Why the end was not reached.
    pub error: Option<Error>,
}

/// Something that was done to an object, and is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// What was done.
    pub what: Done,
    /// Kind of the object.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: Option<String>,
}

/// What can be done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was not there.
    Created,
    /// It was there without an owner.
    Adopted,
    /// It was there and differed.
    Updated,
    /// It is no longer wanted.
    Deleted,
}

/// A kind of object that a room can have as a child.
pub trait Child:
    k8s_openapi::Resource
    + Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Child for K where
    K: k8s_openapi::Resource
        + Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

impl Attempt {
    /// Nothing was tried, because the room cannot be carried out.
    #[must_use]
    pub fn refused(invalid: Invalid) -> Self {
        Self { outcome: Outcome::Invalid(invalid), deeds: Vec::new(), error: None }
    }

    /// Nothing was tried, because the room is paused.
    #[must_use]
    pub fn left_alone() -> Self {
        Self { outcome: Outcome::Paused, deeds: Vec::new(), error: None }
    }
}

/// Brings everything about, in an order in which a gateway never starts before what it needs, and stops at the first thing
/// that cannot be done. The next run begins anew and finds what is already right.
pub async fn apply(context: &Context, plan: Plan, resources: &Resources) -> Attempt {
    let mut hands = Hands { context, names: &plan.names, deeds: Vec::new() };
    let applied = hands.bring_about(&plan.decision, resources).await;
    let deeds = hands.deeds;
    match applied {
        Ok((deployment, redis)) => {
            let (deployment, redis) = (Arc::unwrap_or_clone(deployment), redis.map(Arc::unwrap_or_clone));
            Attempt { outcome: Outcome::Applied(Applied { plan, deployment, redis }), deeds, error: None }
        }
        Err(error) => Attempt { outcome: Outcome::Failed(plan, error.to_failure()), deeds, error: Some(error) },
    }
}

/// What writes for one room.
struct Hands<'a> {
    context: &'a Context,
    names: &'a Names,
    deeds: Vec<Deed>,
}

impl Hands<'_> {
    /// The live Deployments of the gateways and of the room's own Redis.
    async fn bring_about(
        &mut self,
        decision: &Decision,
        resources: &Resources,
    ) -> Result<(Arc<Deployment>, Option<Arc<Deployment>>), Error> {
        let Resources {
            config_map,
            service_account,
            push_secret,
            redis,
            service,
            push_service,
            deployment,
            pod_disruption_budget,
        } = resources;
        let stores = &self.context.stores;
        self.ensure(&stores.config_maps, config_map).await?;
        if let Some(account) = service_account {
            self.ensure(&stores.service_accounts, account).await?;
        }
        if let (Some(secret), PushDecision::Generate { create_secret: true }) = (push_secret, decision.push) {
            self.create(secret).await?;
        }
        let redis = match redis {
            Some(redis) => Some(self.ensure_redis(redis, &decision.redis).await?),
            None => None,
        };
        self.ensure(&stores.services, service).await?;
        Box::pin(self.ensure(&stores.services, push_service)).await?;
        let deployment = Box::pin(self.ensure(&stores.deployments, deployment)).await?;
        match pod_disruption_budget {
            Some(budget) => drop(self.ensure(&stores.budgets, budget).await?),
            None => self.remove(&stores.budgets, &self.names.pod_disruption_budget()).await?,
        }
        if decision.service_account == ServiceAccountDecision::Remove {
            self.remove(&stores.service_accounts, &self.names.service_account()).await?;
        }
        if decision.redis == RedisDecision::Remove {
            self.remove(&stores.deployments, &self.names.redis()).await?;
            self.remove(&stores.services, &self.names.redis()).await?;
            // Its Secret stays until the room goes: the operator may neither read nor delete Secrets.
        }
        Ok((deployment, redis))
    }

    async fn ensure_redis(
        &mut self,
        redis: &RedisResources,
        decision: &RedisDecision,
    ) -> Result<Arc<Deployment>, Error> {
        let stores = &self.context.stores;
        if matches!(decision, RedisDecision::Run { create_secret: true, .. }) {
            self.create(&redis.secret).await?;
        }
        self.ensure(&stores.services, &redis.service).await?;
        Box::pin(self.ensure(&stores.deployments, &redis.deployment)).await
    }

    /// Makes the object as wanted, unless it is: then no request is made.
    async fn ensure<K: Child>(&mut self, store: &Store<K>, wanted: &K) -> Result<Arc<K>, Error> {
        let name = wanted.name_any();
        let sent = Fingerprint::of(wanted);
        let remembered = self.context.memory.child(self.names.uid(), K::KIND, &name);
        let still_right = |live: &K| remembered.as_ref().is_some_and(|child| child.still_holds(live.meta(), sent));
        if let Some(live) = store.get(&ObjectRef::new(&name).within(self.names.namespace()))
            && still_right(&live)
        {
            return Ok(live);
        }
        // The store may lag, and it does not see objects without our label: whose object it is, is asked of the server.
        let live = self.api::<K>().get_opt(&name).await.map_err(failed_to("get", K::KIND, &name))?;
        let what = match &live {
            None => Done::Created,
            Some(live) => self.may_write(live)?,
        };
        if let Some(live) = live.as_ref().filter(|live| what == Done::Updated && still_right(live)) {
            return Ok(Arc::new(live.clone()));
        }
        let answer = self.write(wanted, live.as_ref(), sent).await?;
        if live.as_ref().and_then(ResourceExt::resource_version) != answer.resource_version() {
            self.note(what, &answer);
        }
        Ok(Arc::new(answer))
    }

    fn may_write<K: Child>(&self, live: &K) -> Result<Done, Error> {
        let (kind, name) = (K::KIND, live.name_any());
        match standing(live.meta(), self.owner()) {
            Standing::Ours => Ok(Done::Updated),
            Standing::Adoptable => Ok(Done::Adopted),
            Standing::Leaving => Err(Error::Leaving { kind, name }),
            Standing::Foreign(holder) => Err(Error::Foreign { kind, name, holder }),
        }
    }

    /// Server-side apply, to exactly what we looked at: to the object with this uid, or to none. What came in between is
    /// refused with a conflict instead of overwritten, and the next run looks whose it is.
    async fn write<K: Child>(&self, wanted: &K, live: Option<&K>, sent: Fingerprint) -> Result<K, Error> {
        let name = wanted.name_any();
        let mut body = wanted.clone();
        match live {
            Some(live) => body.meta_mut().uid = live.uid(),
            None => body.meta_mut().resource_version = Some(OF_NO_OBJECT.to_owned()),
        }
        let answer = match (Box::pin(self.send(&name, &body)).await, live) {
            (Err(kube::Error::Api(status)), Some(live)) if status.is_invalid() => {
                Box::pin(self.take_back(wanted, live)).await?;
                Box::pin(self.send(&name, &body)).await
            }
            (answer, _) => answer,
        };
        let answer = answer.map_err(failed_to("apply", K::KIND, &name))?;
        self.context.metrics.wrote(K::KIND, "apply");
        let remembered = Remembered::from_answer(answer.meta(), sent);
        self.context.memory.remember_child(self.names.uid(), K::KIND, &name, remembered);
        Ok(answer)
    }

    async fn send<K: Child>(&self, name: &str, body: &K) -> Result<K, kube::Error> {
        self.api::<K>().patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(body)).await
    }

    /// Takes out of the object what others have put into it. Server-side apply leaves that alone, and what is ours may make no
    /// sense beside it, such as a second port of the same name: then the API server refuses both, and nobody would put ours back.
    async fn take_back<K: Child>(&self, wanted: &K, live: &K) -> Result<(), Error> {
        let name = wanted.name_any();
        let Some(back) = way_back(&to_json(live), &to_json(wanted)) else { return Ok(()) };
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        match self.api::<K>().patch(&name, &parameters, &Patch::Merge(back)).await {
            Ok(_) => self.context.metrics.wrote(K::KIND, "take_back"),
            // It is what we ask for that cannot be, and the apply says why.
            Err(kube::Error::Api(status)) if status.is_invalid() => {}
            Err(error) => return Err(failed_to("take back", K::KIND, &name)(error)),
        }
        Ok(())
    }

    /// Creates the Secret if there is none. Whoever made the one that is there: it is used.
    async fn create(&mut self, secret: &SecretToCreate) -> Result<(), Error> {
        let name = secret.metadata.name.clone().unwrap_or_default();
        if self.context.memory.secret_is_fresh(self.names.uid(), &name) {
            return Ok(());
        }
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let created = self.api::<Secret>().create(&parameters, &secret.with(&random_word()?)).await;
        match created {
            Ok(created) => {
                self.context.metrics.wrote("Secret", "create");
                self.note(Done::Created, &created);
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => return Err(failed_to("create", "Secret", &name)(error)),
        }
        self.context.memory.remember_secret(self.names.uid(), &name);
        Ok(())
    }

    /// Deletes the object if it is there and the room controls it; nothing else is ever deleted.
    async fn remove<K: Child>(&mut self, store: &Store<K>, name: &str) -> Result<(), Error> {
        let found = store.get(&ObjectRef::new(name).within(self.names.namespace()));
        let Some(live) = found.filter(|live| may_delete(live.meta(), self.owner())) else {
            return Ok(());
        };
        let preconditions = Preconditions { uid: live.uid(), resource_version: None };
        let parameters = DeleteParams::background().preconditions(preconditions);
        match self.api::<K>().delete(name, &parameters).await {
            Ok(_) => {
                self.context.metrics.wrote(K::KIND, "delete");
                self.note(Done::Deleted, live.as_ref());
            }
            // Gone already, or another one in its place: either way ours is not there any more.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
            Err(error) => return Err(failed_to("delete", K::KIND, name)(error)),
        }
        self.context.memory.remember_child(self.names.uid(), K::KIND, name, None);
        Ok(())
    }

    fn note<K: Child>(&mut self, what: Done, object: &K) {
        let deed = Deed { what, kind: K::KIND, name: object.name_any(), uid: object.uid() };
        info!(
            room = self.names.room(),
            namespace = self.names.namespace(),
            kind = deed.kind,
            name = deed.name,
            what = ?deed.what,
            "changed an object"
        );
        self.deeds.push(deed);
    }

    fn owner(&self) -> Owner<'_> {
        Owner { name: self.names.room(), uid: self.names.uid() }
    }

    fn api<K: Child>(&self) -> Api<K> {
        Api::namespaced(self.context.client.clone(), self.names.namespace())
    }
}

fn to_json<K: Child>(object: &K) -> Value {
    serde_json::to_value(object).expect("objects of the API can be written as JSON")
}

/// 256 bits as hexadecimal digits: they need no quotes anywhere.
fn random_word() -> Result<String, Error> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(hex(&bytes))
}

fn failed_to(verb: &'static str, kind: &'static str, name: &str) -> impl FnOnce(kube::Error) -> Error {
    let name = name.to_owned();
    move |source| Error::Request { verb, kind, name, source }
}
