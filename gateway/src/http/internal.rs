//! The internal port: probes, metrics and `/status`. Not for clients, and open to nobody but the cluster.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chatroom_settings::GatewayStatus;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use prometheus_client::registry::Registry;

use super::problem::{Refusal, random_retry_after};
use crate::admission::Openness;

/// The media type of the OpenMetrics text that `/metrics` answers.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the internal port shows.
pub trait Inside: Send + Sync + 'static {
    /// Whether clients are taken.
    fn openness(&self) -> Openness;
    /// The gateway as it sees itself.
    fn status(&self) -> GatewayStatus;
}

struct Shown<I> {
    inside: I,
    registry: Registry,
}

/// The routes.
pub fn router<I: Inside>(inside: I, registry: Registry) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz::<I>))
        .route("/status", get(status::<I>))
        .route("/metrics", get(metrics::<I>))
        .fallback(|| async { problem(Refusal::NotFound) })
        .method_not_allowed_fallback(|| async { problem(Refusal::MethodNotAllowed { allow: "GET, HEAD" }) })
        .with_state(Arc::new(Shown { inside, registry }))
}

/// True as long as the runtime turns, and nothing else: a restart brings neither Redis nor the network back, it only
/// cuts every socket.
async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz<I: Inside>(State(shown): State<Arc<Shown<I>>>) -> Response {
    match shown.inside.openness() {
        Openness::Open => "ok\n".into_response(),
        Openness::Joining => problem(Refusal::Joining),
        Openness::Isolated => problem(Refusal::Isolated),
        Openness::Draining => problem(Refusal::Draining),
    }
}

async fn status<I: Inside>(State(shown): State<Arc<Shown<I>>>) -> axum::Json<GatewayStatus> {
    axum::Json(shown.inside.status())
}

async fn metrics<I: Inside>(State(shown): State<Arc<Shown<I>>>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &shown.registry) {
        Ok(()) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn problem(refusal: Refusal) -> Response {
    refusal.response(random_retry_after()).map(axum::body::Body::new)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::metrics::Metrics;

    struct Fake(Openness);

    impl Inside for Fake {
        fn openness(&self) -> Openness {
            self.0
        }

        fn status(&self) -> GatewayStatus {
            GatewayStatus { connections: 3, ready: true, ..GatewayStatus::default() }
        }
    }

    async fn ask(openness: Openness, path: &str) -> (StatusCode, String, String) {
        let (_, registry) = Metrics::new();
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = router(Fake(openness), registry).oneshot(request).await.unwrap();
        let status = response.status();
        let media = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, media, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_gateway_that_cannot_take_clients_lives_and_says_why() {
        for (openness, code) in
            [(Openness::Joining, "joining"), (Openness::Isolated, "isolated"), (Openness::Draining, "draining")]
        {
            assert_eq!(ask(openness, "/livez").await.0, StatusCode::OK);
            let (status, media, body) = ask(openness, "/readyz").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(media, "application/problem+json");
            assert!(body.contains(&format!("\"code\":\"{code}\"")), "{body}");
        }
        assert_eq!(ask(Openness::Open, "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn the_status_is_the_contracts_type() {
        let (_, _, body) = ask(Openness::Open, "/status").await;
        let status: GatewayStatus = serde_json::from_str(&body).unwrap();
        assert_eq!(status.connections, 3);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_and_end() {
        let (status, media, body) = ask(Openness::Open, "/metrics").await;
        assert_eq!((status, media.as_str()), (StatusCode::OK, OPENMETRICS));
        assert!(body.contains("chatroom_gateway_connections 0"));
        assert!(body.ends_with("# EOF\n"));
    }

    #[tokio::test]
    async fn other_paths_are_problems_too() {
        let (status, media, _) = ask(Openness::Open, "/metricz").await;
        assert_eq!((status, media.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"));
    }
}
