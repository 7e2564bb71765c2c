//! What one connection does, decided without doing it: inputs with their time in, at most one output each.
//!
//! One message is in flight, to the room or to the transport function, and one is read ahead; then the client is not read
//! until the first has arrived. Meanwhile nobody can tell what the client says, so the clocks that judge its silence stand
//! still.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chatroom_settings::Limits;

use crate::hub::Missed;
use crate::id::ConnectionId;
use crate::message::Message;
use crate::protocol::rates::Rates;
use crate::protocol::{Close, Event, Violation};

/// How long a client that was asked may stay silent.
const PONG_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to finish what it began.
const UNFINISHED_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a message may wait for its place in the room. A function has a time-out of its own.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// To everybody in the room.
    Room,
    /// To the room owner's function. Its call is at most once, takes as long as it takes, and does not keep the client.
    Function,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The client sent something whole.
    Received(Event),
    /// The client sent bytes that complete nothing; `unfinished` says whether something has begun.
    Bytes { unfinished: bool },
    /// The client broke the rules of the wire.
    Violation(Violation),
    /// The client is gone.
    Gone,
    /// The message in flight arrived, or its client has to go.
    Transported(Result<(), Close>),
    /// How it stands with writing: when the oldest frame was delivered that is not written out.
    Behind(Option<Instant>),
    /// Frames were lost for this client.
    Missed(Missed),
    /// The limits are others from now on.
    Limits(Limits),
    /// Whether the gateway is isolated: then it may neither read nor deliver.
    Isolated(bool),
    /// Somebody else wants the connection closed.
    Close(Close),
    /// The instant of [`Machine::deadline`] has come.
    Tick,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Hand the message over, and tell with [`Input::Transported`] what became of it.
    Transport(Message),
    /// Answer a ping.
    Pong(Bytes),
    /// Ask whether the client is there.
    Ping,
    /// End the session. Nothing is in flight to the room any more; a call of a function may be, and a message read ahead
    /// ([`Machine::take_read_ahead`]).
    End(End),
}

/// How a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a close frame.
    Close(Close),
    /// The client is gone already.
    Gone,
    /// The client does not answer: nobody would hear a close frame.
    Silent,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Machine {
    id: ConnectionId,
    transport: Transport,
    limits: Limits,
    born: Instant,
    ping_interval: Duration,
    /// From 0 to 1, of this connection alone: what is meant to happen to all does not happen to all at once.
    spread: f64,
    rates: Rates,
    /// When the client was last heard at all.
    heard: Instant,
    /// When the client last sent a message.
    said: Instant,
    /// When the client was asked whether it is there, if it has not answered.
    asked: Option<Instant>,
    /// When the client began what it has not finished.
    began: Option<Instant>,
    in_message: bool,
    /// Since when none of the four above count, because the client is not read.
    unread_since: Option<Instant>,
    /// Since when a message is in flight.
    in_flight: Option<Instant>,
    read_ahead: Option<Message>,
    behind: Option<Instant>,
    isolated: bool,
    /// When it was last allowed to deliver again: a lag from before is not the client's.
    resumed: Instant,
    age_ends: Option<Instant>,
    /// How the session ends as soon as nothing is in flight, and since when that is known.
    ending: Option<(End, Instant)>,
}

/// What has to happen at some time unless something else happens before.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Due {
    End(End),
    Unavailable,
    Close(Close),
    Ping,
    Cut,
}

impl Machine {
    /// A connection that begins now. `ping_interval` is kept to ±20 % and an age to ±10 %, by `spread` from 0 to 1.
    pub(crate) fn new(
        id: ConnectionId,
        transport: Transport,
        ping_interval: Duration,
        limits: Limits,
        spread: f64,
        now: Instant,
    ) -> Self {
        let mut machine = Self {
            id,
            transport,
            limits,
            born: now,
            ping_interval: ping_interval.mul_f64(0.8 + 0.4 * spread),
            spread,
            rates: Rates::new(now),
            heard: now,
            said: now,
            asked: None,
            began: None,
            in_message: false,
            unread_since: None,
            in_flight: None,
            read_ahead: None,
            behind: None,
            isolated: false,
            resumed: now,
            age_ends: None,
            ending: None,
        };
        machine.age_ends = machine.end_of_age(now);
        machine
    }

    /// Whether the client may be read.
    pub(crate) fn reads(&self) -> bool {
        !self.isolated && self.read_ahead.is_none() && self.ending.is_none()
    }

    /// Whether frames may be written to the client.
    pub(crate) fn delivers(&self) -> bool {
        !self.isolated && self.ending.is_none()
    }

    /// Whether the client's silence has to be watched by other means, as it is not read for longer than a message takes.
    pub(crate) fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// Whether its end is decided, and waits for what is in flight.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Bytes of a message that the client may send.
    pub(crate) fn message_limit(&self) -> u32 {
        self.limits.max_message_bytes
    }

    /// When [`Input::Tick`] is wanted; `None`: not before something else happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due().map(|(at, _)| at)
    }

    /// Takes what happened, and says what is to be done.
    pub(crate) fn handle(&mut self, input: Input, now: Instant) -> Option<Output> {
        let output = match input {
            Input::Received(event) => self.received(event, now),
            Input::Bytes { unfinished } => {
                self.hear(now);
                self.began = if unfinished { self.began.or(Some(now)) } else { None };
                None
            }
            Input::Violation(violation) => self.end(End::Close(violation.into()), now),
            Input::Gone => self.end(End::Gone, now),
            Input::Transported(result) => self.transported(result, now),
            Input::Behind(since) => {
                if self.behind.is_some() && since.is_none() {
                    // It took all that was there: nobody does that who is not there.
                    self.hear(now);
                }
                self.behind = since;
                None
            }
            Input::Missed(Missed::FellOut) => self.end(End::Close(Close::Slow), now),
            Input::Missed(Missed::Position) => self.end(End::Close(Close::PositionLost), now),
            Input::Limits(limits) => {
                self.take_limits(limits, now);
                None
            }
            Input::Isolated(isolated) => {
                if self.isolated && !isolated {
                    self.resumed = now;
                }
                self.isolated = isolated;
                self.go_on(now)
            }
            Input::Close(close) => self.end(End::Close(close), now),
            Input::Tick => self.tick(now),
        };
        self.hold_clocks(now);
        output
    }

    fn received(&mut self, event: Event, now: Instant) -> Option<Output> {
        self.hear(now);
        match event {
            Event::Message { kind, payload } => {
                self.said = now;
                self.began = None;
                self.in_message = false;
                self.take(Message { from: Some(self.id), kind, payload, exclude: None }, now)
            }
            Event::Fragment(bytes) => {
                self.in_message = true;
                self.began = self.began.or(Some(now));
                self.rates.fragment(bytes, now).err().and_then(|close| self.end(End::Close(close), now))
            }
            Event::Ping(payload) => self.control_frame(now).or(Some(Output::Pong(payload))),
            Event::Pong => self.control_frame(now),
            Event::Close(code) => self.end(End::Close(Close::Answer(code)), now),
        }
    }

    fn control_frame(&mut self, now: Instant) -> Option<Output> {
        if !self.in_message {
            self.began = None;
        }
        self.rates.control_frame(now).err().and_then(|close| self.end(End::Close(close), now))
    }

    fn take(&mut self, message: Message, now: Instant) -> Option<Output> {
        self.read_ahead = Some(message);
        self.go_on(now)
    }

    /// Hands over what was read ahead, if its turn has come.
    fn go_on(&mut self, now: Instant) -> Option<Output> {
        // An isolated gateway may have been declared dead, and calls no function.
        let held = self.isolated && self.transport == Transport::Function;
        if self.in_flight.is_some() || held {
            return None;
        }
        let message = self.read_ahead.take()?;
        self.in_flight = Some(now);
        Some(Output::Transport(message))
    }

    fn transported(&mut self, result: Result<(), Close>, now: Instant) -> Option<Output> {
        self.in_flight = None;
        match result {
            Ok(()) => self.go_on(now).or_else(|| self.ending.as_ref().map(|(end, _)| Output::End(end.clone()))),
            Err(close) => {
                self.read_ahead = None;
                let end = self.ending.as_ref().map_or(End::Close(close), |(end, _)| end.clone());
                Some(Output::End(end))
            }
        }
    }

    /// What the client said and nobody was told: it was taken, so it counts.
    pub(crate) fn take_read_ahead(&mut self) -> Option<Message> {
        self.read_ahead.take()
    }

    /// Ends the session, but not before what the client said has its place in the room: it was taken, so it counts.
    fn end(&mut self, end: End, now: Instant) -> Option<Output> {
        if self.in_flight.is_none() || self.transport == Transport::Function {
            return Some(Output::End(end));
        }
        self.ending.get_or_insert((end, now));
        None
    }

    fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    fn take_limits(&mut self, limits: Limits, now: Instant) {
        self.limits = limits;
        self.age_ends = self.end_of_age(now);
        if let Some(idle) = self.idle_timeout()
            && self.said + idle <= now
        {
            // Those whom a new limit finds idle already do not go all at once.
            self.said = now.checked_sub(idle.mul_f64(1.0 - 0.2 * self.spread)).unwrap_or(self.said);
        }
    }

    fn idle_timeout(&self) -> Option<Duration> {
        self.limits.idle_timeout_seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }

    fn end_of_age(&self, now: Instant) -> Option<Instant> {
        let age = Duration::from_secs(self.limits.max_connection_age_seconds?.into());
        let end = self.born + age.mul_f64(0.9 + 0.2 * self.spread);
        // Those whom a new limit finds too old already do not go all at once.
        Some(if end > now { end } else { now + age.mul_f64(0.2 * self.spread) })
    }

    /// While the client is not read, the clocks that judge what it sends stand still.
    fn hold_clocks(&mut self, now: Instant) {
        if !self.reads() {
            self.unread_since.get_or_insert(now);
        } else if let Some(since) = self.unread_since.take() {
            let pause = now.saturating_duration_since(since);
            self.heard += pause;
            self.said += pause;
            self.asked = self.asked.map(|asked| asked + pause);
            self.began = self.began.map(|began| began + pause);
        }
    }

    fn tick(&mut self, now: Instant) -> Option<Output> {
        let (at, due) = self.due()?;
        if at > now {
            return None;
        }
        match due {
            Due::End(end) => Some(Output::End(end)),
            Due::Unavailable => Some(Output::End(End::Close(Close::Unavailable))),
            Due::Close(close) => self.end(End::Close(close), now),
            Due::Cut => self.end(End::Silent, now),
            Due::Ping => {
                self.asked = Some(now);
                Some(Output::Ping)
            }
        }
    }

    /// What is due first.
    fn due(&self) -> Option<(Instant, Due)> {
        if let Some((end, since)) = &self.ending {
            return Some((*since + PUBLISH_TIMEOUT, Due::End(end.clone())));
        }
        let to_the_room = self.in_flight.filter(|_| self.transport == Transport::Room);
        let publish = to_the_room.map(|since| (since + PUBLISH_TIMEOUT, Due::Unavailable));
        let age = self.age_ends.map(|end| (end, Due::Close(Close::Age)));
        let slow_after = Duration::from_secs(self.limits.slow_seconds.into());
        let slow = self
            .behind
            .filter(|_| self.delivers())
            .map(|since| (since.max(self.resumed) + slow_after, Due::Close(Close::Slow)));
        let silence = if self.reads() { self.due_by_silence() } else { None };
        [publish, age, slow, silence].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// What is due first because of what the client does not send.
    fn due_by_silence(&self) -> Option<(Instant, Due)> {
        let unfinished = self
            .began
            .map(|since| (since + UNFINISHED_TIMEOUT, Due::Close(Close::Flood("message unfinished after 30 s"))));
        let idle = self.idle_timeout().map(|timeout| (self.said + timeout, Due::Close(Close::Idle)));
        // One who is behind cannot have got the ping yet; it is judged by how far it is behind.
        let presence = match (self.behind, self.asked) {
            (Some(_), _) => None,
            (None, Some(asked)) => Some((asked + PONG_TIMEOUT, Due::Cut)),
            (None, None) => Some((self.heard + self.ping_interval, Due::Ping)),
        };
        [unfinished, idle, presence].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests;
