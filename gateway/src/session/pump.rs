//! Moves values between a session's machine and its socket, its place in the hub and the way to the room. Decides nothing.

use std::future::{Future, pending, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use chatroom_settings::Hot;
use futures_util::future::{BoxFuture, join};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, Sleep, sleep_until};

use super::machine::{End, Input, Machine, Output};
use super::table::Heard;
use crate::backplane::publisher::Publisher;
use crate::functions::{Functions, TransportError};
use crate::hub::{Member, Pending};
use crate::message::Message;
use crate::metrics::{ByCode, Metrics};
use crate::protocol::{Close, Event};
use crate::socket::{Received, Socket};

/// Looks at the incoming side before everything else gets its turn again.
const MOST_READS: usize = 16;
/// Writes before everything else gets its turn again.
const MOST_WRITES: usize = 4;
/// When nothing is due, the timer is looked at again after this long.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// What all sessions of a gateway use in common.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) publisher: Publisher,
    pub(super) functions: Functions,
    pub(super) metrics: Metrics,
}

impl Ways {
    /// Hands a message to the room, or to the transport function where there is one. Fails with how its client is closed.
    async fn transport(&self, message: Message) -> Result<(), Close> {
        match message.from.filter(|_| self.functions.tells_transport()) {
            Some(from) => self.functions.transport(from, &message).await.map_err(|error| match error {
                TransportError::Answered => Close::FunctionFailed,
                TransportError::Unavailable => Close::FunctionUnavailable,
            }),
            None => self.publisher.publish(message).await.map(drop).map_err(|_| Close::Restart),
        }
    }
}

/// One session at work.
#[derive(Debug)]
pub(super) struct Pump {
    pub(super) machine: Machine,
    pub(super) socket: Socket,
    pub(super) member: Member,
    pub(super) ways: Arc<Ways>,
    pub(super) hot: watch::Receiver<Arc<Hot>>,
    pub(super) isolated: watch::Receiver<bool>,
    pub(super) orders: Orders,
    pub(super) heard: Heard,
    pub(super) in_flight: InFlight,
    /// Whether the last writes ended because others had to get their turn.
    pub(super) has_more: bool,
}

/// How others close the session: once.
#[derive(Debug)]
pub(super) struct Orders(pub(super) Option<oneshot::Receiver<Close>>);

/// The message in flight. Boxed, because most sessions have none most of the time.
#[derive(Default)]
pub(super) struct InFlight(Option<BoxFuture<'static, Result<(), Close>>>);

impl Pump {
    /// Runs the session until its end is decided, then says goodbye. `registration` is dropped in between: from there on the
    /// client does not belong to the room any more, however long it takes to hang up. Where a function is being told what the
    /// client said, it is dropped only when that is over, so that its end never overtakes it. `place` is dropped last.
    #[allow(clippy::manual_async_fn, reason = "an async fn holds its arguments twice, and these are most of a session")]
    pub(super) fn run(mut self, registration: impl Send, place: impl Send) -> impl Future<Output = ()> + Send {
        async move {
            let end = self.work().await;
            match self.unfinished() {
                None => {
                    drop(registration);
                    self.leave(end).await;
                }
                Some(calls) => {
                    let told = async move {
                        calls.await;
                        drop(registration);
                    };
                    join(told, self.leave(end)).await;
                }
            }
            drop(place);
        }
    }

    /// What the client said and functions have yet to hear.
    fn unfinished(&mut self) -> Option<BoxFuture<'static, ()>> {
        if !self.ways.functions.tells_transport() {
            return None;
        }
        let in_flight = self.in_flight.0.take()?;
        let next = self.machine.take_read_ahead();
        let ways = Arc::clone(&self.ways);
        Some(Box::pin(async move {
            if let (Ok(()), Some(message)) = (in_flight.await, next) {
                // Nobody is there any more whom it would concern.
                let _ = ways.transport(message).await;
            }
        }))
    }

    /// Boxed: a goodbye is short, and a session that lasts should not carry the room for it.
    fn leave(self, end: End) -> BoxFuture<'static, ()> {
        let Self { machine, socket, ways, .. } = self;
        let code = match &end {
            End::Close(close) => close.label(),
            End::Gone | End::Silent => 0,
        };
        ways.metrics.closes.get_or_create(&ByCode { code }).inc();
        match end {
            End::Close(close) => Box::pin(socket.close(close, machine.message_limit())),
            End::Gone => Box::pin(ready(())),
            End::Silent => {
                socket.reset();
                Box::pin(ready(()))
            }
        }
    }

    async fn work(&mut self) -> End {
        let mut timer = pin!(sleep_until(Instant::now()));
        let isolated = *self.isolated.borrow_and_update();
        let mut input = Some(Input::Isolated(isolated));
        loop {
            let end = input.and_then(|input| self.give(input));
            if let Some(end) = end {
                if !matches!(end, End::Close(Close::Slow | Close::PositionLost)) {
                    // What the room said before goes before the goodbye, as far as there is room for it.
                    let _ = self.write();
                }
                return end;
            }
            if let Some(end) = self.read().or_else(|| self.write()) {
                return end;
            }
            if self.machine.is_ending() {
                self.member.refuse_letters();
            }
            self.set(timer.as_mut());
            input = self.wait(timer.as_mut()).await;
        }
    }

    /// A timer that is too early costs a look; one that is moved with each byte costs more.
    fn set(&self, timer: Pin<&mut Sleep>) {
        let deadline = self.machine.deadline().map_or_else(|| Instant::now() + FAR, Instant::from_std);
        if timer.is_elapsed() || deadline < timer.deadline() {
            timer.reset(deadline);
        }
    }

    /// Waits until something happens. Bytes and frames that wait are not told, but moved by the next turn.
    async fn wait(&mut self, timer: Pin<&mut Sleep>) -> Option<Input> {
        let Self { machine, socket, member, hot, isolated, orders, in_flight, has_more, .. } = self;
        let writing = machine.delivers() && (*has_more || member.behind_since().is_some());
        tokio::select! {
            // In this order, because the last two may be ready again and again.
            biased;
            close = orders.next() => Some(Input::Close(close)),
            () = changed(isolated) => Some(Input::Isolated(*isolated.borrow_and_update())),
            () = changed(hot) => Some(Input::Limits(hot.borrow_and_update().limits.clone())),
            result = in_flight.done() => Some(Input::Transported(result)),
            () = timer => {
                member.expire(Instant::now());
                Some(Input::Tick)
            }
            () = socket.hung_up(), if machine.is_isolated() => Some(Input::Gone),
            () = member.changed(), if machine.delivers() => None,
            () = socket.ready(machine.reads(), writing) => None,
        }
    }

    /// Takes what the client sent, as far as it may be read.
    fn read(&mut self) -> Option<End> {
        for _ in 0..MOST_READS {
            if !self.machine.reads() {
                break;
            }
            let input = match self.socket.try_next(self.machine.message_limit()) {
                Received::Nothing => break,
                Received::Bytes => Input::Bytes { unfinished: self.socket.is_unfinished() },
                Received::Event(event) => {
                    self.count(&event);
                    Input::Received(event)
                }
                Received::Violation(violation) => Input::Violation(violation),
                Received::Gone => Input::Gone,
            };
            self.heard.now();
            if let Some(end) = self.give(input) {
                return Some(end);
            }
            if self.socket.has_output() {
                // A pong goes before the next ping is looked at: as long as the client reads, each gets its own.
                break;
            }
        }
        None
    }

    /// Writes what the client has yet to get, as far as there is room for it.
    fn write(&mut self) -> Option<End> {
        self.has_more = false;
        for turn in 1..=MOST_WRITES {
            let pending = match self.machine.delivers().then(|| self.member.pending()) {
                None => Pending::default(),
                Some(Ok(pending)) => pending,
                Some(Err(missed)) => return self.give(Input::Missed(missed)),
            };
            if pending.runs().is_empty() && !self.socket.has_output() {
                match self.member.asked_to_close().filter(|_| self.machine.delivers()) {
                    Some(close) => return self.give(Input::Close(close)),
                    None => break,
                }
            }
            let Ok(wrote) = self.socket.try_write(pending.runs()) else {
                return self.give(Input::Gone);
            };
            self.member.wrote(&pending, wrote.begun, wrote.half);
            self.ways.metrics.deliveries.inc_by(wrote.begun as u64);
            if wrote.half || self.member.behind_since().is_some() {
                break;
            }
            self.has_more = turn == MOST_WRITES;
        }
        self.give(Input::Behind(self.member.behind_since().map(Instant::into_std)))
    }

    /// Tells the machine, and does what it says.
    fn give(&mut self, input: Input) -> Option<End> {
        match self.machine.handle(input, Instant::now().into_std())? {
            Output::Transport(message) => {
                let ways = Arc::clone(&self.ways);
                self.in_flight = InFlight(Some(Box::pin(async move { ways.transport(message).await })));
            }
            Output::Pong(payload) => self.socket.pong(payload),
            Output::Ping => self.socket.ping(),
            Output::End(end) => return Some(end),
        }
        None
    }

    fn count(&self, event: &Event) {
        if let Event::Message { payload, .. } = event {
            self.ways.metrics.messages_received.inc();
            self.ways.metrics.bytes_received.inc_by(payload.len() as u64);
        }
    }
}

impl Orders {
    async fn next(&mut self) -> Close {
        let Some(order) = &mut self.0 else {
            return pending().await;
        };
        let close = order.await;
        self.0 = None;
        // Whoever could give the order is gone, and so is the gateway.
        close.unwrap_or(Close::Restart)
    }
}

impl InFlight {
    async fn done(&mut self) -> Result<(), Close> {
        let Some(in_flight) = &mut self.0 else {
            return pending().await;
        };
        let result = in_flight.await;
        self.0 = None;
        result
    }
}

impl std::fmt::Debug for InFlight {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("InFlight").field(&self.0.is_some()).finish()
    }
}

/// Waits for a new value; for ever, when there will be none.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_small() {
        fn size<F>(_: impl FnOnce(Pump, (), ()) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = size(Pump::run);
        println!("a session is {bytes} bytes");
        // What it is now, and a little: more should not come unnoticed.
        assert!(bytes <= 2048, "{bytes}");
    }
}
