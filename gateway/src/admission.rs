//! Pure: may this client come in?

use std::net::IpAddr;

/// What is known of a client when it asks to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    /// Its IP address, as the socket tells it.
    pub address: IpAddr,
    /// The `User-Agent` header, cut at 256 bytes.
    pub user_agent: Option<String>,
    /// The `Origin` header.
    pub origin: Option<String>,
    /// The subprotocols it offers, in its order.
    pub subprotocols: Vec<String>,
}
