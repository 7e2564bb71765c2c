//! Which Redis the replicas share.

use chatroom_api as api;
use chatroom_api::ChatRoomSpec;

use super::{ImageReference, Invalid, Problems, Resources, Violation};

/// The Redis of a room.
#[derive(Clone, Debug, PartialEq)]
pub enum Redis {
    /// The room's own.
    Ephemeral(EphemeralRedis),
    /// Somebody else's.
    External(ExternalRedis),
}

/// The room's own Redis.
#[derive(Clone, Debug, PartialEq)]
pub struct EphemeralRedis {
    /// What it runs, unless the one that serves already is kept.
    pub image: ImageReference,
    /// Its memory and CPU.
    pub resources: Resources,
    /// Bytes that it may fill with data.
    pub max_memory_bytes: u64,
}

/// Somebody else's Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalRedis {
    /// The Secret that holds the URL.
    pub secret_name: String,
    /// The key in it.
    pub secret_key: String,
    /// What all keys begin with; `None`: the room's own prefix.
    pub key_prefix: Option<KeyPrefix>,
}

/// What all keys of a room begin with: holds exactly one hash tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// Takes a prefix with exactly one part in braces.
    pub fn parse(field: &str, prefix: &str) -> Result<Self, Violation> {
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ":._-".contains(c));
        let tagged = prefix.split_once('{').and_then(|(before, rest)| {
            let (tag, after) = rest.split_once('}')?;
            (plain(before) && plain(tag) && plain(after) && !tag.is_empty()).then_some(())
        });
        match tagged {
            Some(()) if prefix.len() <= 128 => Ok(Self(prefix.to_owned())),
            _ => {
                let rule = "takes up to 128 letters, digits, ':', '.', '_', '-' and exactly one part in braces";
                Err(Violation::new(field, format!("{rule}, as in 'lobby:{{eu-1}}:', is '{prefix}'")))
            }
        }
    }

    /// The prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Redis {
    pub(crate) fn parse(spec: &ChatRoomSpec, default_image: &str) -> Result<Self, Invalid> {
        let redis = spec.redis.clone().unwrap_or_default();
        match (redis.ephemeral, redis.external) {
            (Some(_), Some(_)) => {
                Err(Violation::new("spec.redis", "set redis.ephemeral or redis.external, not both").into())
            }
            (None, Some(external)) => ExternalRedis::parse(external).map(Self::External),
            (ephemeral, None) => {
                EphemeralRedis::parse(&ephemeral.unwrap_or_default(), default_image).map(Self::Ephemeral)
            }
        }
    }
}

impl EphemeralRedis {
    fn parse(redis: &api::EphemeralRedis, default_image: &str) -> Result<Self, Invalid> {
        let mut problems = Problems::default();
        let image = problems.keep(ImageReference::parse("the operator's default Redis image", default_image));
        let field = "spec.redis.ephemeral.resources";
        let resources = problems.keep(Resources::parse(field, redis.resources.as_ref(), Self::default_resources));
        let redis = image.zip(resources).map(|(image, resources)| {
            let max_memory_bytes = resources.memory_limit_bytes().map_or(UNLIMITED_MEMORY_BYTES, two_thirds);
            Self { image, resources, max_memory_bytes }
        });
        problems.finish(redis)
    }

    fn default_resources() -> Resources {
        Resources::of(&[("cpu", "50m"), ("memory", "96Mi")], &[("memory", "192Mi")])
    }
}

/// What Redis may fill without a limit of its pod: enough for the largest room, small enough not to be noticed by its node.
const UNLIMITED_MEMORY_BYTES: u64 = 128 << 20;

/// The last third is for what Redis does not count as data: buffers of its clients, fragmentation, the program.
fn two_thirds(limit: u64) -> u64 {
    limit / 3 * 2
}

impl ExternalRedis {
    fn parse(redis: api::ExternalRedis) -> Result<Self, Invalid> {
        let api::ExternalRedis { topology: None | Some(api::Topology::Standalone), url_secret_ref, key_prefix } = redis;
        if url_secret_ref.name.is_empty() {
            return Err(Violation::new("spec.redis.external.urlSecretRef.name", "must name a Secret").into());
        }
        let key_prefix = match key_prefix {
            Some(prefix) => Some(KeyPrefix::parse("spec.redis.external.keyPrefix", &prefix)?),
            None => None,
        };
        let secret_key = url_secret_ref.key.unwrap_or_else(|| "url".to_owned());
        Ok(Self { secret_name: url_secret_ref.name, secret_key, key_prefix })
    }
}
