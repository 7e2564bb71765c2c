//! What a gateway does when Redis goes away, comes back, forgets, or refuses.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and a line is for its reader"
)]

mod support;

use std::time::{Duration, Instant};

use chatroom_gateway::backplane::{LeaseAnswer, LeaseRequest, Position, PublishAnswer, PublishRequest};
use chatroom_gateway::id::Incarnation;
use chatroom_gateway::membership::{Settings, Standing};
use chatroom_gateway::message::{Epoch, RoomMessage};
use chatroom_settings::RedisState;
use support::gateway::{Gateway, HURRIED, text};
use support::redis::{Server, prefix};

fn words(messages: &[RoomMessage]) -> Vec<String> {
    let text = |message: &RoomMessage| String::from_utf8(message.message.payload.to_vec()).unwrap();
    messages.iter().map(text).collect()
}

fn settings() -> Settings {
    Settings { timing: HURRIED, ..Settings::default() }
}

async fn state(gateway: &Gateway, state: RedisState) -> String {
    let mut membership = gateway.joined.membership.clone();
    let reached = tokio::time::timeout(Duration::from_secs(30), membership.wait_for(|now| now.redis.state == state));
    match reached.await {
        Ok(now) => now.unwrap().redis.message.clone(),
        Err(_) => panic!("not {state:?} within 30 s: {:?}", gateway.joined.membership.borrow()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blink_of_the_subscription_leaves_no_hole() {
    let Some(server) = Server::start(&[]) else { return };
    let (speaking, listening) =
        (Gateway::start(server.backplane("blink")).await, Gateway::start(server.backplane("blink")).await);
    let speaker = speaking.connect().await;
    speaking.say(speaker, "first").await;
    listening.heard.at_least(1).await;
    let mut connection = server.connection();
    for number in 0..200 {
        if number % 100 == 50 {
            // All that was said so far was heard: what follows meets a new blink.
            for gateway in [&speaking, &listening] {
                gateway.heard.at_least(number + 1).await;
            }
            // What the last blink took may have come out of the repair log, before its subscriptions stood again.
            let mut kill =
                || redis::cmd("CLIENT").arg(&["KILL", "TYPE", "pubsub"]).query::<usize>(&mut connection).unwrap();
            while kill() == 0 {
                tokio::task::yield_now().await;
            }
        }
        speaking.say(speaker, &number.to_string()).await;
    }
    let expected = 1..=201;
    for gateway in [&speaking, &listening] {
        let heard = gateway.heard.at_least(201).await;
        assert!(heard.iter().map(|message| message.seq).eq(expected.clone()));
        assert_eq!(gateway.heard.lost(), 0);
    }
    assert!(speaking.metrics.holes_repaired.get() + listening.metrics.holes_repaired.get() > 0);
    speaking.stop().await;
    listening.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_its_data_gets_the_registry_back_and_no_client_goes() {
    let Some(mut server) = Server::start(&[]) else { return };
    let gateways = [Gateway::start(server.backplane("lost")).await, Gateway::start(server.backplane("lost")).await];
    let mut clients = Vec::new();
    for gateway in &gateways {
        for _ in 0..5 {
            clients.push(gateway.connect().await);
        }
    }
    let before = gateways[0].say(clients[0], "before").await;
    for gateway in &gateways {
        gateway.heard.at_least(1).await;
    }
    let names = [0, 1].map(|number| gateways[number].joined.membership.borrow().incarnation);

    server.kill();
    // One leaves, and one speaks, while nobody can be told.
    gateways[0].joined.roster.end(clients[1], false);
    let waiting = tokio::spawn({
        let (publisher, from) = (gateways[1].publisher.clone(), clients[9]);
        async move { publisher.publish(text(from, "meanwhile")).await.unwrap().seq }
    });
    state(&gateways[0], RedisState::Unreachable).await;
    server.start_again();

    for gateway in &gateways {
        gateway.online(9).await;
    }
    assert_eq!((before, waiting.await.unwrap()), (1, 1), "numbers begin anew");
    for gateway in &gateways {
        let heard = gateway.heard.at_least(2).await;
        assert_eq!(words(&heard), ["before", "meanwhile"]);
        assert_eq!(gateway.heard.lost(), 0, "everybody had heard all there was");
    }
    assert_eq!(names, [0, 1].map(|number| gateways[number].joined.membership.borrow().incarnation));
    for gateway in gateways {
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_before_redis_forgot_and_not_heard_is_told_as_lost() {
    let Some(mut server) = Server::start(&[]) else { return };
    let backplane = server.backplane("told");
    let (speaking, deaf) = (Gateway::start(backplane).await, Gateway::start(server.backplane("told")).await);
    let speaker = speaking.connect().await;
    speaking.say(speaker, "heard").await;
    for gateway in [&speaking, &deaf] {
        gateway.heard.at_least(1).await;
    }
    // Placed in the order, but it reaches nobody: as if Redis had died before its last packets left.
    let said = speaking.joined.seen.all()[0].clone();
    speaking.joined.seen.observe(&said.epoch, said.seq + 1);
    server.kill();
    state(&speaking, RedisState::Unreachable).await;
    server.start_again();
    for gateway in [&speaking, &deaf] {
        gateway.heard.until(|_, lost| lost > 0).await;
    }
    speaking.stop().await;
    deaf.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_longer_than_the_lease_isolates_and_nobody_is_fenced() {
    let Some(server) = Server::start(&["--enable-debug-command", "local"]) else { return };
    let gateways = [Gateway::start(server.backplane("stall")).await, Gateway::start(server.backplane("stall")).await];
    let speaker = gateways[0].connect().await;
    let names = [0, 1].map(|number| gateways[number].joined.membership.borrow().incarnation);
    let mut connection = server.connection();
    let stall = tokio::task::spawn_blocking(move || {
        redis::cmd("DEBUG").arg("SLEEP").arg("4").query::<()>(&mut connection).unwrap();
    });
    for gateway in &gateways {
        gateway.standing(Standing::Isolated).await;
        assert!(!gateway.joined.clock.holds());
    }
    stall.await.unwrap();
    for gateway in &gateways {
        gateway.standing(Standing::Leased).await;
    }
    gateways[0].say(speaker, "after").await;
    for gateway in &gateways {
        assert_eq!(words(&gateway.heard.at_least(1).await), ["after"]);
        assert_eq!(gateway.heard.lost(), 0);
    }
    assert_eq!(names, [0, 1].map(|number| gateways[number].joined.membership.borrow().incarnation));
    for gateway in gateways {
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_redis_is_a_new_registry_and_fences_nobody() {
    let Some(server) = Server::start(&[]) else { return };
    let gateway = Gateway::start(server.backplane("flushed")).await;
    let speaker = gateway.connect().await;
    gateway.say(speaker, "before").await;
    let () = server.query(&["FLUSHALL"]);
    gateway.say(speaker, "after").await;
    assert_eq!(words(&gateway.heard.at_least(2).await), ["before", "after"]);
    gateway.online(1).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_missing_or_refused_are_said_and_taken_once_they_are_right() {
    let Some(server) = Server::start(&["--requirepass", "right"]) else { return };
    let file = server.directory.path().join("secret").join("url");
    let backplane = server.backplane_as("secret", &format!("redis://:wrong@127.0.0.1:{}", server.port));
    let gateway = Gateway::begin(backplane, settings());
    let message = state(&gateway, RedisState::CredentialsRefused).await;
    assert!(message.contains("redis/url") && !message.contains("wrong@"), "{message}");
    assert_eq!(gateway.joined.membership.borrow().refused, ["redis/url"]);
    std::fs::remove_file(&file).unwrap();
    state(&gateway, RedisState::CredentialsMissing).await;
    assert_eq!(gateway.joined.membership.borrow().missing, ["redis/url"]);
    std::fs::write(&file, format!("redis://:right@127.0.0.1:{}", server.port)).unwrap();
    gateway.standing(Standing::Leased).await;
    let now = gateway.joined.membership.borrow().clone();
    assert_eq!((now.redis.state, now.missing, now.refused), (RedisState::Connected, vec![], vec![]));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_goes_while_all_is_well_is_told_and_costs_no_connection() {
    let Some(mut server) = Server::start(&[]) else { return };
    let file = server.directory.path().join("gone").join("url");
    let gateway = Gateway::begin(server.backplane("gone"), settings());
    gateway.standing(Standing::Leased).await;
    let mut membership = gateway.joined.membership.clone();
    let mut until_missing = async |wanted: &[&str]| {
        let reached = membership.wait_for(|now| now.missing == wanted);
        let now = tokio::time::timeout(Duration::from_secs(30), reached).await.expect("told within 30 s");
        now.unwrap().clone()
    };
    let url = std::fs::read_to_string(&file).unwrap();

    std::fs::remove_file(&file).unwrap();
    let now = until_missing(&["redis/url"]).await;
    assert_eq!((now.standing, now.redis.state), (Standing::Leased, RedisState::Connected));
    std::fs::write(&file, &url).unwrap();
    until_missing(&[]).await;

    // Gone while a connection is needed: it is made once the credential is back, without anybody's help.
    std::fs::remove_file(&file).unwrap();
    server.kill();
    server.start_again();
    state(&gateway, RedisState::CredentialsMissing).await;
    std::fs::write(&file, &url).unwrap();
    state(&gateway, RedisState::Connected).await;
    gateway.standing(Standing::Leased).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_does_not_speak_tls_is_unreachable_over_it() {
    let Some(server) = Server::start(&[]) else { return };
    let url = format!("rediss://:hunter2@127.0.0.1:{}", server.port);
    let gateway = Gateway::begin(server.backplane_as("tls", &url), settings());
    let message = state(&gateway, RedisState::Unreachable).await;
    assert!(!message.is_empty() && !message.contains("hunter2"), "{message}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_may_throw_the_room_away_is_unsuitable() {
    let Some(server) = Server::start(&["--maxmemory-policy", "volatile-lru"]) else { return };
    let gateway = Gateway::begin(server.backplane("evicting"), settings());
    let message = state(&gateway, RedisState::Unsuitable).await;
    assert!(message.contains("volatile-lru") && message.contains("noeviction"), "{message}");
    let () = server.query(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    gateway.standing(Standing::Leased).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_repeat_after_a_failover_keeps_the_place_it_had_in_the_epoch_before() {
    let Some(server) = Server::start(&[]) else { return };
    let backplane = server.backplane("failover");
    backplane.connect().await.unwrap();
    let me = Incarnation::random();
    let lease = async |seen: &[Position]| {
        let request = LeaseRequest {
            incarnation: me,
            length: Duration::from_secs(60),
            born: None,
            pod_uid: String::new(),
            template: String::new(),
            draining: false,
            seen: seen.to_vec(),
        };
        match backplane.lease(request).await.unwrap() {
            LeaseAnswer::Leased(lease) => lease,
            LeaseAnswer::Fenced => panic!("fenced"),
        }
    };
    let publish = async |epoch: &Epoch, number| {
        let messages = [text(me.random_connection(), "hello")];
        let request = PublishRequest { incarnation: me, number, epoch: Some(epoch), seen: 0, messages: &messages };
        backplane.publish(request).await.unwrap()
    };
    let before = lease(&[]).await.position.epoch;
    let placed = publish(&before, 1).await;
    assert_eq!(placed, PublishAnswer::Placed { epoch: before.clone(), last: 1, online: 0 });
    // As another server with the same data says it.
    let () = server.query(&["HSET", &format!("{}room", prefix("failover")), "run", "another"]);
    let Position { epoch: after, seq } = lease(&[Position { epoch: before.clone(), seq: 3 }]).await.position;
    assert!(after != before && seq == 0);
    assert_eq!(publish(&before, 1).await, PublishAnswer::OtherEpoch(after.clone()));
    assert_eq!(publish(&after, 1).await, placed);
    assert_eq!(publish(&after, 2).await, PublishAnswer::Placed { epoch: after.clone(), last: 1, online: 0 });
    let position = backplane.position().await.unwrap();
    assert_eq!(position.now, Position { epoch: after, seq: 1 });
    assert_eq!(position.former, Some(Position { epoch: before, seq: 3 }), "as far as anybody saw");
}

#[tokio::test]
async fn numbers_that_redis_forgot_begin_a_new_epoch() {
    let Some(server) = Server::start(&[]) else { return };
    let gateway = Gateway::start(server.backplane("forgot")).await;
    let speaker = gateway.connect().await;
    for number in 1..=5 {
        assert_eq!(gateway.say(speaker, &number.to_string()).await, number);
    }
    gateway.heard.at_least(5).await;
    // A replica that lacks the last writes, behind the same address and unnoticed.
    let () = server.query(&["HSET", &format!("{}room", prefix("forgot")), "seq", "3"]);
    assert_eq!(gateway.say(speaker, "anew").await, 1);
    let heard = gateway.heard.at_least(6).await;
    assert_eq!(words(&heard), ["1", "2", "3", "4", "5", "anew"]);
    assert_eq!(gateway.heard.lost(), 0);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_redis_keeps_the_leases_and_says_that_it_is_full() {
    let Some(server) = Server::start(&[]) else { return };
    let gateway = Gateway::start(server.backplane("full")).await;
    let (leaving, speaker) = (gateway.connect().await, gateway.connect().await);
    let () = server.query(&["CONFIG", "SET", "maxmemory", "1"]);
    let publisher = gateway.publisher.clone();
    let said = publisher.publish(text(speaker, "when there is room"));
    tokio::pin!(said);
    let told = tokio::select! {
        _ = &mut said => panic!("a full Redis takes nothing"),
        told = state(&gateway, RedisState::Unsuitable) => told,
    };
    assert!(told.contains("full"), "{told}");
    assert_eq!(gateway.joined.membership.borrow().standing, Standing::Leased);
    // Going is always possible.
    gateway.joined.roster.end(leaving, false);
    assert_eq!(gateway.joined.roster.flush(Instant::now() + Duration::from_secs(10)).await, 0);
    let () = server.query(&["CONFIG", "SET", "maxmemory", "0"]);
    said.await.unwrap();
    state(&gateway, RedisState::Connected).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_of_newer_gateways_is_not_joined() {
    let Some(server) = Server::start(&[]) else { return };
    let () = server.query(&["HSET", &format!("{}room", prefix("newer")), "schema", "2"]);
    let gateway = Gateway::begin(server.backplane("newer"), settings());
    let message = state(&gateway, RedisState::Unsuitable).await;
    assert!(message.contains("schema 2"), "{message}");
    assert_eq!(gateway.joined.membership.borrow().standing, Standing::Joining);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_no_more_than_the_listed_rights_suffices() {
    let Some(server) = Server::start(&[]) else { return };
    let rights = include_str!("../src/backplane/redis/acl.txt");
    let mut rule = redis::cmd("ACL");
    rule.arg(&["SETUSER", "gateway", "on", ">secret", "resetkeys", "resetchannels", "-@all"]);
    rule.arg("~cr1:{rights}:*").arg("&cr1:{rights}:*");
    rights.split_whitespace().for_each(|right| _ = rule.arg(right));
    rule.query::<()>(&mut server.connection()).unwrap();
    let url = format!("redis://gateway:secret@127.0.0.1:{}", server.port);
    let gateways = [
        Gateway::start(server.backplane_as("rights", &url)).await,
        Gateway::start(server.backplane_as("rights", &url)).await,
    ];
    let [first, second] = &gateways;
    let (speaker, leaving) = (first.connect().await, second.connect().await);
    first.say(speaker, "hello").await;
    second.heard.at_least(1).await;
    // A hole, so that the log is read; an end, a leave, and a sweep of what is left.
    let _: usize = server.query(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    for number in 0..20 {
        first.say(speaker, &number.to_string()).await;
    }
    second.heard.at_least(21).await;
    second.joined.roster.end(leaving, false);
    second.joined.roster.flush(Instant::now() + Duration::from_secs(10)).await;
    second.connect().await;
    assert_eq!(second.joined.leave().await.unwrap(), 1);
    first.online(1).await;
    while first.metrics.swept.get() == 0 {
        first.joined.renew.now();
        tokio::task::yield_now().await;
    }
    let denied: Vec<Vec<redis::Value>> = server.query(&["ACL", "LOG"]);
    assert!(denied.is_empty(), "{denied:?}");
    // And nothing beyond: the rights are those of the list.
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    for beyond in [&["FLUSHALL"][..], &["KEYS", "*"], &["CONFIG", "GET", "*"], &["GET", "cr1:{other}:room"]] {
        let answer = redis::cmd(beyond[0]).arg(&beyond[1..]).query::<redis::Value>(&mut connection);
        assert_eq!(answer.unwrap_err().code(), Some("NOPERM"), "{beyond:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_missing_is_said_to_be_the_credential() {
    let Some(server) = Server::start(&[]) else { return };
    let mut rule = redis::cmd("ACL");
    rule.arg(&["SETUSER", "poor", "on", ">secret", "~*", "&*", "+@all", "-zadd"]);
    rule.query::<()>(&mut server.connection()).unwrap();
    let url = format!("redis://poor:secret@127.0.0.1:{}", server.port);
    let gateway = Gateway::begin(server.backplane_as("poor", &url), settings());
    state(&gateway, RedisState::CredentialsRefused).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_is_asked_until_it_is_back() {
    let Some(mut server) = Server::start(&[]) else { return };
    let gateway = Gateway::start(server.backplane("away")).await;
    let failed = || {
        let result = chatroom_gateway::metrics::ByResult { result: "failed" };
        gateway.metrics.leases.get_or_create(&result).get()
    };
    server.kill();
    state(&gateway, RedisState::Unreachable).await;
    let began = Instant::now();
    while failed() < 3 {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.start_again();
    gateway.standing(Standing::Leased).await;
    gateway.stop().await;
}

#[test]
fn the_listed_rights_are_the_commands_that_are_used() {
    let sources =
        ["lease", "publish", "register", "unregister", "sweep", "leave", "claim", "settle", "hasten", "replay"]
            .map(|name| std::fs::read_to_string(format!("src/backplane/redis/{name}.lua")).unwrap());
    let rights = include_str!("../src/backplane/redis/acl.txt");
    for source in sources {
        for call in source.split("redis.call('").skip(1) {
            let command = call.split('\'').next().unwrap().to_lowercase();
            assert!(rights.split_whitespace().any(|right| right == format!("+{command}")), "{command} is not listed");
        }
    }
}
