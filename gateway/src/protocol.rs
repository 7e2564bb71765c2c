//! The words of the wire, as plain functions over bytes: frames, client protocols, close codes, rates.
//!
//! Knows no socket, no runtime and no clock: bytes and times come in as arguments, so everything here can be replayed.

pub mod batch;
pub mod close;
pub mod frames;
pub mod rates;
pub mod raw;

pub use batch::{Batch, NotFor, Run};
pub use close::Close;
pub use frames::{Decoder, Event, Violation};
pub use raw::Raw;
