//! The Service through which other programs push to the room.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::names::{Component, Names, pod};

pub(super) fn push_service(names: &Names) -> Service {
    let port = ServicePort {
        name: Some(pod::PUSH_PORT.to_owned()),
        port: i32::from(Names::SERVICE_PORT),
        target_port: Some(IntOrString::String(pod::PUSH_PORT.to_owned())),
        protocol: Some("TCP".to_owned()),
        app_protocol: Some("http".to_owned()),
        ..ServicePort::default()
    };
    Service {
        metadata: names.metadata(names.push(), Component::Gateway),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(names.selector(Component::Gateway)),
            ports: Some(vec![port]),
            // A gateway that drains takes no client, and still has some that pushes are for.
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}
