//! The ConfigMap of the hot settings.

use std::collections::BTreeMap;

use chatroom_settings::names::files;
use k8s_openapi::api::core::v1::ConfigMap;

use super::settings;
use crate::names::{Component, Names};
use crate::room::Room;

pub(super) fn config_map(names: &Names, room: &Room) -> ConfigMap {
    ConfigMap {
        metadata: names.metadata(names.config_map(), Component::Gateway),
        data: Some(BTreeMap::from([(files::HOT_FILE.to_owned(), settings::yaml(&settings::hot(room)))])),
        ..ConfigMap::default()
    }
}
