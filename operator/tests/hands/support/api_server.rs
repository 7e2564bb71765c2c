//! An API server in memory: get, list, watch, server-side apply with field ownership, create, delete with preconditions.

mod store;

use self::store::{State, failure, in_collection, selected};
use super::fields::{self, Path};
use axum::body::Body;
use futures_util::stream;
use http::Method;
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// One object, or (without a name) all of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// `api/v1/services`.
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

/// Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub(crate) struct ApiServer {
    state: Arc<Mutex<State>>,
    version: watch::Sender<u64>,
}

/// What is answered instead of the truth.
type Rule = Box<dyn Fn(&Request) -> Option<(u16, String)> + Send>;

type Answer = http::Response<Body>;

/// The object `name` of `resource` in the namespace of the tests.
pub(crate) fn key(resource: &str, name: &str) -> Key {
    key_in(super::NAMESPACE, resource, name)
}

/// The object `name` of `resource` in this namespace.
pub(crate) fn key_in(namespace: &str, resource: &str, name: &str) -> Key {
    Key { resource: resource.into(), namespace: Some(namespace.into()), name: Some(name.into()) }
}

impl Request {
    /// `PATCH /api/v1/…`, without the query.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    pub(crate) fn is_event(&self) -> bool {
        self.path.contains("/events.k8s.io/")
    }
}

impl ApiServer {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), version: watch::Sender::new(0) }
    }

    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, super::NAMESPACE)
    }

    /// Puts an object there, as somebody else who created it.
    pub(crate) fn put(&self, resource: &str, object: Value) -> Value {
        let name = object["metadata"]["name"].as_str().expect("an object has a name").to_owned();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or(super::NAMESPACE);
        let key = key_in(namespace, resource, &name);
        let mut state = self.state();
        let created = state.create(&key, object, "somebody");
        drop(state);
        self.announce();
        created
    }

    /// Changes one field as somebody else, who owns it from then on.
    pub(crate) fn edit(&self, key: &Key, path: &[&str], value: Value) {
        let path: Path = path.iter().map(|name| (*name).to_owned()).collect();
        let patch = path.iter().rev().fold(value, |inner, name| json!({name: inner}));
        self.state().merge(key, &patch, "somebody", path.first().is_some_and(|first| first == "status"));
        self.announce();
    }

    /// Takes an object away, whoever owns it.
    pub(crate) fn remove(&self, key: &Key) {
        self.state().delete(key);
        self.announce();
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Value> {
        self.state().objects.get(key).cloned()
    }

    /// All objects of a kind.
    pub(crate) fn all(&self, resource: &str) -> Vec<Value> {
        let state = self.state();
        state.objects.iter().filter(|(key, _)| key.resource == resource).map(|(_, object)| object.clone()).collect()
    }

    /// Everything that stands there but what changes from run to run: uids, versions, times, events, random values.
    pub(crate) fn picture(&self) -> BTreeMap<String, Value> {
        let state = self.state();
        let shown = state.objects.iter().filter(|(key, _)| !key.resource.contains("events"));
        shown
            .map(|(key, object)| {
                let mut object = object.clone();
                for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "ownerReferences"] {
                    fields::remove(&mut object, &["metadata".to_owned(), field.to_owned()]);
                }
                fields::remove(&mut object, &["stringData".to_owned()]);
                for condition in
                    object.pointer_mut("/status/conditions").into_iter().filter_map(Value::as_array_mut).flatten()
                {
                    condition["lastTransitionTime"] = Value::Null;
                }
                (format!("{} {}", key.resource, key.name.clone().unwrap_or_default()), object)
            })
            .collect()
    }

    /// What came in since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().requests)
    }

    /// Answers with an error whenever the rule gives a status and a message.
    pub(crate) fn rule(&self, rule: impl Fn(&Request) -> Option<(u16, String)> + Send + 'static) {
        self.state().rules.push(Box::new(rule));
    }

    /// Tells the truth again.
    pub(crate) fn no_rules(&self) {
        self.state().rules.clear();
    }

    /// Carries out `writes` writes and one more, whose answer never comes, as nothing else from then on.
    pub(crate) fn dies_after(&self, writes: usize) {
        self.state().writes_left = Some(writes);
    }

    /// Whether it no longer answers.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().writes_left == Some(usize::MAX)
    }

    /// Whether such a request came in since the last [`ApiServer::take_requests`].
    pub(crate) fn has_seen(&self, is_it: impl Fn(&Request) -> bool) -> bool {
        self.state().requests.iter().any(is_it)
    }

    /// Comes back. Whether it had died.
    pub(crate) fn revives(&self) -> bool {
        self.state().writes_left.take() == Some(usize::MAX)
    }

    /// Resolves when the condition holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut version = self.version.subscribe();
        let waiting = async {
            while !holds(self) {
                version.changed().await.expect("the server lives as long as the test");
            }
        };
        if tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.is_err() {
            panic!("{what}: not seen within 30 s; there is {:#?}", self.picture().keys().collect::<Vec<_>>());
        }
    }

    fn announce(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the server")
    }

    async fn answer(&self, request: http::Request<kube::client::Body>) -> Answer {
        let request = read(request).await;
        self.state().requests.push(request.clone());
        self.announce();
        let Some((key, subresource)) = parse(&request.path) else {
            return failure(404, "the server could not find the requested resource", "NotFound");
        };
        let refused = self.state().rules.iter().find_map(|rule| rule(&request));
        if let Some((404, message)) = refused.as_ref().filter(|(_, message)| message.starts_with("404 page")) {
            // What the real one says to a group that it does not know: not even JSON.
            let answer = http::Response::builder().status(404).body(Body::from(message.clone()));
            return answer.expect("a status and a body make an answer");
        }
        if let Some((code, message)) = refused {
            return failure(code, &message, if code == 404 { "NotFound" } else { "" });
        }
        if request.method == Method::GET && request.query.get("watch").is_some_and(|watch| watch == "true") {
            return self.watch(key, &request);
        }
        let dies = {
            let mut state = self.state();
            match state.writes_left {
                Some(usize::MAX) => true,
                Some(0) if request.is_write() => {
                    state.carry_out(&request, &key, &subresource);
                    state.writes_left = Some(usize::MAX);
                    true
                }
                Some(left) if request.is_write() => {
                    state.writes_left = Some(left - 1);
                    false
                }
                _ => false,
            }
        };
        if dies {
            self.announce();
            std::future::pending::<()>().await;
        }
        let answer = self.state().carry_out(&request, &key, &subresource);
        self.announce();
        answer
    }

    fn watch(&self, key: Key, request: &Request) -> Answer {
        let since: u64 = request.query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        let selector = request.query.get("labelSelector").cloned();
        let events =
            stream::unfold((self.clone(), self.version.subscribe(), since), move |(server, mut version, seen)| {
                let (key, selector) = (key.clone(), selector.clone());
                async move {
                    loop {
                        let next = server
                            .state()
                            .log
                            .iter()
                            .find(|(at, _, changed, object)| {
                                *at > seen && in_collection(changed, &key) && selected(object, selector.as_deref())
                            })
                            .cloned();
                        if let Some((at, kind, _, object)) = next {
                            let line = format!("{}\n", json!({"type": kind, "object": object}));
                            return Some((Ok::<_, Infallible>(line), (server, version, at)));
                        }
                        version.changed().await.ok()?;
                    }
                }
            });
        http::Response::new(Body::from_stream(events))
    }
}

/// `/apis/apps/v1/namespaces/chat/deployments/lobby/status`, taken apart.
fn parse(path: &str) -> Option<(Key, String)> {
    let mut words = path.trim_matches('/').split('/');
    let group = match words.next()? {
        "api" => format!("api/{}", words.next()?),
        "apis" => format!("apis/{}/{}", words.next()?, words.next()?),
        _ => return None,
    };
    let mut next = words.next()?;
    let mut namespace = None;
    if next == "namespaces" {
        namespace = Some(words.next()?.to_owned());
        next = words.next()?;
    }
    let key = Key { resource: format!("{group}/{next}"), namespace, name: words.next().map(str::to_owned) };
    Some((key, words.next().unwrap_or_default().to_owned()))
}

async fn read(request: http::Request<kube::client::Body>) -> Request {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a body in memory").to_bytes();
    let query = parts.uri.query().unwrap_or_default();
    let decoded = |text: &str| text.replace("%3D", "=").replace("%2F", "/").replace("%2C", ",");
    Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (decoded(k), decoded(v)))
            .collect(),
        content_type: parts
            .headers
            .get("content-type")
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default(),
        body: if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("bodies are JSON") },
    }
}
