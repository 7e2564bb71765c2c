//! Names for calls: random UUIDs (RFC 9562, version 4).

/// A new one, as text.
///
/// # Panics
/// When the operating system has no randomness to give, as nothing would be safe then.
pub(super) fn random() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    text(bytes)
}

fn text(bytes: [u8; 16]) -> String {
    const VERSION_4: u128 = 0x4 << 76;
    const VARIANT: u128 = 0b10 << 62;
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62) | VERSION_4 | VARIANT;
    let digits = format!("{number:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_uuid_of_version_4() {
        assert_eq!(text([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(text([255; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_ne!(random(), random());
    }
}
