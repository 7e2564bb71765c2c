//! What is wrong with a ChatRoom: every mistake at once, each with its field and with what would be right.

use std::fmt;

use chatroom_api::Bounds;
use chatroom_api::condition::stalled::{INVALID_OVERRIDE, INVALID_SPEC};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `spec.image.tag`.
    pub field: String,
    /// What would be right.
    pub message: String,
}

impl Violation {
    /// A mistake in `field`; `message` says what would be right.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

/// Why a ChatRoom cannot be carried out. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The mistakes, in the order of the fields.
    pub violations: Vec<Violation>,
}

impl Invalid {
    /// Why, in one word for programs: overrides are written for another type, and have a reason of their own.
    pub fn reason(&self) -> &'static str {
        let in_overrides = |violation: &Violation| violation.field.starts_with(super::overrides::FIELD);
        if self.violations.iter().all(in_overrides) { INVALID_OVERRIDE } else { INVALID_SPEC }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

impl From<Violation> for Invalid {
    fn from(violation: Violation) -> Self {
        Self { violations: vec![violation] }
    }
}

/// Collects mistakes, so that people hear of all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Violation>);

impl Problems {
    /// Keeps the value, or its mistakes.
    pub(crate) fn keep<T>(&mut self, result: Result<T, impl Into<Invalid>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.0.extend(invalid.into().violations);
                None
            }
        }
    }

    /// Keeps a mistake in `field`; `message` says what would be right.
    pub(crate) fn refuse(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Violation::new(field, message));
    }

    /// The mistakes; or the value, when there were none.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Invalid { violations: self.0 }),
        }
    }
}

/// `value` within `bounds`; absent: the default of the bounds, which is there for every field that is read so.
pub(crate) fn bounded(field: &str, value: Option<i32>, bounds: Bounds) -> Result<Option<u32>, Violation> {
    let Some(value) = value.or(bounds.default) else { return Ok(None) };
    match u32::try_from(value) {
        Ok(number) if (bounds.min..=bounds.max).contains(&value) => Ok(Some(number)),
        _ => Err(Violation::new(field, format!("must be {} to {}, is {value}", bounds.min, bounds.max))),
    }
}
