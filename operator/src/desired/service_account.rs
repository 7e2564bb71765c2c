//! The ServiceAccount of the room's pods: it has no rights, and they get no token of it.

use k8s_openapi::api::core::v1::ServiceAccount;

use crate::names::{Component, Names};

pub(super) fn service_account(names: &Names) -> ServiceAccount {
    ServiceAccount {
        metadata: names.metadata(names.service_account(), Component::Gateway),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
