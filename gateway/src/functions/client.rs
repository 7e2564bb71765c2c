//! The HTTP client that calls functions: connections are kept, redirects are not followed, proxies are not asked, and
//! addresses at which clouds keep their secrets are not connected to.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tower::Service;

/// Cloning shares the connections.
pub(super) type Client = hyper_util::client::legacy::Client<HttpsConnector<Connector>, Full<Bytes>>;

/// A function's server closes connections that nobody uses, after 2 s (gunicorn), 5 s (Node, uvicorn) or more. A call
/// on a connection that is being closed has an unknown fate, so we let go of it first.
const IDLE: Duration = Duration::from_millis(1_500);
/// All calls that can be under way, so that a busy function sees no connection twice a second.
const IDLE_CONNECTIONS: usize = 128;
/// A host that is gone answers nothing at all. Another one may stand behind the same name a moment later.
const CONNECT: Duration = Duration::from_secs(3);
/// Of an answer's head.
const HEAD_BYTES: usize = 64 * 1024;

/// A client that believes these roots.
///
/// # Panics
/// Never: the versions of TLS are constants.
pub(super) fn new(roots: impl Into<Arc<RootCertStore>>) -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Connector(http));
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_max_buf_size(HEAD_BYTES)
        // Repeats what was never begun, because a kept connection turned out to be closed: hyper hands the request back
        // only if not a byte of it was written. So a message is still sent at most once.
        .retry_canceled_requests(true)
        .build(https)
}

/// An address that no function has.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("link-local addresses are not connected to")]
struct Forbidden;

/// Whether it is link-local, or one at which a cloud hands out its machines' credentials.
fn is_forbidden(address: IpAddr) -> bool {
    const INSTANCE_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address == INSTANCE_METADATA,
    }
}

/// Connects, unless the URL itself names a forbidden address.
#[derive(Clone, Debug)]
pub(super) struct Connector(HttpConnector<Resolver>);

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Box<dyn std::error::Error + Send + Sync>>> + Send>>;

impl Service<Uri> for Connector {
    type Response = <HttpConnector<Resolver> as Service<Uri>>::Response;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let literal = uri.host().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        if literal.is_some_and(is_forbidden) {
            return Box::pin(std::future::ready(Err(Forbidden.into())));
        }
        let connecting = self.0.call(uri);
        Box::pin(async move { Ok(connecting.await?) })
    }
}

/// Looks names up, and hides forbidden addresses: a name may point anywhere, and somewhere else at the next look.
#[derive(Clone, Debug)]
pub(super) struct Resolver(GaiResolver);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let looking = self.0.call(name);
        Box::pin(async move {
            let found: Vec<SocketAddr> = looking.await?.collect();
            let allowed: Vec<SocketAddr> = found.iter().copied().filter(|found| !is_forbidden(found.ip())).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, Forbidden));
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_link_and_of_instance_metadata_are_forbidden_and_no_others() {
        for bad in ["169.254.169.254", "169.254.0.1", "fe80::1", "febf::1", "::ffff:169.254.169.254", "fd00:ec2::254"] {
            assert!(is_forbidden(bad.parse().unwrap()), "{bad}");
        }
        for good in ["127.0.0.1", "::1", "10.0.0.1", "169.253.255.255", "fec0::1", "fd00:ec2::253", "192.0.2.1"] {
            assert!(!is_forbidden(good.parse().unwrap()), "{good}");
        }
    }
}
