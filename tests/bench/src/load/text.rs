//! Pure: what is said. All texts are of one length and no two are alike, so that none is taken for another.

/// Bytes of each text.
pub(crate) const PAYLOAD_BYTES: usize = 200;
/// Begins a text that the transport function takes note of.
pub(crate) const NOTE: &str = "note";
/// Begins a text that the transport function pushes to another client.
pub(crate) const PASS_ON: &str = "pass";

/// The text of this number.
pub(crate) fn payload(word: &str, number: u64) -> String {
    format!("{:.<PAYLOAD_BYTES$}", format!("{word} {number:010} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_of_one_length_and_differ() {
        assert_eq!(payload(NOTE, 7).len(), PAYLOAD_BYTES);
        assert!(payload(PASS_ON, u64::MAX).starts_with(PASS_ON));
        assert_ne!(payload(NOTE, 7), payload(NOTE, 8));
    }
}
