//! What the API server in memory keeps: objects, who owns which field of them, and everything that happened.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::fields::{self, Path};
use super::{Answer, Key, Request, Rule};

#[derive(Default)]
pub(super) struct State {
    pub(super) version: u64,
    pub(super) objects: BTreeMap<Key, Value>,
    /// Who owns what, by object, manager and subresource.
    pub(super) owners: BTreeMap<Key, BTreeMap<(String, String), BTreeSet<Path>>>,
    /// Everything that happened, for watches.
    pub(super) log: Vec<(u64, &'static str, Key, Value)>,
    pub(super) requests: Vec<Request>,
    pub(super) rules: Vec<Rule>,
    /// How many writes may still be made before the one whose answer never comes.
    pub(super) writes_left: Option<usize>,
}

impl State {
    pub(super) fn carry_out(&mut self, request: &Request, key: &Key, subresource: &str) -> Answer {
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

    pub(super) fn create(&mut self, key: &Key, mut object: Value, manager: &str) -> Value {
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
            Some(live)
                if body["metadata"]["resourceVersion"].is_string()
                    && body["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"] =>
            {
                return failure(409, "the object has been modified", "Conflict");
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

    pub(super) fn merge(&mut self, key: &Key, patch: &Value, manager: &str, status: bool) {
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

    pub(super) fn delete(&mut self, key: &Key) {
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

pub(super) fn in_collection(key: &Key, collection: &Key) -> bool {
    key.resource == collection.resource && (collection.namespace.is_none() || key.namespace == collection.namespace)
}

/// Only `key=value`; the operator asks for nothing else.
pub(super) fn selected(object: &Value, selector: Option<&str>) -> bool {
    let mut pairs =
        selector.into_iter().flat_map(|selector| selector.split(',')).filter_map(|pair| pair.split_once('='));
    pairs.all(|(name, value)| object["metadata"]["labels"][name] == value)
}

pub(super) fn success(code: u16, object: &Value) -> Answer {
    let body = Body::from(object.to_string());
    http::Response::builder().status(StatusCode::from_u16(code).unwrap()).body(body).unwrap()
}

pub(super) fn not_found(key: &Key) -> Answer {
    failure(404, &format!("{} {} not found", key.resource, key.name.as_deref().unwrap_or_default()), "NotFound")
}

pub(super) fn failure(code: u16, message: &str, reason: &str) -> Answer {
    success(
        code,
        &json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code,
        }),
    )
}
