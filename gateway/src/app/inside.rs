//! What the internal port shows of this gateway.

use std::sync::Arc;

use chatroom_settings::GatewayStatus;
use chatroom_settings::names::files;
use tokio::sync::watch;

use crate::admission::Openness;
use crate::cleanup::Cleanup;
use crate::functions::Functions;
use crate::http::internal;
use crate::membership::{Membership, Standing};
use crate::push::keys::Keys;
use crate::readiness::Readiness;
use crate::session::Sessions;

/// Views of everything that `/status` tells.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) readiness: Readiness,
    pub(super) membership: watch::Receiver<Membership>,
    pub(super) sessions: Sessions,
    pub(super) push_keys: watch::Receiver<Arc<Keys>>,
    pub(super) functions: Functions,
    pub(super) cleanup: Option<Cleanup>,
    pub(super) template_hash: String,
    pub(super) hot_hash: watch::Receiver<String>,
    pub(super) settings_problem: watch::Receiver<String>,
    pub(super) cold_hash: String,
}

impl internal::Inside for Inside {
    fn openness(&self) -> Openness {
        self.readiness.openness()
    }

    fn status(&self) -> GatewayStatus {
        let Membership { incarnation, standing, online, redis, mut missing, mut refused, peers: _, cleanups: _ } =
            self.membership.borrow().clone();
        let push_keys = || format!("push/{}", files::PUSH_KEYS);
        missing.extend(self.push_keys.borrow().is_missing().then(push_keys));
        refused.extend(self.push_keys.borrow().has_refused().then(push_keys));
        missing.extend(self.functions.missing());
        refused.extend(self.functions.refused());
        GatewayStatus {
            version: env!("CARGO_PKG_VERSION").into(),
            template_hash: self.template_hash.clone(),
            hot_hash: self.hot_hash.borrow().clone(),
            settings_problem: self.settings_problem.borrow().clone(),
            cold_hash: self.cold_hash.clone(),
            incarnation: incarnation.to_string(),
            connections: self.sessions.count() as u64,
            // As of the last lease: without one it would be stale.
            online: online.filter(|_| standing == Standing::Leased),
            ready: self.readiness.openness() == Openness::Open,
            draining: self.readiness.is_draining(),
            isolated: standing == Standing::Isolated,
            redis,
            cleanup: self.cleanup.as_ref().and_then(Cleanup::status),
            missing,
            refused,
        }
    }
}
