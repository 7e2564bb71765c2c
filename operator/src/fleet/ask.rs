//! Asking one gateway for its status.

use bytes::Bytes;
use chatroom_settings::GatewayStatus;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long one gateway may take, from connecting to the last byte.
const PATIENCE: Duration = Duration::from_secs(2);

/// A status is below 1 KiB; what is far longer does not come from a gateway.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Asks gateways over plain HTTP; a fresh connection each time, because ten thousand idle ones would be no saving.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    client: Client<HttpConnector, Empty<Bytes>>,
    port: u16,
}

/// Why a gateway gave no status. The words stay the same while the reason stays the same: they end up in conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TooLate,
    #[error("no connection")]
    NoConnection,
    #[error("HTTP status {}", .0.as_u16())]
    Refused(StatusCode),
    #[error("an answer that is no status")]
    Gibberish,
}

impl Asker {
    pub(super) fn new(port: u16) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { client, port }
    }

    pub(super) async fn ask(&self, address: IpAddr) -> Result<GatewayStatus, Unanswered> {
        tokio::time::timeout(PATIENCE, self.ask_patiently(address)).await.unwrap_or(Err(Unanswered::TooLate))
    }

    async fn ask_patiently(&self, address: IpAddr) -> Result<GatewayStatus, Unanswered> {
        let request =
            Request::get(status_url(address, self.port)).body(Empty::new()).expect("an address and a port make a URL");
        let answer = self.client.request(request).await.map_err(|_| Unanswered::NoConnection)?;
        if answer.status() != StatusCode::OK {
            return Err(Unanswered::Refused(answer.status()));
        }
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
        let body = body.map_err(|_| Unanswered::Gibberish)?.to_bytes();
        serde_json::from_slice(&body).map_err(|_| Unanswered::Gibberish)
    }
}

/// `SocketAddr` knows that IPv6 needs brackets.
fn status_url(address: IpAddr, port: u16) -> String {
    format!("http://{}/status", SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use std::net::Ipv4Addr;
    use tokio::net::TcpListener;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    async fn answering(body: String) -> Asker {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let routes = Router::new().route("/status", get(move || async move { body }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Asker::new(port)
    }

    #[test]
    fn ipv6_addresses_get_brackets() {
        assert_eq!(status_url("10.0.0.7".parse().unwrap(), 9090), "http://10.0.0.7:9090/status");
        assert_eq!(status_url("fd00::7".parse().unwrap(), 9090), "http://[fd00::7]:9090/status");
    }

    #[tokio::test]
    async fn a_gateway_of_a_later_version_is_understood() {
        let asker = answering(r#"{"online": 7, "ready": true, "invented": "later"}"#.into()).await;
        let status = asker.ask(HERE).await.unwrap();
        assert_eq!((status.online, status.ready), (Some(7), true));
    }

    #[tokio::test]
    async fn whoever_answers_something_else_is_no_gateway() {
        assert_eq!(answering("hello".into()).await.ask(HERE).await, Err(Unanswered::Gibberish));
        let endless = format!("{{\"version\": \"{}\"}}", "x".repeat(LONGEST_ANSWER));
        assert_eq!(answering(endless).await.ask(HERE).await, Err(Unanswered::Gibberish));
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable() {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(Asker::new(port).ask(HERE).await, Err(Unanswered::NoConnection));
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_accepts_and_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let asker = Asker::new(listener.local_addr().unwrap().port());
        assert_eq!(asker.ask(HERE).await, Err(Unanswered::TooLate));
    }
}
