//! A room that can be carried out: what [`validate`](crate::controller::validate::validate) makes of a ChatRoom.
//!
//! Nothing in here is absent that has a default and nothing is out of bounds, so whoever gets a [`Room`] cannot fail on it.
//! Each part is a file, its parsing beside it.

mod clients;
mod functions;
mod identity;
mod image;
mod invalid;
mod labels;
mod overrides;
mod placement;
mod pod;
mod push;
mod redis;
mod rollout;
pub(crate) mod typo;

pub use clients::{Clients, Limits, Origin, Path};
pub use functions::{Function, FunctionUrl, Functions, Roots, Tencent};
pub use identity::{Identity, RoomName};
pub use image::{Image, ImageReference};
pub use invalid::{Invalid, Violation};
pub(crate) use invalid::{Problems, bounded};
pub(crate) use labels::is_dns_label;
pub use overrides::Overrides;
pub use placement::Placement;
pub use pod::{Logging, Pod, Resources};
pub use push::Push;
pub use redis::{EphemeralRedis, ExternalRedis, KeyPrefix, Redis};
pub use rollout::{DisruptionBudget, Drain, PodsOrPercent, Rollout, Service};

/// What stands for the images that a room does not name. From `RELATED_IMAGE_GATEWAY` and `RELATED_IMAGE_REDIS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The gateway's image.
    pub gateway_image: String,
    /// The image of an ephemeral Redis.
    pub redis_image: String,
}

/// A valid room.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    /// Which room it is.
    pub identity: Identity,
    /// Gateways that the room asks for.
    pub replicas: i32,
    /// Whether it has no gateways for now, whatever [`Room::replicas`] says.
    pub suspend: bool,
    /// The last time at which a person wanted all gateways to be restarted, as the room's annotation writes it.
    pub restarted_at: Option<String>,
    /// What the gateways run.
    pub image: Image,
    /// Secrets with the credentials of private registries.
    pub image_pull_secrets: Vec<String>,
    /// What clients meet.
    pub clients: Clients,
    /// The owner's functions; `None`: the gateways do it all by themselves.
    pub functions: Option<Functions>,
    /// How other programs speak to them.
    pub push: Push,
    /// What the replicas share.
    pub redis: Redis,
    /// How a gateway lets its clients go.
    pub drain: Drain,
    /// How a new version rolls out.
    pub rollout: Rollout,
    /// The Service in front of the gateways.
    pub service: Service,
    /// What a node drain may take at once.
    pub disruption_budget: DisruptionBudget,
    /// What the gateways log.
    pub logging: Logging,
    /// What the room says about its pods.
    pub pod: Pod,
    /// What it lays over the objects that are made of it.
    pub overrides: Overrides,
}

impl Room {
    /// Seconds from the order to go until a gateway's pod is killed.
    pub fn grace_period_seconds(&self) -> u32 {
        self.overrides.grace_period_seconds().unwrap_or(self.drain.grace_period_seconds())
    }
}
