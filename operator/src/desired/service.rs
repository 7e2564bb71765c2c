//! The Service through which clients reach the gateways.

use chatroom_api::ServiceType;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::overrides;
use crate::names::{Component, Names, pod};
use crate::room::Room;

pub(super) fn service(names: &Names, room: &Room) -> Service {
    let mut metadata = names.metadata(names.service(), Component::Gateway);
    metadata.annotations = (!room.service.annotations.is_empty()).then(|| room.service.annotations.clone());
    let port = ServicePort {
        name: Some(pod::CLIENTS_PORT.to_owned()),
        port: i32::from(Names::SERVICE_PORT),
        target_port: Some(IntOrString::String(pod::CLIENTS_PORT.to_owned())),
        protocol: Some("TCP".to_owned()),
        // Some implementations of Gateway API let an upgrade through only when they are told so.
        app_protocol: Some("kubernetes.io/ws".to_owned()),
        ..ServicePort::default()
    };
    let service = Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(type_name(room.service.type_).to_owned()),
            selector: Some(names.selector(Component::Gateway)),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    overrides::over_service(service, &room.overrides)
}

fn type_name(type_: ServiceType) -> &'static str {
    match type_ {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    }
}
