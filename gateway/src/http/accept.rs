//! Takes sockets: binds the ports and hands each accepted socket on.
//!
//! What a socket should do for the length of a session (no delay, keepalive) is set where the session takes it over;
//! until then it is the time-outs of the handshake that count.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::Entrance;
use super::connection::{Front, serve};
use crate::metrics::{ByReason, Metrics};

/// Bytes that the kernel keeps for a socket in each direction. Enough for the largest message at its default limit;
/// left to itself, the kernel grows it to megabytes for a reader that does not read.
const KERNEL_BUFFER_BYTES: usize = 64 * 1024;
/// Connections that wait to be accepted; the kernel cuts it at `net.core.somaxconn`. A room that lost a gateway gets
/// all of that gateway's clients within a second.
const BACKLOG: i32 = 4096;
/// Wait after an accept that failed: what is missing (file descriptors, memory) does not come back within a turn.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// At most one line about it in this time.
const ACCEPT_WARNING_PAUSE: Duration = Duration::from_secs(1);

/// Connections without a session yet. A thousand of them are 2 MiB at most at rest, and what a reconnecting crowd
/// needs for a moment; those above are closed at once and counted.
pub const MAX_PENDING_HANDSHAKES: usize = 1000;

/// Binds a port: to `address`, or without one to all of IPv6 and IPv4, or IPv4 alone where there is no IPv6.
///
/// # Errors
/// When the port is taken or not allowed.
pub fn bind(address: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    match address {
        Some(address) => listen(SocketAddr::new(address, port)),
        None => listen(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)).or_else(|error| {
            if error.kind() == io::ErrorKind::AddrInUse {
                return Err(error);
            }
            listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
        }),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    // A gateway that starts again must not wait for the old one's connections to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    // Before listening: accepted sockets inherit them, and the window that a connection begins with depends on them.
    socket.set_recv_buffer_size(KERNEL_BUFFER_BYTES)?;
    socket.set_send_buffer_size(KERNEL_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes clients until it is dropped, at most `max_pending` of them at a time without a session.
pub async fn run<E: Entrance>(listener: TcpListener, front: Arc<Front<E>>, max_pending: usize) {
    let metrics = front.metrics.clone();
    let full = || {
        metrics.refusals.get_or_create(&ByReason { reason: "handshakes_full" }).inc();
    };
    let serve = |stream, peer| {
        let front = Arc::clone(&front);
        async move { serve(&front, stream, peer).await }
    };
    take(listener, max_pending, &metrics, full, serve).await;
}

/// Takes sockets until it is dropped and serves at most `places` of them at a time; those above are closed at once, and
/// `full` hears of each.
pub async fn take<Serving>(
    listener: TcpListener,
    places: usize,
    metrics: &Metrics,
    full: impl Fn(),
    serve: impl Fn(TcpStream, SocketAddr) -> Serving,
) where
    Serving: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(places));
    let mut connections = JoinSet::new();
    let mut warned: Option<Instant> = None;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        full();
                        continue;
                    };
                    let serving = serve(stream, peer);
                    connections.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                // The client left before its turn; nothing is wrong with us.
                Err(error) if is_the_peers_fault(&error) => debug!(%error, "client left before it was accepted"),
                Err(error) => {
                    metrics.accept_errors.inc();
                    if warned.is_none_or(|at| at.elapsed() >= ACCEPT_WARNING_PAUSE) {
                        warned = Some(Instant::now());
                        warn!(%error, "failed to accept a client");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => {
                // One client's request must not end the others: it is told aloud, and the socket is closed.
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task panicked");
                }
            }
        }
    }
}

fn is_the_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[tokio::test]
    async fn without_an_address_both_families_are_served() {
        let listener = bind(None, 0).unwrap();
        let local = listener.local_addr().unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, local.port())).await.unwrap();
        if local.is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, local.port())).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_and_not_another_family() {
        let taken = bind(None, 0).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_eq!(bind(None, port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn accepted_sockets_inherit_the_size_of_the_kernels_buffers() {
        let listener = bind(Some(Ipv4Addr::LOCALHOST.into()), 0).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = SockRef::from(&stream);
        // Linux doubles what it is told.
        assert!(socket.recv_buffer_size().unwrap() <= 2 * KERNEL_BUFFER_BYTES);
        assert!(socket.send_buffer_size().unwrap() <= 2 * KERNEL_BUFFER_BYTES);
    }
}
