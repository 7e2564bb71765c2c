//! The machine step by step: what a session does with each input, without a socket or a clock.

use super::*;
use crate::id::Incarnation;
use crate::message::Kind;

const PING: Duration = Duration::from_secs(25);

fn limits() -> Limits {
    Limits {
        max_connections_per_pod: 10,
        max_message_bytes: 1000,
        max_pending_bytes: 65_536,
        slow_seconds: 10,
        idle_timeout_seconds: None,
        max_connection_age_seconds: None,
    }
}

/// A machine with a clock beside it.
struct Connection {
    machine: Machine,
    now: Instant,
}

impl Connection {
    /// Pings are due after exactly [`PING`], and ages are as they were given.
    fn new(limits: Limits) -> Self {
        Self::with_spread(limits, 0.5)
    }

    fn with_spread(limits: Limits, spread: f64) -> Self {
        Self::over(Transport::Room, limits, spread)
    }

    /// Its messages go to a function.
    fn of_a_function() -> Self {
        Self::over(Transport::Function, limits(), 0.5)
    }

    fn over(transport: Transport, limits: Limits, spread: f64) -> Self {
        let now = Instant::now();
        let id = Incarnation::from_bytes([7; 9]).connection([7; 15]);
        Self { machine: Machine::new(id, transport, PING, limits, spread, now), now }
    }

    fn give(&mut self, input: Input) -> Option<Output> {
        self.machine.handle(input, self.now)
    }

    fn say(&mut self, text: &'static str) -> Option<Output> {
        self.give(Input::Received(Event::Message { kind: Kind::Text, payload: text.into() }))
    }

    fn published(&mut self) -> Option<Output> {
        self.give(Input::Transported(Ok(())))
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Lets time pass to the next deadline; says how many seconds that were, and what comes of it.
    fn next(&mut self) -> (u64, Option<Output>) {
        let deadline = self.machine.deadline().expect("something is due");
        let passed = deadline.saturating_duration_since(self.now);
        self.now = self.now.max(deadline);
        (passed.as_secs_f64().round() as u64, self.give(Input::Tick))
    }
}

fn closed(close: Close) -> Option<Output> {
    Some(Output::End(End::Close(close)))
}

fn publish(text: &'static str) -> Option<Output> {
    let from = Some(Incarnation::from_bytes([7; 9]).connection([7; 15]));
    Some(Output::Transport(Message { from, kind: Kind::Text, payload: text.into(), exclude: None }))
}

#[test]
fn one_message_is_in_flight_and_one_is_read_ahead() {
    let mut client = Connection::new(limits());
    assert_eq!(client.say("first"), publish("first"));
    assert!(client.machine.reads());
    assert_eq!(client.say("second"), None);
    assert!(!client.machine.reads());
    assert_eq!(client.published(), publish("second"));
    assert!(client.machine.reads());
    assert_eq!(client.published(), None);
}

#[test]
fn a_message_that_waits_too_long_closes_with_1013() {
    let mut client = Connection::new(limits());
    client.say("hello");
    assert_eq!(client.next(), (10, closed(Close::Unavailable)));
}

#[test]
fn a_fenced_gateway_sends_its_clients_elsewhere() {
    let mut client = Connection::new(limits());
    client.say("hello");
    client.say("more");
    assert_eq!(client.give(Input::Transported(Err(Close::Restart))), closed(Close::Restart));
}

#[test]
fn what_was_said_before_the_end_is_still_published() {
    for (input, end) in [
        (Input::Received(Event::Close(Some(1000))), End::Close(Close::Answer(Some(1000)))),
        (Input::Gone, End::Gone),
        (Input::Violation(Violation::Text), End::Close(Close::Text)),
        (Input::Close(Close::Restart), End::Close(Close::Restart)),
    ] {
        let mut client = Connection::new(limits());
        client.say("last words");
        assert_eq!(client.give(input), None, "{end:?}");
        assert!(!client.machine.reads() && !client.machine.delivers());
        assert_eq!(client.published(), Some(Output::End(end)));
    }
}

#[test]
fn an_end_does_not_wait_for_ever() {
    let mut client = Connection::new(limits());
    client.say("hello");
    client.pass(4);
    client.give(Input::Gone);
    assert_eq!(client.next(), (10, Some(Output::End(End::Gone))));
}

#[test]
fn the_first_cause_of_an_end_stands() {
    let mut client = Connection::new(limits());
    client.say("hello");
    client.give(Input::Close(Close::Restart));
    client.give(Input::Gone);
    assert_eq!(client.published(), closed(Close::Restart));
}

#[test]
fn a_slow_function_neither_keeps_a_client_that_goes_nor_closes_one_that_waits() {
    for (input, end) in [
        (Input::Received(Event::Close(Some(1000))), End::Close(Close::Answer(Some(1000)))),
        (Input::Gone, End::Gone),
        (Input::Close(Close::Restart), End::Close(Close::Restart)),
    ] {
        let mut client = Connection::of_a_function();
        client.say("first");
        client.say("second");
        client.pass(899);
        assert_eq!(client.give(Input::Tick), None, "the time-out of a function is its own");
        assert_eq!(client.give(input), Some(Output::End(end)));
        let told_after = client.machine.take_read_ahead().map(|message| message.payload);
        assert_eq!(told_after.as_deref(), Some(&b"second"[..]));
    }
}

#[test]
fn a_function_that_fails_closes_its_client_and_hears_no_more_of_it() {
    for close in [Close::FunctionFailed, Close::FunctionUnavailable] {
        let mut client = Connection::of_a_function();
        client.say("first");
        client.say("second");
        assert_eq!(client.give(Input::Transported(Err(close.clone()))), closed(close));
        assert_eq!(client.machine.take_read_ahead(), None);
    }
}

#[test]
fn an_isolated_gateway_calls_no_function_until_it_is_back() {
    let mut client = Connection::of_a_function();
    client.say("first");
    client.say("second");
    client.give(Input::Isolated(true));
    assert_eq!(client.published(), None);
    assert!(!client.machine.reads());
    assert_eq!(client.give(Input::Isolated(false)), publish("second"));
    assert!(client.machine.reads());
}

#[test]
fn a_silent_client_is_asked_and_then_cut() {
    let mut client = Connection::new(limits());
    assert_eq!(client.next(), (25, Some(Output::Ping)));
    assert_eq!(client.next(), (10, Some(Output::End(End::Silent))));
}

#[test]
fn any_sign_of_life_puts_the_ping_off() {
    for sign in
        [Input::Received(Event::Pong), Input::Bytes { unfinished: false }, Input::Received(Event::Ping(Bytes::new()))]
    {
        let mut client = Connection::new(limits());
        client.next();
        client.pass(9);
        client.give(sign);
        assert_eq!(client.next(), (25, Some(Output::Ping)));
    }
}

#[test]
fn pings_are_spread_by_a_fifth() {
    assert_eq!(Connection::with_spread(limits(), 0.0).next().0, 20);
    assert_eq!(Connection::with_spread(limits(), 1.0).next().0, 30);
}

#[test]
fn clocks_stand_still_while_the_client_is_not_read() {
    let mut client = Connection::new(Limits { idle_timeout_seconds: Some(60), ..limits() });
    client.next();
    client.pass(5);
    // Half of a message, so that the ping is answered and something is unfinished.
    client.give(Input::Bytes { unfinished: true });
    client.give(Input::Isolated(true));
    assert_eq!(client.machine.deadline(), None);
    client.pass(3600);
    client.give(Input::Isolated(false));
    assert_eq!(client.next(), (25, Some(Output::Ping)));
    assert_eq!(client.next(), (5, closed(Close::Flood("message unfinished after 30 s"))));
}

#[test]
fn back_pressure_does_not_cut_a_healthy_client() {
    let mut client = Connection::new(limits());
    assert_eq!(client.next(), (25, Some(Output::Ping)));
    client.say("first");
    client.say("second");
    client.pass(9);
    client.published();
    client.pass(9);
    // 18 s after the ping, but read for 9 s only.
    assert_eq!(client.give(Input::Tick), None);
}

#[test]
fn a_client_without_messages_is_closed_when_the_room_says_so() {
    let mut client = Connection::new(Limits { idle_timeout_seconds: Some(30), ..limits() });
    assert_eq!(client.next(), (25, Some(Output::Ping)));
    client.give(Input::Received(Event::Pong));
    assert_eq!(client.next(), (5, closed(Close::Idle)));
}

#[test]
fn a_connection_of_age_is_closed() {
    let old = Limits { max_connection_age_seconds: Some(20), ..limits() };
    assert_eq!(Connection::with_spread(old.clone(), 0.0).next(), (18, closed(Close::Age)));
    assert_eq!(Connection::with_spread(old, 1.0).next(), (22, closed(Close::Age)));
}

#[test]
fn new_limits_hold_for_old_connections_but_not_for_all_at_once() {
    let mut client = Connection::new(limits());
    client.pass(1);
    client.give(Input::Bytes { unfinished: false });
    client.give(Input::Limits(Limits { max_message_bytes: 5, ..limits() }));
    assert_eq!(client.machine.message_limit(), 5);
    client.pass(1000);
    client.give(Input::Bytes { unfinished: false });
    client.give(Input::Limits(Limits { max_connection_age_seconds: Some(100), ..limits() }));
    assert_eq!(client.next(), (10, closed(Close::Age)));
    let mut client = Connection::new(limits());
    client.pass(1000);
    client.give(Input::Bytes { unfinished: false });
    client.give(Input::Limits(Limits { idle_timeout_seconds: Some(100), ..limits() }));
    assert_eq!(client.next(), (10, closed(Close::Idle)));
}

#[test]
fn a_flood_of_control_frames_is_1008() {
    let mut client = Connection::new(limits());
    for _ in 0..20 {
        assert_eq!(client.give(Input::Received(Event::Ping("?".into()))), Some(Output::Pong("?".into())));
    }
    let flood = closed(Close::Flood("too many control frames"));
    assert_eq!(client.give(Input::Received(Event::Ping(Bytes::new()))), flood);
    assert_eq!(client.give(Input::Received(Event::Pong)), flood);
}

#[test]
fn a_flood_of_tiny_fragments_is_1008() {
    let mut client = Connection::new(limits());
    let ends = (0..2000).filter_map(|_| client.give(Input::Received(Event::Fragment(0)))).count();
    assert_eq!(ends, 1000);
}

#[test]
fn a_message_has_to_be_finished_whatever_comes_between() {
    let mut client = Connection::new(limits());
    client.give(Input::Received(Event::Fragment(1)));
    for _ in 0..2 {
        client.pass(10);
        client.give(Input::Received(Event::Pong));
        client.give(Input::Received(Event::Fragment(1)));
    }
    assert_eq!(client.next(), (10, closed(Close::Flood("message unfinished after 30 s"))));
}

#[test]
fn a_whole_message_ends_the_wait_for_it() {
    let mut client = Connection::new(limits());
    client.give(Input::Received(Event::Fragment(1)));
    client.pass(29);
    client.say("done");
    client.published();
    assert_eq!(client.next(), (25, Some(Output::Ping)));
}

#[test]
fn a_reader_that_lags_is_closed_with_4008() {
    let mut client = Connection::new(limits());
    let since = client.now;
    client.pass(2);
    client.give(Input::Behind(Some(since)));
    assert_eq!(client.next(), (8, closed(Close::Slow)));
}

#[test]
fn a_reader_that_catches_up_is_not_slow_and_is_there() {
    let mut client = Connection::new(Limits { slow_seconds: 60, ..limits() });
    client.next();
    client.give(Input::Behind(Some(client.now)));
    client.pass(40);
    assert_eq!(client.give(Input::Tick), None);
    client.give(Input::Behind(None));
    assert_eq!(client.next(), (25, Some(Output::Ping)));
}

#[test]
fn a_lag_from_the_time_of_isolation_is_not_the_clients() {
    let mut client = Connection::new(limits());
    client.give(Input::Behind(Some(client.now)));
    client.give(Input::Isolated(true));
    client.pass(100);
    assert_eq!(client.give(Input::Tick), None);
    client.give(Input::Isolated(false));
    assert_eq!(client.next(), (10, closed(Close::Slow)));
}

#[test]
fn what_was_missed_is_told() {
    let mut client = Connection::new(limits());
    assert_eq!(client.give(Input::Missed(Missed::FellOut)), closed(Close::Slow));
    assert_eq!(client.give(Input::Missed(Missed::Position)), closed(Close::PositionLost));
}

#[test]
fn an_isolated_gateway_neither_reads_nor_delivers_but_lets_go() {
    let mut client = Connection::new(limits());
    client.give(Input::Isolated(true));
    assert!(!client.machine.reads() && !client.machine.delivers());
    assert_eq!(client.give(Input::Close(Close::Restart)), closed(Close::Restart));
}
