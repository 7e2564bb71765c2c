//! What vanished while a watch was down: a new list tells it only by what is missing from it.

use futures_util::{Stream, StreamExt, stream};
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use std::collections::HashSet;
use std::fmt::Debug;
use std::{iter, mem};

/// Adds a deletion for each object that `store` still holds when a new list without it is complete. Stands before the reflector
/// of that store, which would forget such objects without a word.
pub(super) fn vanished_are_deleted<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    store: Store<K>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let mut listed = HashSet::new();
    events.flat_map(move |event| {
        let mut vanished = Vec::new();
        match &event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.insert(ObjectRef::from_obj(object));
            }
            Ok(Event::InitDone) => {
                let listed = mem::take(&mut listed);
                let known = store.state().into_iter();
                let gone = known.filter(|object| !listed.contains(&ObjectRef::from_obj(object.as_ref())));
                vanished.extend(gone.map(|object| Ok(Event::Delete(object.as_ref().clone()))));
            }
            Ok(Event::Apply(_) | Event::Delete(_)) | Err(_) => {}
        }
        stream::iter(iter::once(event).chain(vanished))
    })
}

#[cfg(test)]
mod tests {
    use super::super::changes::{child_changed, deletion_is_a_change};
    use super::*;
    use k8s_openapi::api::core::v1::Service;
    use kube::runtime::reflector::{self};
    use kube::runtime::utils::WatchStreamExt;
    use kube::runtime::{PredicateConfig, reflector::Lookup};
    use serde_json::json;

    fn service(name: &str) -> Service {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "chat", "uid": name}})).unwrap()
    }

    /// Whose reconcile the events ask for, and what the store holds at the end.
    async fn after(events: Vec<Event<Service>>) -> (Vec<String>, Vec<String>) {
        let (store, writer) = reflector::store();
        let asked: Vec<_> = vanished_are_deleted(stream::iter(events.into_iter().map(Ok)), store.clone())
            .reflect(writer)
            .map(deletion_is_a_change)
            .touched_objects()
            .predicate_filter(child_changed, PredicateConfig::default())
            .map(|service| service.unwrap().metadata.name.unwrap())
            .collect()
            .await;
        let mut known: Vec<_> = store.state().iter().map(|service| service.name().unwrap().into_owned()).collect();
        known.sort();
        (asked, known)
    }

    fn list<const N: usize>(names: [&str; N]) -> Vec<Event<Service>> {
        let objects = names.into_iter().map(|name| Event::InitApply(service(name)));
        iter::once(Event::Init).chain(objects).chain([Event::InitDone]).collect()
    }

    #[tokio::test]
    async fn what_is_missing_from_a_new_list_asks_for_a_reconcile() {
        let (asked, known) = after([list(["hall", "lobby"]), list(["lobby"])].concat()).await;
        assert_eq!(asked, ["hall", "lobby", "hall"]);
        assert_eq!(known, ["lobby"]);
    }

    #[tokio::test]
    async fn a_new_list_that_is_the_old_one_asks_for_nothing() {
        let (asked, known) = after([list(["hall", "lobby"]), list(["lobby", "hall"])].concat()).await;
        assert_eq!(asked, ["hall", "lobby"]);
        assert_eq!(known, ["hall", "lobby"]);
    }

    #[tokio::test]
    async fn a_list_that_broke_off_tells_nothing() {
        let mut broken = list(["lobby"]);
        broken.pop();
        let (asked, known) = after([list(["hall", "lobby"]), broken, list(["hall", "lobby"])].concat()).await;
        assert_eq!(asked, ["hall", "lobby"]);
        assert_eq!(known, ["hall", "lobby"]);
    }
}
