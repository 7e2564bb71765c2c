//! Pure: may this client come in?

use std::net::IpAddr;

use http::HeaderMap;

/// What is known of a client when it asks to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    /// Its IP address, as the socket tells it.
    pub address: IpAddr,
    /// The `User-Agent` header, cut at 256 bytes.
    pub user_agent: Option<String>,
    /// The `Origin` header.
    pub origin: Option<String>,
    /// The headers of its request.
    pub headers: HeaderMap,
    /// What stood behind `?`.
    pub query: Option<String>,
}

/// Whether the gateway takes clients at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openness {
    /// It does.
    Open,
    /// Not yet: it is no member of the room.
    Joining,
    /// Not now: it has lost touch with the room.
    Isolated,
    /// No more: it is letting its clients go.
    Draining,
}

/// What an answer depends on besides the client.
#[derive(Clone, Copy, Debug)]
pub struct House<'a> {
    /// Whether the gateway takes clients.
    pub openness: Openness,
    /// Sockets held now, those included that are being let in. By the time the client takes its seat there may be more:
    /// the table of sessions has the last word.
    pub taken: usize,
    /// Sockets that may be held.
    pub seats: usize,
    /// Origins whose pages may connect; `None`: any.
    pub allowed_origins: Option<&'a [String]>,
}

/// Why a client may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// See [`Openness::Joining`].
    Joining,
    /// See [`Openness::Isolated`].
    Isolated,
    /// See [`Openness::Draining`].
    Draining,
    /// All seats are taken.
    Full,
    /// The page that the client belongs to comes from elsewhere.
    OriginNotAllowed,
}

/// Decides. The order is that of the costs: what concerns everybody first.
///
/// # Errors
/// The first reason against it.
pub fn decide(client: &ClientRequest, house: &House<'_>) -> Result<(), Denial> {
    match house.openness {
        Openness::Open => {}
        Openness::Joining => return Err(Denial::Joining),
        Openness::Isolated => return Err(Denial::Isolated),
        Openness::Draining => return Err(Denial::Draining),
    }
    if house.taken >= house.seats {
        return Err(Denial::Full);
    }
    match (&client.origin, house.allowed_origins) {
        // No Origin: not a browser. A program can claim any origin, so there is nothing to be gained by asking it.
        (None, _) | (_, None) => Ok(()),
        (Some(origin), Some(allowed)) => {
            let known = allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin));
            if known { Ok(()) } else { Err(Denial::OriginNotAllowed) }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(origin: Option<&str>) -> ClientRequest {
        ClientRequest {
            address: IpAddr::from([192, 0, 2, 1]),
            user_agent: None,
            origin: origin.map(str::to_owned),
            headers: HeaderMap::new(),
            query: None,
        }
    }

    fn house(allowed_origins: Option<&[String]>) -> House<'_> {
        House { openness: Openness::Open, taken: 0, seats: 10, allowed_origins }
    }

    #[test]
    fn an_origin_is_compared_whole_and_without_regard_to_case() {
        let allowed = ["https://chat.example.com".to_owned(), "http://localhost:3000".to_owned()];
        let cases = [
            (Some("https://chat.example.com"), true),
            (Some("HTTPS://Chat.Example.COM"), true),
            (Some("http://localhost:3000"), true),
            (None, true),
            (Some("http://chat.example.com"), false),
            (Some("https://chat.example.com:8443"), false),
            (Some("https://chat.example.com.evil.example"), false),
            (Some("https://evil.example"), false),
            (Some("https://example.com"), false),
            (Some("null"), false),
            (Some(""), false),
        ];
        for (origin, welcome) in cases {
            let expected = if welcome { Ok(()) } else { Err(Denial::OriginNotAllowed) };
            assert_eq!(decide(&client(origin), &house(Some(&allowed))), expected, "{origin:?}");
        }
    }

    #[test]
    fn null_is_an_origin_like_any_other_when_listed() {
        assert_eq!(decide(&client(Some("null")), &house(Some(&["null".to_owned()]))), Ok(()));
    }

    #[test]
    fn an_empty_list_is_not_an_absent_one() {
        assert_eq!(decide(&client(Some("https://a")), &house(Some(&[]))), Err(Denial::OriginNotAllowed));
        assert_eq!(decide(&client(Some("https://a")), &house(None)), Ok(()));
    }

    #[test]
    fn what_concerns_everybody_is_said_first() {
        let nobody = House { openness: Openness::Draining, taken: 10, seats: 10, allowed_origins: Some(&[]) };
        let stranger = client(Some("https://a"));
        assert_eq!(decide(&stranger, &nobody), Err(Denial::Draining));
        assert_eq!(decide(&stranger, &House { openness: Openness::Open, ..nobody }), Err(Denial::Full));
    }

    proptest! {
        #[test]
        fn nobody_comes_in_where_no_seat_is_left_or_the_house_is_closed(
            openness in prop::sample::select(vec![Openness::Open, Openness::Joining, Openness::Isolated, Openness::Draining]),
            taken in 0usize..20,
            seats in 0usize..20,
            origin in prop::option::of("https?://[a-c]{1,2}(:[0-9]{2})?"),
            allowed in prop::option::of(prop::collection::vec("https?://[a-c]{1,2}", 0..4)),
        ) {
            let house = House { openness, taken, seats, allowed_origins: allowed.as_deref() };
            let answer = decide(&client(origin.as_deref()), &house);
            let origin_is_fine = match (&origin, &allowed) {
                (Some(origin), Some(allowed)) => allowed.contains(origin),
                _ => true,
            };
            prop_assert_eq!(answer.is_ok(), openness == Openness::Open && taken < seats && origin_is_fine);
        }
    }
}
