//! One client's TCP stream after the upgrade: reads frames, writes bytes, and holds next to nothing of either.
//!
//! Nothing here waits but [`Socket::ready`], [`Socket::hung_up`] and [`Socket::close`]; the first two may be dropped at any time. Bytes
//! are read into a scratch buffer of the thread, and written from buffers that all members share. What a socket holds
//! by itself is bounded: the rest of one read, the message that is unfinished, the rest of one frame half sent, one
//! ping, one pong and one close frame.

mod ending;
mod outbox;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use self::outbox::Outbox;
use crate::protocol::{Decoder, Event, Run, Violation};

/// Bytes taken from the kernel at once.
const SCRATCH_BYTES: usize = 16 * 1024;
thread_local! {
    /// One for each thread, and not for each socket: a socket that says nothing costs nothing.
    static SCRATCH: RefCell<Box<[u8; SCRATCH_BYTES]>> = RefCell::new(Box::new([0; SCRATCH_BYTES]));
}

/// How long a stream may be silent before the kernel asks whether the client's machine is there; then again at each
/// [`PROBE_EVERY`]. Our own pings find out sooner, but there are none while the gateway is isolated.
const SILENT: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(15);
/// Questions without an answer after which the stream is broken.
const PROBES: u32 = 4;

/// One client's stream.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    decoder: Decoder,
    /// Bytes that were read and not looked at yet.
    unread: Bytes,
    /// What is left of the frame that is half sent.
    rest: Bytes,
    outbox: Outbox,
}

/// What a look at the incoming side found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing: [`Socket::ready`] tells when to look again.
    Nothing,
    /// Bytes, but nothing whole.
    Bytes,
    /// Something whole.
    Event(Event),
    /// The client broke the rules; it will not be understood again.
    Violation(Violation),
    /// The client is gone: its side of the stream ended, or the stream broke.
    Gone,
}

/// How far a write came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrote {
    /// Frames of the runs that were begun; the socket finishes them by itself.
    pub begun: usize,
    /// Whether a frame is half sent: the last of these or, if none was begun, one from before.
    pub half: bool,
}

impl Socket {
    /// Takes over a stream whose upgrade was answered. `read_ahead` is what the client sent behind its request.
    #[must_use]
    pub fn new(stream: TcpStream, read_ahead: Bytes) -> Self {
        make_prompt(&stream);
        Self { stream, decoder: Decoder::default(), unread: read_ahead, rest: Bytes::new(), outbox: Outbox::default() }
    }

    /// Waits until there is something to read (if `reading`) or room to write (if `writing`, and always while the socket itself
    /// has something to write).
    pub async fn ready(&self, reading: bool, writing: bool) {
        // The poll functions, not `readable()`: they take the place of the waker that the HTTP connection left behind,
        // and with it the memory of that connection.
        poll_fn(|context| {
            let readable = reading && (!self.unread.is_empty() || self.stream.poll_read_ready(context).is_ready());
            let writable = (writing || self.has_output()) && self.stream.poll_write_ready(context).is_ready();
            if readable || writable { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Waits until the client closed its side, without reading: for when nothing may be read.
    pub async fn hung_up(&self) {
        // Readiness for urgent data, which is never asked of the kernel, brings the end of the stream and nothing else.
        #[cfg(target_os = "linux")]
        let interest = tokio::io::Interest::PRIORITY;
        #[cfg(not(target_os = "linux"))]
        let interest = tokio::io::Interest::ERROR;
        let _ = self.stream.ready(interest).await;
    }

    /// Looks at what arrived: at most one event and one read. `limit` bounds a message in bytes.
    pub fn try_next(&mut self, limit: u32) -> Received {
        if !self.unread.is_empty() {
            let mut input = &self.unread[..];
            let next = self.decoder.next(&mut input, limit);
            let taken = self.unread.len() - input.len();
            self.unread.advance(taken);
            if self.unread.is_empty() {
                // An empty slice would keep the whole buffer alive.
                self.unread = Bytes::new();
            }
            return received(next);
        }
        SCRATCH.with_borrow_mut(|scratch| match self.stream.try_read(&mut scratch[..]) {
            Ok(0) => Received::Gone,
            Ok(read) => {
                let mut input = &scratch[..read];
                let next = self.decoder.next(&mut input, limit);
                self.unread = Bytes::copy_from_slice(input);
                received(next)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Nothing,
            Err(_) => Received::Gone,
        })
    }

    /// Whether the client has begun something that it has not finished.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.decoder.is_unfinished()
    }

    /// Answers a ping. Only the newest waits: a client that does not read its pongs needs no more of them.
    pub fn pong(&mut self, payload: Bytes) {
        self.outbox.pong(payload);
    }

    /// Asks whether the client is there.
    pub fn ping(&mut self) {
        self.outbox.ping();
    }

    /// Whether something waits for room: a frame half sent, or control frames.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.rest.is_empty() || !self.outbox.is_empty()
    }

    /// Writes what the kernel takes, in one go: the frame half sent, control frames, then the runs.
    ///
    /// # Errors
    /// When the stream is broken. That it takes nothing now is no error.
    pub fn try_write(&mut self, runs: &[Run]) -> io::Result<Wrote> {
        let control = self.outbox.frames();
        let mut slices = Vec::with_capacity(2 + runs.len());
        slices.extend(
            [&self.rest, &control].into_iter().filter(|bytes| !bytes.is_empty()).map(|bytes| IoSlice::new(bytes)),
        );
        slices.extend(runs.iter().map(|run| IoSlice::new(run.bytes())));
        if slices.is_empty() {
            return Ok(Wrote::default());
        }
        let mut written = match self.stream.try_write_vectored(&slices) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let of_rest = written.min(self.rest.len());
        self.rest.advance(of_rest);
        written -= of_rest;
        let of_control = written.min(control.len());
        if of_control > 0 {
            self.outbox.begun();
            self.rest = control.slice(of_control..);
            written -= of_control;
        }
        if self.rest.is_empty() {
            // As above: what was sent is not to be kept alive.
            self.rest = Bytes::new();
        }
        Ok(self.account(runs, written))
    }

    /// Finds the frame in which the bytes end, and keeps the rest of it.
    fn account(&mut self, runs: &[Run], mut written: usize) -> Wrote {
        let mut wrote = Wrote::default();
        for run in runs {
            let reach = run.reach(written.min(run.bytes().len()));
            written -= written.min(run.bytes().len());
            wrote.begun += reach.begun;
            if !reach.rest.is_empty() {
                self.rest = reach.rest;
            }
            if written == 0 {
                break;
            }
        }
        wrote.half = !self.rest.is_empty();
        wrote
    }
}

/// A frame goes out at once, and does not wait until the client acknowledged the one before. A stream that refuses its
/// options is one that has just broken: the next read says so.
fn make_prompt(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(SILENT).with_interval(PROBE_EVERY).with_retries(PROBES);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

fn received(next: Result<Option<Event>, Violation>) -> Received {
    match next {
        Ok(Some(event)) => Received::Event(event),
        Ok(None) => Received::Bytes,
        Err(violation) => Received::Violation(violation),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_frame_does_not_wait_for_the_one_before_and_a_dead_machine_is_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let socket = Socket::new(accepted.unwrap().0, Bytes::new());
        assert!(socket.stream.nodelay().unwrap());
        assert!(SockRef::from(&socket.stream).keepalive().unwrap());
    }
}
