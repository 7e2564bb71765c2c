//! The whole program against the API server in memory: its watches, its probes, its end.

use crate::support::{ApiServer, ROOMS, Request, defaults, key, lobby};
use chatroom_operator::app::{self, Parts};
use chatroom_operator::scope::Scope;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Program {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Program {
    pub(crate) async fn begins(api: &ApiServer) -> Self {
        Self::begins_in(api, vec![Scope::Cluster]).await
    }

    /// Watches these parts of the cluster only.
    pub(crate) async fn begins_in(api: &ApiServer, scopes: Vec<Scope>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let parts = Parts { client: api.client(), scopes, listener, defaults: defaults(), pod_name: None };
        let ended = tokio::spawn(app::run(parts, async move {
            let _ = stopped.await;
        }));
        Self { address, stop, ended }
    }

    pub(crate) async fn asked(&self, path: &str) -> (u16, String) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
        let answer = client.get(format!("http://{}{path}", self.address).parse().unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Asks until it answers so.
    pub(crate) async fn answers(&self, path: &str, status: u16) -> String {
        let asking = async {
            loop {
                let (found, text) = self.asked(path).await;
                if found == status {
                    return text;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), asking).await.expect("the answer within 30 s")
    }

    /// Asks until the answer contains the words.
    pub(crate) async fn says(&self, path: &str, words: &str) -> String {
        let asking = async {
            loop {
                let (_, text) = self.asked(path).await;
                if text.contains(words) {
                    return text;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), asking).await.expect("the words within 30 s")
    }

    pub(crate) async fn stops(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().expect("a program that was asked to stop has not failed");
    }
}

#[tokio::test]
async fn a_room_comes_about_and_what_is_deleted_comes_back() {
    let api = ApiServer::new();
    let program = Program::begins(&api).await;
    program.answers("/readyz", 200).await;
    api.put(ROOMS, lobby(&json!({})));
    let (deployment, service) = (key("apis/apps/v1/deployments", "lobby"), key("api/v1/services", "lobby"));
    api.until("the Deployment", |api| api.get(&deployment).is_some()).await;
    api.until("the status", |api| api.get(&key(ROOMS, "lobby")).unwrap()["status"]["url"].is_string()).await;
    api.remove(&service);
    api.until("the Service", |api| api.get(&service).is_some()).await;
    program.stops().await;
}

#[tokio::test]
async fn a_missing_resource_definition_is_waited_for() {
    let api = ApiServer::new();
    api.rule(|request| request.path.contains("/chatrooms").then(|| (404, "404 page not found\n".to_owned())));
    let program = Program::begins(&api).await;
    let text = program.answers("/readyz", 503).await;
    api.until("a question", |api| api.has_seen(|request| request.path.contains("/chatrooms"))).await;
    assert_eq!(program.asked("/livez").await.0, 200, "{text}");
    let text = program.says("/readyz", "resource definition").await;
    assert!(program.asked("/metrics").await.1.contains("chatroom_operator_crd_missing 1"), "{text}");
    api.no_rules();
    program.answers("/readyz", 200).await;
    let numbers = program.asked("/metrics").await.1;
    assert!(numbers.contains("chatroom_operator_crd_missing 0"), "{numbers}");
    program.stops().await;
}

#[tokio::test]
async fn it_stops_while_it_waits_for_the_resource_definition() {
    let api = ApiServer::new();
    api.rule(|request| request.path.contains("/chatrooms").then(|| (404, "404 page not found\n".to_owned())));
    let program = Program::begins(&api).await;
    api.until("a question", |api| api.has_seen(|request| request.path.contains("/chatrooms"))).await;
    program.stops().await;
}

#[tokio::test]
async fn a_reconcile_that_runs_may_end() {
    let api = ApiServer::new();
    api.put(ROOMS, lobby(&json!({})));
    let program = Program::begins(&api).await;
    api.until("the first write", |api| api.has_seen(Request::is_write)).await;
    program.stops().await;
    let room = api.get(&key(ROOMS, "lobby")).unwrap();
    assert!(room["status"]["url"].is_string(), "the reconcile was cut off before its last write: {room:#}");
}
