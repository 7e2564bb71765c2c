//! `chatroom-operator probe`: asks addresses over HTTP and tells what came back, where an image has no other client.

use crate::causes;
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::fmt;
use std::time::Duration;

/// How long one address may take, from its name to the last byte.
const PATIENCE: Duration = Duration::from_secs(10);

/// The numbers of an operator with every kind of label are some 20 KiB.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// An answer's first line, up to so many characters, is what people read of it.
const SHOWN: usize = 200;

/// What one address answered.
#[derive(Debug)]
pub struct Answer {
    address: Uri,
    outcome: Result<(StatusCode, String), Unanswered>,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TooLate,
    #[error("no connection: {0}")]
    NoConnection(String),
    #[error("an answer that breaks off, or is longer than {LONGEST_ANSWER} bytes")]
    BrokenOff,
}

impl Answer {
    /// Whether the address is there and content: any status of success.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|(status, _)| status.is_success())
    }
}

/// One line, whatever was answered.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok((status, body)) => {
                let line: String = body.lines().next().unwrap_or_default().chars().take(SHOWN).collect();
                write!(f, "{}: {} {line}", self.address, status.as_u16())
            }
            Err(unanswered) => write!(f, "{}: {unanswered}", self.address),
        }
    }
}

/// Asks one `http://` address.
pub async fn ask(address: Uri) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let outcome = tokio::time::timeout(PATIENCE, ask_patiently(&client, &address)).await;
    Answer { address, outcome: outcome.unwrap_or(Err(Unanswered::TooLate)) }
}

async fn ask_patiently(
    client: &Client<HttpConnector, Empty<Bytes>>,
    address: &Uri,
) -> Result<(StatusCode, String), Unanswered> {
    let request = Request::get(address).body(Empty::new()).expect("an address that was parsed makes a request");
    let answer =
        client.request(request).await.map_err(|error| Unanswered::NoConnection(causes::in_one_line(&error)))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await;
    let body = body.map_err(|_| Unanswered::BrokenOff)?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use std::net::{Ipv4Addr, SocketAddr};
    use tokio::net::TcpListener;

    async fn answering(status: StatusCode, body: String) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/readyz", get(move || async move { (status, body) }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    async fn asked(address: SocketAddr) -> Answer {
        ask(format!("http://{address}/readyz").parse().unwrap()).await
    }

    #[tokio::test]
    async fn a_success_is_good_and_told_with_its_first_line() {
        let address = answering(StatusCode::OK, "ok\nand more\n".into()).await;
        let answer = asked(address).await;
        assert!(answer.is_good(), "{answer}");
        assert_eq!(answer.to_string(), format!("http://{address}/readyz: 200 ok"));
    }

    #[tokio::test]
    async fn a_refusal_is_not_good_and_told_with_its_reason() {
        let address = answering(StatusCode::SERVICE_UNAVAILABLE, "no resource definition\n".into()).await;
        let answer = asked(address).await;
        assert!(!answer.is_good(), "{answer}");
        assert_eq!(answer.to_string(), format!("http://{address}/readyz: 503 no resource definition"));
    }

    #[tokio::test]
    async fn a_closed_port_is_not_good_and_told_in_one_line() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let answer = asked(address).await;
        assert!(!answer.is_good(), "{answer}");
        let line = answer.to_string();
        assert!(line.contains("no connection") && !line.contains('\n'), "{line}");
    }

    #[tokio::test]
    async fn an_endless_answer_is_not_read_to_its_end() {
        let address = answering(StatusCode::OK, "x".repeat(LONGEST_ANSWER + 1)).await;
        let answer = asked(address).await;
        assert!(!answer.is_good() && answer.to_string().contains("longer than"), "{answer}");
    }

    #[tokio::test]
    async fn a_long_line_is_told_in_part() {
        let address = answering(StatusCode::OK, "x".repeat(SHOWN + 1)).await;
        assert!(asked(address).await.to_string().ends_with(&format!(": 200 {}", "x".repeat(SHOWN))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_that_accepts_and_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let answer = asked(listener.local_addr().unwrap()).await;
        assert!(answer.to_string().contains("no answer within 10 s"), "{answer}");
    }
}
