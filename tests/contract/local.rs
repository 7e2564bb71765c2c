//! What `chatroom local` tells a gateway is what the gateway understands.

use std::path::Path;

use chatroom_gateway::cli::Arguments;
use chatroom_gateway::settings_file::parse;
use chatroom_operator::desired::settings;
use chatroom_operator::names::Names;
use chatroom_operator::tool::local::Output;
use chatroom_operator::tool::local::backplane::Shared;
use chatroom_operator::tool::local::function_secrets::{FunctionSecrets, Roots, SigningKeys};
use chatroom_operator::tool::local::plan::{Credentials, Plan, Wishes};
use chatroom_operator::tool::local::push_keys::PushKeys;
use chatroom_settings::names::files;
use chatroom_settings::{Cold, Hot};
use clap::Parser as _;

use crate::rooms::{Case, cases};

#[test]
fn the_gateway_takes_every_argument_and_finds_every_file() {
    for case in cases() {
        let plan = plan(&case, &Shared::OwnServer);
        let keys = PushKeys::made_up("key".into());
        let functions = function_secrets();
        let directory = Path::new("/run-of-a-test");
        let written: Vec<_> = plan
            .files(&credentials(Some("redis://r/"), &keys, &functions))
            .into_iter()
            .map(|(path, _)| directory.join(path))
            .collect();
        for replica in &plan.replicas {
            let words = std::iter::once("chatroom-gateway".to_owned()).chain(plan.arguments(replica, directory));
            let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{}: {error}", case.file));
            assert!(written.contains(&arguments.cold_file) && written.contains(&arguments.hot_file), "{arguments:?}");
            assert!(written.contains(&arguments.redis_directory.join(files::REDIS_URL)), "{arguments:?}");
            assert!(written.contains(&arguments.push_directory.join(files::PUSH_KEYS)), "{arguments:?}");
            assert!(written.contains(&arguments.signing_directory.join(files::SIGNING_KEYS)), "{arguments:?}");
            assert!(written.contains(&arguments.ca_directory.join(files::CA_FILE)), "{arguments:?}");
            assert_eq!(arguments.push_port, replica.push.port());
            assert_eq!(arguments.bind, Some(replica.clients.ip()));
            assert_eq!(
                (arguments.client_port, arguments.internal_port),
                (replica.clients.port(), replica.internal.port())
            );
            assert_eq!((&arguments.pod_name, &arguments.pod_uid), (&replica.pod_name, &replica.pod_uid));
            assert!(arguments.exit_with_stdin);
        }
    }
}

#[test]
fn the_gateway_understands_the_files() {
    for case in cases() {
        for shared in [Shared::Memory, Shared::OwnServer, Shared::Url("redis://r/".into())] {
            let keys = PushKeys::made_up("key".into());
            let functions = function_secrets();
            for (path, text) in plan(&case, &shared).files(&credentials(None, &keys, &functions)) {
                let unknown = match path.file_name().and_then(|name| name.to_str()) {
                    Some(files::COLD_FILE) => parse::<Cold>(&path, &text).map(|parsed| parsed.unknown),
                    Some(files::HOT_FILE) => parse::<Hot>(&path, &text).map(|parsed| parsed.unknown),
                    // Of pushes, and of signatures.
                    Some(files::PUSH_KEYS | files::CA_FILE) => continue,
                    other => panic!("{other:?} is no file of a gateway"),
                };
                assert_eq!(unknown.unwrap_or_else(|error| panic!("{}: {error:?}", case.file)), Vec::<String>::new());
            }
        }
    }
}

fn credentials<'a>(
    redis_url: Option<&'a str>,
    push_keys: &'a PushKeys,
    functions: &'a FunctionSecrets,
) -> Credentials<'a> {
    Credentials { redis_url, push_keys, functions }
}

fn function_secrets() -> FunctionSecrets {
    FunctionSecrets {
        signing_keys: Some(SigningKeys::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("this is a key")),
        roots: Some(
            Roots::parse("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----").expect("this looks like roots"),
        ),
    }
}

fn plan(case: &Case, shared: &Shared) -> Plan {
    let names = Names::new(&case.room.identity);
    let cold = settings::cold(&case.room, settings::backplane(&names, &case.room));
    let bind = std::net::Ipv4Addr::LOCALHOST.into();
    let wishes = Wishes { replicas: 2, bind, port: 8080, output: Output::Json, shared, run: "1" };
    Plan::new(cold, settings::hot(&case.room), wishes).expect("these ports exist")
}
