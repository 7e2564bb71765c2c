//! An API server in memory: get, list, watch, server-side apply with field ownership, create, delete with preconditions.

use super::fields::{self, Path};
use axum::body::Body;
use futures_util::stream;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
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

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<Key, Value>,
    /// Who owns what, by object, manager and subresource.
    owners: BTreeMap<Key, BTreeMap<(String, String), BTreeSet<Path>>>,
    /// Everything that happened, for watches.
    log: Vec<(u64, &'static str, Key, Value)>,
    requests: Vec<Request>,
    rules: Vec<Rule>,
    /// How many writes may still be made before the one whose answer never comes.
    writes_left: Option<usize>,
}

/// What is answered instead of the truth.
type Rule = Box<dyn Fn(&Request) -> Option<(u16, String)> + Send>;

type Answer = http::Response<Body>;

/// The object `name` of `resource` in the namespace of the tests.
pub(crate) fn key(resource: &str, name: &str) -> Key {
    Key { resource: resource.into(), namespace: Some(super::NAMESPACE.into()), name: Some(name.into()) }
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
        let key = key(resource, &name);
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
        if let Some((404, message)) = &refused {
            // What the real one says to a group that it does not know: not even JSON.
            let answer = http::Response::builder().status(404).body(Body::from(message.clone()));
            return answer.expect("a status and a body make an answer");
        }
        if let Some((code, message)) = refused {
            return failure(code, &message, "");
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

impl State {
    fn carry_out(&mut self, request: &Request, key: &Key, subresource: &str) -> Answer {
        match (request.method.as_str(), key.name.is_some()) {
            ("GET", true) => match self.objects.get(key) {
                Some(object) => success(200, object),
                None => not_found(key),
            },
            ("GET", false) => {
                let selector = request.query.get("labelSelector").map(String::as_str);
                let found =
                    self.objects.iter().filter(|(at, object)| in_collection(at, key) && selected(object, selector));
                let items: Vec<_> = found.map(|(_, object)| object.clone()).collect();
                let version = self.version.to_string();
                success(200, &json!({"metadata": {"resourceVersion": version}, "items": items}))
            }
            ("POST", false) => {
                let name = request.body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                let key = Key { name: Some(name), ..key.clone() };
                if self.objects.contains_key(&key) {
                    return failure(409, "already exists", "AlreadyExists");
                }
                let manager = request.query.get("fieldManager").map_or("unknown", String::as_str);
                success(201, &self.create(&key, request.body.clone(), manager))
            }
            ("PATCH", true) if request.content_type == "application/apply-patch+yaml" => self.apply(
                key,
                &request.body,
                request.query.get("fieldManager").expect("an apply names its manager"),
                subresource,
            ),
            ("PATCH", true) if self.objects.contains_key(key) => {
                self.merge(key, &request.body, "unknown", false);
                success(200, &self.objects[key])
            }
            ("DELETE", true) => {
                let Some(object) = self.objects.get(key) else { return not_found(key) };
                let wanted = &request.body["preconditions"]["uid"];
                if !wanted.is_null() && *wanted != object["metadata"]["uid"] {
                    return failure(409, "the UID in the precondition does not match", "Conflict");
                }
                self.delete(key);
                success(200, &json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
            }
            _ => not_found(key),
        }
    }

    fn create(&mut self, key: &Key, mut object: Value, manager: &str) -> Value {
        let owned = fields::leaves(&object);
        object["metadata"]["uid"] = json!(format!("uid-{}", self.version + 1));
        object["metadata"]["generation"] = json!(1);
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.owners.entry(key.clone()).or_default().insert((format!("{manager} Update"), String::new()), owned);
        self.store(key, object, "ADDED")
    }

    fn apply(&mut self, key: &Key, body: &Value, manager: &str, subresource: &str) -> Answer {
        let wanted_uid = &body["metadata"]["uid"];
        let live = self.objects.get(key).cloned();
        match &live {
            None if !wanted_uid.is_null() || !subresource.is_empty() => {
                let code = if subresource.is_empty() { (409, "Conflict") } else { (404, "NotFound") };
                return failure(code.0, "uid mismatch: no existing object was found", code.1);
            }
            Some(live) if !wanted_uid.is_null() && *wanted_uid != live["metadata"]["uid"] => {
                return failure(409, "uid mismatch: the existing object is another one", "Conflict");
            }
            _ => {}
        }
        let mut part = body.clone();
        if subresource.is_empty() {
            fields::remove(&mut part, &["status".to_owned()]);
        } else {
            part = json!({"status": body["status"]});
        }
        let owned = fields::leaves(&part);
        let owner = (format!("{manager} Apply"), subresource.to_owned());
        let mut object = live.clone().unwrap_or_else(|| {
            json!({"metadata": {
                "uid": format!("uid-{}", self.version + 1), "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z",
            }})
        });
        let owners = self.owners.entry(key.clone()).or_default();
        // What we owned and no longer ask for goes, unless somebody else owns it too.
        for given_up in owners.get(&owner).cloned().unwrap_or_default().difference(&owned) {
            if !owners.iter().any(|(other, paths)| *other != owner && paths.contains(given_up)) {
                fields::remove(&mut object, given_up);
            }
        }
        let before = object.clone();
        fields::merge(&mut object, &part);
        // Force: whoever said otherwise no longer owns it.
        for (other, paths) in owners.iter_mut() {
            if *other != owner {
                paths.retain(|path| !owned.contains(path) || at(&before, path) == at(&object, path));
            }
        }
        owners.insert(owner, owned);
        let code = if live.is_some() { 200 } else { 201 };
        if live.is_some_and(|live| live["spec"] != object["spec"]) {
            object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        let verb = if code == 201 { "ADDED" } else { "MODIFIED" };
        success(code, &self.store(key, object, verb))
    }

    fn merge(&mut self, key: &Key, patch: &Value, manager: &str, status: bool) {
        let mut object = self.objects.get(key).expect("what is edited is there").clone();
        let before = object.clone();
        fields::merge(&mut object, patch);
        let touched = fields::leaves(patch);
        let owners = self.owners.entry(key.clone()).or_default();
        for paths in owners.values_mut() {
            paths.retain(|path| !touched.iter().any(|touched| path.starts_with(touched)));
        }
        let subresource = if status { "status" } else { "" };
        owners.entry((format!("{manager} Update"), subresource.to_owned())).or_default().extend(touched);
        if before["spec"] != object["spec"] {
            object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        self.store(key, object, "MODIFIED");
    }

    fn delete(&mut self, key: &Key) {
        if let Some(object) = self.objects.remove(key) {
            self.owners.remove(key);
            self.version += 1;
            let mut object = object;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.log.push((self.version, "DELETED", key.clone(), object));
        }
    }

    /// Stores what changed; what did not keeps its version.
    fn store(&mut self, key: &Key, mut object: Value, verb: &'static str) -> Value {
        object["metadata"]["managedFields"] = self.managed_fields(key);
        if let Some(live) = self.objects.get(key) {
            object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
            if *live == object {
                return object;
            }
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(key.clone(), object.clone());
        self.log.push((self.version, verb, key.clone(), object.clone()));
        object
    }

    fn managed_fields(&self, key: &Key) -> Value {
        let entries = self.owners.get(key).into_iter().flatten().map(|((manager, subresource), paths)| {
            let (manager, operation) = manager.split_once(' ').expect("a manager and an operation");
            let mut entry = json!({
                "manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields::to_fields_v1(paths),
            });
            if !subresource.is_empty() {
                entry["subresource"] = json!(subresource);
            }
            entry
        });
        Value::Array(entries.collect())
    }
}

fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |object, name| object.get(name))
}

fn in_collection(key: &Key, collection: &Key) -> bool {
    key.resource == collection.resource && (collection.namespace.is_none() || key.namespace == collection.namespace)
}

/// Only `key=value`; the operator asks for nothing else.
fn selected(object: &Value, selector: Option<&str>) -> bool {
    let mut pairs =
        selector.into_iter().flat_map(|selector| selector.split(',')).filter_map(|pair| pair.split_once('='));
    pairs.all(|(name, value)| object["metadata"]["labels"][name] == value)
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

fn success(code: u16, object: &Value) -> Answer {
    let body = Body::from(object.to_string());
    http::Response::builder().status(StatusCode::from_u16(code).unwrap()).body(body).unwrap()
}

fn not_found(key: &Key) -> Answer {
    failure(404, &format!("{} {} not found", key.resource, key.name.as_deref().unwrap_or_default()), "NotFound")
}

fn failure(code: u16, message: &str, reason: &str) -> Answer {
    success(
        code,
        &json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code,
        }),
    )
}
