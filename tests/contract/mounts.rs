//! Files, ports and variables of the pods are where the gateway looks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chatroom_gateway::cli::Arguments;
use chatroom_operator::names::{self, keys};
use chatroom_operator::room::Redis;
use chatroom_settings::names::{env, files, ports};
use clap::{CommandFactory as _, Parser as _};
use k8s_openapi::api::core::v1::{Container, PodSpec, Service, Volume};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::rooms::{Case, cases};

#[test]
fn every_variable_that_the_gateway_reads_is_set_and_no_other_of_that_name() {
    let read: BTreeSet<String> = Arguments::command()
        .get_arguments()
        .filter_map(|argument| argument.get_env().map(|name| name.to_string_lossy().into_owned()))
        .collect();
    for case in cases() {
        let set: BTreeSet<String> = variables(&case).into_keys().filter(|name| name.starts_with(env::PREFIX)).collect();
        let unset = of_functions(&case).into_iter().filter(|it| !it.is_named).map(|it| it.variable.to_owned());
        assert_eq!(set.union(&unset.collect()).cloned().collect::<BTreeSet<_>>(), read, "{}", case.file);
    }
}

#[test]
fn every_file_is_mounted_where_the_variables_say() {
    for case in cases() {
        let variables = variables(&case);
        let placed = placed_files(&case);
        for (name, file) in [(env::COLD_FILE, files::COLD_FILE), (env::HOT_FILE, files::HOT_FILE)] {
            let told = PathBuf::from(variables[name].clone().expect("paths are plain values"));
            assert!(placed.contains(&told), "{}: {name} is {told:?}, files are {placed:?}", case.file);
            assert!(told.ends_with(file), "{}", case.file);
        }
        let credentials = PathBuf::from(variables[env::REDIS_DIRECTORY].clone().expect("paths are plain values"));
        let credential = match case.room.redis {
            Redis::Ephemeral(_) => files::REDIS_PASSWORD,
            Redis::External(_) => files::REDIS_URL,
        };
        assert!(placed.contains(&credentials.join(credential)), "{}: {credential} of {placed:?}", case.file);
        let push = PathBuf::from(variables[env::PUSH_DIRECTORY].clone().expect("paths are plain values"));
        assert!(placed.contains(&push.join(files::PUSH_KEYS)), "{}: push keys of {placed:?}", case.file);
        for OfFunctions { variable, file, is_named, .. } in of_functions(&case) {
            let told = variables.get(variable).cloned().flatten().map(|directory| PathBuf::from(directory).join(file));
            assert_eq!(told.is_some(), is_named, "{}: {variable}", case.file);
            assert!(told.is_none_or(|told| placed.contains(&told)), "{}: {file} of {placed:?}", case.file);
        }
    }
}

#[test]
fn without_variables_the_gateway_looks_in_the_same_places() {
    let defaults = Arguments::parse_from(["chatroom-gateway"]);
    for case in cases() {
        let variables = variables(&case);
        let told = |name: &str| variables[name].clone().map(PathBuf::from);
        assert_eq!(told(env::COLD_FILE), Some(defaults.cold_file.clone()));
        assert_eq!(told(env::HOT_FILE), Some(defaults.hot_file.clone()));
        assert_eq!(told(env::REDIS_DIRECTORY), Some(defaults.redis_directory.clone()));
        assert_eq!(told(env::PUSH_DIRECTORY), Some(defaults.push_directory.clone()));
        for OfFunctions { variable, default, is_named, .. } in of_functions(&case) {
            assert_eq!(variables.get(variable).cloned().flatten().map(PathBuf::from), is_named.then_some(default));
        }
    }
}

#[test]
fn the_service_and_the_probes_meet_the_ports_on_which_the_gateway_listens() {
    let defaults = Arguments::parse_from(["chatroom-gateway"]);
    assert_eq!((defaults.client_port, defaults.internal_port), (ports::CLIENTS, ports::INTERNAL));
    assert_eq!(defaults.push_port, ports::PUSH);
    for case in cases() {
        let container = gateway(&case);
        let named: BTreeMap<String, i32> = container
            .ports
            .iter()
            .flatten()
            .map(|port| (port.name.clone().unwrap_or_default(), port.container_port))
            .collect();
        assert_eq!(
            named.values().copied().collect::<BTreeSet<_>>(),
            BTreeSet::from([ports::CLIENTS.into(), ports::PUSH.into(), ports::INTERNAL.into()]),
            "{}",
            case.file
        );
        let number = |port: &IntOrString| match port {
            IntOrString::Int(number) => *number,
            IntOrString::String(name) => named[name],
        };
        for (service, meant) in [(&case.resources.service, ports::CLIENTS), (&case.resources.push_service, ports::PUSH)]
        {
            let spec = service.spec.as_ref().expect("a Service has a spec");
            let port = &spec.ports.as_ref().expect("a Service has ports")[0];
            let target = port.target_port.as_ref().map(number);
            assert_eq!((port.port, target), (80, Some(i32::from(meant))), "{}", case.file);
        }
        for probe in [&container.startup_probe, &container.liveness_probe, &container.readiness_probe] {
            let get = probe.as_ref().and_then(|probe| probe.http_get.as_ref()).expect("gateways are probed by HTTP");
            assert_eq!(number(&get.port), i32::from(ports::INTERNAL), "{}", case.file);
            assert!(matches!(get.path.as_deref(), Some("/livez" | "/readyz")), "{}", case.file);
        }
    }
}

#[test]
fn selectors_choose_the_pods_of_the_template_and_only_pods_of_this_room() {
    for case in cases() {
        let spec = case.resources.deployment.spec.as_ref().expect("a Deployment has a spec");
        let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref()).expect("labels");
        let selector = |service: &'_ Service| service.spec.as_ref().and_then(|spec| spec.selector.clone());
        let services = [&case.resources.service, &case.resources.push_service].map(selector);
        let deployment = spec.selector.match_labels.clone();
        for selector in services.into_iter().chain([deployment]) {
            let selector = selector.expect("all of them select");
            for (key, value) in &selector {
                assert_eq!(labels.get(key), Some(value), "{}", case.file);
            }
            assert_eq!(selector.get(keys::INSTANCE).map(String::as_str), Some(case.room.identity.name.as_str()));
        }
    }
}

/// What functions are called with, which is there only where the room names it.
struct OfFunctions {
    variable: &'static str,
    file: &'static str,
    /// Where the gateway looks by itself.
    default: PathBuf,
    is_named: bool,
}

fn of_functions(case: &Case) -> [OfFunctions; 2] {
    let defaults = Arguments::parse_from(["chatroom-gateway"]);
    let functions = case.room.functions.as_ref();
    [
        OfFunctions {
            variable: env::SIGNING_DIRECTORY,
            file: files::SIGNING_KEYS,
            default: defaults.signing_directory,
            is_named: functions.is_some_and(|it| it.signing_secret.is_some()),
        },
        OfFunctions {
            variable: env::CA_DIRECTORY,
            file: files::CA_FILE,
            default: defaults.ca_directory,
            is_named: functions.is_some_and(|it| it.roots.is_some()),
        },
    ]
}

fn pod(case: &Case) -> &PodSpec {
    let spec = case.resources.deployment.spec.as_ref().expect("a Deployment has a spec");
    spec.template.spec.as_ref().expect("a template has a spec")
}

/// The first one; a room may lay more beside it.
fn gateway(case: &Case) -> &Container {
    match pod(case).containers.as_slice() {
        [container, ..] if container.name == names::pod::CONTAINER => container,
        other => panic!("{}: the first container is not the gateway's: {other:?}", case.file),
    }
}

/// The container's variables; without a value when it comes from elsewhere.
fn variables(case: &Case) -> BTreeMap<String, Option<String>> {
    gateway(case).env.iter().flatten().map(|variable| (variable.name.clone(), variable.value.clone())).collect()
}

/// Every file that is in the container because of a mount.
fn placed_files(case: &Case) -> BTreeSet<PathBuf> {
    let volumes: BTreeMap<_, _> =
        pod(case).volumes.iter().flatten().map(|volume| (volume.name.as_str(), volume)).collect();
    let mounts = gateway(case).volume_mounts.iter().flatten();
    mounts
        // What a room lays beside ours is its own affair.
        .filter(|mount| names::pod::VOLUMES.contains(&mount.name.as_str()))
        .flat_map(|mount| {
            assert_eq!(mount.sub_path, None, "{}: a file that is mounted by itself is never updated", case.file);
            let volume = volumes[mount.name.as_str()];
            files_of(case, volume).into_iter().map(|file| Path::new(&mount.mount_path).join(file)).collect::<Vec<_>>()
        })
        .collect()
}

fn files_of(case: &Case, volume: &Volume) -> Vec<String> {
    if let Some(map) = &volume.config_map {
        assert_eq!(Some(&map.name), case.resources.config_map.metadata.name.as_ref(), "{}", case.file);
        return case.resources.config_map.data.iter().flatten().map(|(file, _)| file.clone()).collect();
    }
    if let Some(secret) = &volume.secret {
        assert_eq!(secret.optional, Some(true), "{}: a missing Secret must not keep a pod from starting", case.file);
        let made = match volume.name.as_str() {
            names::pod::PUSH_VOLUME => case.resources.push_secret.as_ref(),
            names::pod::SIGNING_VOLUME | names::pod::CA_VOLUME => None,
            _ => case.resources.redis.as_ref().map(|redis| &redis.secret),
        };
        if let Some(made) = made {
            assert_eq!(secret.secret_name, made.metadata.name, "{}", case.file);
            for item in secret.items.iter().flatten() {
                assert!(made.values.contains_key(&item.key), "{}: {} is not generated", case.file, item.key);
            }
        }
        return secret.items.iter().flatten().map(|item| item.path.clone()).collect();
    }
    let downward = volume.downward_api.as_ref().expect("nothing else is mounted");
    let items = downward.items.iter().flatten();
    items
        .map(|item| {
            let source = item.field_ref.as_ref().map(|field| field.field_path.as_str());
            assert_eq!(source, Some(format!("metadata.annotations['{}']", keys::SETTINGS).as_str()), "{}", case.file);
            item.path.clone()
        })
        .collect()
}
