//! The port for machines: `/livez`, `/readyz` and `/metrics`.

use crate::health::Health;
use crate::metrics::{self, Metrics};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;

/// Takes the port. Where the machine has no IPv6, `[::]` becomes `0.0.0.0`.
///
/// # Errors
/// When the port is taken, or the address is not ours.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()))).await
        }
        bound => bound,
    }
}

/// Answers until `shutdown` resolves.
///
/// # Errors
/// When the port cannot be served any longer.
pub async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, routes(health, metrics)).with_graceful_shutdown(shutdown).await
}

fn routes(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    let probes = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).with_state(health);
    Router::new().route("/metrics", get(numbers)).with_state(metrics).merge(probes)
}

async fn livez(State(health): State<Arc<Health>>) -> impl IntoResponse {
    verdict(health.alive(Instant::now()).map(|()| "ok".to_owned()))
}

async fn readyz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    verdict(health.ready())
}

async fn numbers(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.render())
}

fn verdict(well: Result<String, String>) -> (StatusCode, String) {
    match well {
        Ok(words) => (StatusCode::OK, format!("{words}\n")),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Rooms;
    use crate::scope::Scope;
    use axum::body::{Body, to_bytes};
    use http::Request;
    use std::collections::BTreeMap;
    use tower::ServiceExt;

    async fn ask(health: &Arc<Health>, path: &str) -> (StatusCode, String) {
        let routes = routes(Arc::clone(health), Metrics::new(BTreeMap::new));
        let answer = routes.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn probes_say_what_is_missing() {
        let health = Health::new(&[Scope::Cluster]);
        health.rooms_are(&Scope::Cluster, Rooms::Missing);
        let (status, reason) = ask(&health, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(reason.contains("resource definition"), "{reason}");
        assert_eq!(ask(&health, "/livez").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn numbers_are_served() {
        let (status, text) = ask(&Health::new(&[Scope::Cluster]), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("chatroom_operator_crd_missing 0"), "{text}");
    }
}
