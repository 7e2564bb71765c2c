//! The bytes of a batch on the bus and in the repair log. The script writes the head, the gateway that publishes the rest.
//!
//! ```text
//! head     version (1 byte) · first seq (8) · online (8) · messages (4) · length of the epoch (1) · epoch
//! message  kind (1: text, 2: binary) · length of the sender (1: 0 or 32) · sender
//!          version 2: how many are left out (2) · each of them (32) · length (4) · payload
//! ```
//! Numbers are big-endian. Version 2 is written only where somebody is left out, so that gateways of the version before read
//! everything else. A reader refuses a version that it does not know: to it, the batch is a hole in the order, which its clients
//! are told. Better that than a copy for those who must not have one.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Batch;
use crate::id::ConnectionId;
use crate::message::{Epoch, Kind, Message};

/// The version of a batch from which nobody is left out.
pub const VERSION: u8 = 1;
/// The version of a batch with a message that somebody must not hear.
pub const VERSION_EXCLUDING: u8 = 2;
/// What a message takes beside its payload, at most.
pub const OVERHEAD_BYTES: usize = 1 + 1 + 32 + 4;

const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// Why bytes are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A later gateway wrote it.
    #[error("version {0} of a batch is unknown to this gateway")]
    Version(u8),
    /// It ends too early, goes on too long, or holds what cannot be.
    #[error("a batch is malformed")]
    Malformed,
}

/// The version in which these are written.
#[must_use]
pub fn version(messages: &[Message]) -> u8 {
    if messages.iter().any(|message| message.exclude.is_some()) { VERSION_EXCLUDING } else { VERSION }
}

/// The messages of a batch, to stand behind the head, in their [`version`].
#[must_use]
pub fn encode_messages(messages: &[Message]) -> Bytes {
    let excludes = version(messages) == VERSION_EXCLUDING;
    let size = messages.iter().map(|message| message.bytes() + OVERHEAD_BYTES).sum();
    let mut bytes = BytesMut::with_capacity(size);
    for message in messages {
        bytes.put_u8(match message.kind {
            Kind::Text => TEXT,
            Kind::Binary => BINARY,
        });
        let from = message.from.as_ref().map_or("", ConnectionId::as_str);
        bytes.put_u8(u8::try_from(from.len()).expect("an ID has 32 characters"));
        bytes.put_slice(from.as_bytes());
        if excludes {
            let exclude = message.exclude.as_deref().unwrap_or_default();
            bytes.put_u16(u16::try_from(exclude.len()).expect("a push leaves out at most 100"));
            exclude.iter().for_each(|id| bytes.put_slice(id.as_str().as_bytes()));
        }
        bytes.put_u32(u32::try_from(message.payload.len()).expect("a message is at most 32 MiB"));
        bytes.put_slice(&message.payload);
    }
    bytes.freeze()
}

/// A whole batch as bytes: what the script makes of a head and [`encode_messages`].
#[must_use]
pub fn encode(batch: &Batch) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(version(&batch.messages));
    bytes.put_u64(batch.first);
    bytes.put_u64(batch.online);
    bytes.put_u32(u32::try_from(batch.messages.len()).expect("a batch has at most 64 messages"));
    bytes.put_u8(u8::try_from(batch.epoch.0.len()).expect("an epoch is a short token"));
    bytes.put_slice(batch.epoch.0.as_bytes());
    bytes.put_slice(&encode_messages(&batch.messages));
    bytes.freeze()
}

/// Reads a batch; payloads share the memory of `bytes`.
///
/// # Errors
/// See [`EnvelopeError`].
pub fn decode(mut bytes: Bytes) -> Result<Batch, EnvelopeError> {
    let version = take(&mut bytes, 1)?.get_u8();
    if !matches!(version, VERSION | VERSION_EXCLUDING) {
        return Err(EnvelopeError::Version(version));
    }
    let mut head = take(&mut bytes, 8 + 8 + 4 + 1)?;
    let (first, online, count, epoch) = (head.get_u64(), head.get_u64(), head.get_u32(), head.get_u8());
    let epoch = take(&mut bytes, epoch.into())?;
    let epoch = std::str::from_utf8(&epoch).map_err(|_| EnvelopeError::Malformed)?.into();
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(message(&mut bytes, version == VERSION_EXCLUDING)?);
    }
    let numbered = first > 0 && first.checked_add(count.into()).is_some();
    if !bytes.is_empty() || messages.is_empty() || !numbered {
        return Err(EnvelopeError::Malformed);
    }
    Ok(Batch { epoch: Epoch(epoch), first, online, messages })
}

fn message(bytes: &mut Bytes, excludes: bool) -> Result<Message, EnvelopeError> {
    let mut head = take(bytes, 2)?;
    let kind = match head.get_u8() {
        TEXT => Kind::Text,
        BINARY => Kind::Binary,
        _ => return Err(EnvelopeError::Malformed),
    };
    let from = match head.get_u8() {
        0 => None,
        length => Some(id(&take(bytes, length.into())?)?),
    };
    let left_out = if excludes { take(bytes, 2)?.get_u16() } else { 0 };
    let exclude: Result<Vec<ConnectionId>, _> =
        (0..left_out).map(|_| id(&take(bytes, size_of::<ConnectionId>())?)).collect();
    let exclude = Some(exclude?).filter(|exclude| !exclude.is_empty()).map(Into::into);
    let length = take(bytes, 4)?.get_u32();
    let payload = take(bytes, usize::try_from(length).map_err(|_| EnvelopeError::Malformed)?)?;
    if kind == Kind::Text && std::str::from_utf8(&payload).is_err() {
        return Err(EnvelopeError::Malformed);
    }
    Ok(Message { from, kind, payload, exclude })
}

fn id(bytes: &[u8]) -> Result<ConnectionId, EnvelopeError> {
    std::str::from_utf8(bytes).ok().and_then(|id| id.parse().ok()).ok_or(EnvelopeError::Malformed)
}

fn take(bytes: &mut Bytes, length: usize) -> Result<Bytes, EnvelopeError> {
    if bytes.len() < length { Err(EnvelopeError::Malformed) } else { Ok(bytes.split_to(length)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Incarnation;

    fn any_message() -> impl Strategy<Value = Message> {
        let id = || any::<([u8; 9], [u8; 15])>().prop_map(|(mine, own)| Incarnation::from_bytes(mine).connection(own));
        let exclude = proptest::option::weighted(0.2, proptest::collection::vec(id(), 1..4));
        let bytes = proptest::collection::vec(any::<u8>(), 0..40);
        (proptest::option::of(id()), any::<bool>(), ".{0,40}", bytes, exclude).prop_map(
            |(from, text, words, bytes, exclude)| Message {
                from,
                exclude: exclude.map(Into::into),
                kind: if text { Kind::Text } else { Kind::Binary },
                payload: if text { words.into() } else { bytes.into() },
            },
        )
    }

    proptest! {
        #[test]
        fn a_batch_comes_back_from_its_bytes(
            first in 1..u64::from(u32::MAX), online: u64, epoch in "[a-z0-9]{1,30}",
            messages in proptest::collection::vec(any_message(), 1..10),
        ) {
            let batch = Batch { epoch: Epoch(epoch.into()), first, online, messages };
            prop_assert_eq!(decode(encode(&batch)), Ok(batch));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = bytes;
            let _ = decode(bytes.clone().into());
            for known in [VERSION, VERSION_EXCLUDING] {
                if let Some(version) = bytes.first_mut() {
                    *version = known;
                }
                let _ = decode(bytes.clone().into());
            }
        }
    }

    #[test]
    fn only_a_batch_that_leaves_somebody_out_has_the_later_version() {
        let id = Incarnation::from_bytes([1; 9]).connection([2; 15]);
        let message = |exclude| Message { from: None, kind: Kind::Text, payload: "hi".into(), exclude };
        let written = |messages| encode(&Batch { epoch: Epoch("e".into()), first: 1, online: 1, messages })[0];
        assert_eq!(written(vec![message(None), message(None)]), 1);
        assert_eq!(written(vec![message(None), message(Some([id].into()))]), 2);
    }

    #[test]
    fn a_later_version_is_told_apart_from_rubbish() {
        assert_eq!(decode(Bytes::from_static(&[9, 1, 2])), Err(EnvelopeError::Version(9)));
        assert_eq!(decode(Bytes::new()), Err(EnvelopeError::Malformed));
    }
}
