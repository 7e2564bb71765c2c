//! Which image the gateways run.

use std::fmt;

use chatroom_api::PullPolicy;

use super::{Invalid, Violation};

/// `repository[:tag][@digest]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference(String);

impl ImageReference {
    /// Takes a reference as it stands, unless it cannot be one.
    pub fn parse(field: &str, reference: &str) -> Result<Self, Violation> {
        if reference.is_empty() || reference.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(Violation::new(field, format!("must be an image as in registry/name:tag, is '{reference}'")));
        }
        Ok(Self(reference.to_owned()))
    }

    /// The reference.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The reference without tag and digest. A colon before the last slash is the registry's port.
    fn repository(&self) -> &str {
        let name = self.0.split('@').next().unwrap_or_default();
        match name.rfind(':') {
            Some(colon) if colon > name.rfind('/').unwrap_or(0) => &name[..colon],
            _ => name,
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the gateways run, and when a node pulls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The image.
    pub reference: ImageReference,
    /// When a node pulls it.
    pub pull_policy: PullPolicy,
}

impl Image {
    pub(crate) fn parse(image: Option<&chatroom_api::Image>, default: &str) -> Result<Self, Invalid> {
        let default = ImageReference::parse("the operator's default gateway image", default)?;
        let Some(image) = image else { return Ok(Self { reference: default, pull_policy: PullPolicy::default() }) };
        let repository = image.repository.as_deref().unwrap_or(default.repository());
        let reference = match (&image.tag, &image.digest, &image.repository) {
            (Some(_), Some(_), _) => {
                return Err(Violation::new("spec.image", "set image.tag or image.digest, not both").into());
            }
            (Some(tag), None, _) if tag == "latest" => {
                return Err(
                    Violation::new("spec.image.tag", "'latest' says nothing about what runs: name a version").into()
                );
            }
            (None, None, Some(_)) => {
                return Err(Violation::new("spec.image", "image.repository needs image.tag or image.digest").into());
            }
            (Some(tag), None, _) => format!("{repository}:{tag}"),
            (None, Some(digest), _) => format!("{repository}@{digest}"),
            (None, None, None) => default.to_string(),
        };
        let reference = ImageReference::parse("spec.image", &reference)?;
        Ok(Self { reference, pull_policy: image.pull_policy.unwrap_or_default() })
    }
}
