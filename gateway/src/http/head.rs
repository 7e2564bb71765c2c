//! Pure: is what a client sends the head of a good HTTP/1 request, byte for byte?
//!
//! The HTTP library behind this is lenient where leniency is how one request is understood in two ways (bare line
//! feeds, a `Content-Length` beside a `Transfer-Encoding`), and answers what it refuses without a body. So the head is
//! looked at first, and the library sees only heads that are good.

use super::problem::Refusal;

/// Bytes of a request line that are read; RFC 9112 (3) asks for 8000 at least.
pub const MAX_REQUEST_LINE_BYTES: usize = 8 * 1024;
/// Bytes of a whole head that are read.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Header fields that are read.
pub const MAX_FIELDS: usize = 64;

/// A head that is being read. Remembers where it was, so that a head that comes byte by byte costs no more than one
/// that comes at once.
#[derive(Debug, Default)]
pub struct HeadScan {
    position: usize,
    line_start: usize,
    request_line_seen: bool,
    fields: usize,
    content_length: bool,
    transfer_encoding: bool,
}

impl HeadScan {
    /// Looks at what is there by now, from its beginning; the bytes seen before must still be the same. Gives the
    /// length of the head once it is complete, and `None` while more has to come.
    ///
    /// # Errors
    /// As soon as the head cannot become a good one.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(&byte) = bytes.get(self.position) {
            let after_carriage_return = self.position > 0 && bytes[self.position - 1] == b'\r';
            match byte {
                b'\n' if !after_carriage_return => {
                    return Err(Refusal::MalformedRequest("a line ends with a bare line feed"));
                }
                _ if byte != b'\n' && after_carriage_return => {
                    return Err(Refusal::MalformedRequest("a carriage return without a line feed"));
                }
                b'\n' => {
                    let line = &bytes[self.line_start..self.position - 1];
                    self.line_start = self.position + 1;
                    if self.ends_with(line)? {
                        return Ok(Some(self.line_start));
                    }
                }
                b'\r' | b'\t' | b' '..=b'~' | 0x80.. => {}
                _ => return Err(Refusal::MalformedRequest("a control character in the head of the request")),
            }
            self.position += 1;
            if !self.request_line_seen && self.position - self.line_start > MAX_REQUEST_LINE_BYTES {
                return Err(Refusal::UriTooLong);
            }
            if self.position >= MAX_HEAD_BYTES {
                return Err(Refusal::HeadersTooLarge);
            }
        }
        Ok(None)
    }

    /// Takes one line without its end; true when it is the one that ends the head.
    fn ends_with(&mut self, line: &[u8]) -> Result<bool, Refusal> {
        if !self.request_line_seen {
            // RFC 9112 (2.2): empty lines before the request line are ignored.
            if !line.is_empty() {
                request_line(line)?;
                self.request_line_seen = true;
            }
            return Ok(false);
        }
        if line.is_empty() {
            return Ok(true);
        }
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Refusal::HeadersTooLarge);
        }
        self.field(line)?;
        Ok(false)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if matches!(line[0], b' ' | b'\t') {
            return Err(Refusal::MalformedRequest("a header field is folded over several lines"));
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = match colon {
            Some(colon) if colon > 0 && line[..colon].iter().all(|&byte| is_token(byte)) => {
                (&line[..colon], line[colon + 1..].trim_ascii())
            }
            _ => return Err(Refusal::MalformedRequest("a header field's name is not a token followed by a colon")),
        };
        if name.eq_ignore_ascii_case(b"content-length") {
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) || value.len() > 18 || self.content_length {
                return Err(Refusal::MalformedRequest("Content-Length must be one number"));
            }
            self.content_length = true;
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") || self.transfer_encoding {
                return Err(Refusal::MalformedRequest("Transfer-Encoding must be chunked"));
            }
            self.transfer_encoding = true;
        }
        if self.content_length && self.transfer_encoding {
            return Err(Refusal::MalformedRequest("Content-Length and Transfer-Encoding exclude each other"));
        }
        Ok(())
    }
}

fn request_line(line: &[u8]) -> Result<(), Refusal> {
    let malformed = Refusal::MalformedRequest("the request line is not `METHOD target HTTP/1.1`");
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed);
    };
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(malformed);
    }
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" => {}
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Refusal::VersionNotSupported);
        }
        _ => return Err(malformed),
    }
    match http::Uri::try_from(target) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::MalformedRequest("the request target is not a URI")),
    }
}

/// `tchar` of RFC 9110 (5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        HeadScan::default().advance(bytes)
    }

    const GOOD: &[u8] = b"GET /chat?x=1 HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n";

    #[test]
    fn a_good_head_is_complete_where_it_ends() {
        let with_more = [GOOD, b"\x81\x85...."].concat();
        assert_eq!(scan(&with_more), Ok(Some(GOOD.len())));
    }

    #[test]
    fn a_head_that_has_begun_wants_more() {
        for end in 0..GOOD.len() {
            assert_eq!(scan(&GOOD[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn empty_lines_before_the_request_are_ignored() {
        assert_eq!(scan(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Some(22)));
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_right_code() {
        let long_target = format!("GET /{} HTTP/1.1\r\n", "a".repeat(70_000));
        let long_field = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(500_000));
        let many_fields = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(150));
        let cases: &[(&[u8], &str)] = &[
            (b"GET / HTTP/1.1\nHost: a\n\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nHost: a\rB: c\r\n\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nHo st: a\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nHost : a\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\n: a\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nHost\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nA: b\0c\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nA: b\r\n c\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\n A: b\r\n", "malformed_request"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "malformed_request"),
            (b"GET  / HTTP/1.1\r\n", "malformed_request"),
            (b"GET /\r\n", "malformed_request"),
            (b"GET / HTTP/1.1 \r\n", "malformed_request"),
            (b"G\xc3\xa4T / HTTP/1.1\r\n", "malformed_request"),
            (b"GET /\xff<> HTTP/1.1\r\n", "malformed_request"),
            (b"GET / HTCPCP/1.0\r\n", "malformed_request"),
            (b"PRI * HTTP/2.0\r\n", "http_version_not_supported"),
            (b"GET / HTTP/1.2\r\n", "http_version_not_supported"),
            (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nContent-Length: +1\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n", "malformed_request"),
            (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n", "malformed_request"),
            (long_target.as_bytes(), "uri_too_long"),
            (long_field.as_bytes(), "headers_too_large"),
            (many_fields.as_bytes(), "headers_too_large"),
        ];
        for (bytes, code) in cases {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
            assert_eq!(scan(bytes).map_err(Refusal::code), Err(*code), "{shown:?}");
        }
    }

    #[test]
    fn sixty_four_fields_are_not_too_many() {
        let head = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_FIELDS));
        assert_eq!(scan(head.as_bytes()), Ok(Some(head.len())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_met_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = scan(&bytes);
        }

        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            bytes in prop_oneof![
                "[A-Z]{1,4} /[a-z<]{0,9} HTTP/[12]\\.[01]\r\n([A-Za-z]{1,9}: ?[a-z ]{0,5}\r?\n){0,4}\r\n".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..200),
            ],
            cuts in prop::collection::vec(0usize..200, 0..5),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut cut_scan = HeadScan::default();
            let mut outcome = Ok(None);
            for cut in cuts {
                outcome = cut_scan.advance(&bytes[..cut]);
                if outcome != Ok(None) { break; }
            }
            prop_assert_eq!(outcome, scan(&bytes));
        }
    }
}
