//! Whose certificates are believed, and the HTTP client that believes them.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tracing::{info, warn};

use super::client::{self, Client};
use crate::credential::{Credential, Found};

/// A client, and how it came to its roots: the public ones, and the room's own if it has any.
#[derive(Debug)]
pub struct Trust {
    client: Client,
    own: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Missing,
    /// What is in the file is no roots: the last good ones stay.
    Refused(&'static str),
}

impl Trust {
    /// The public roots alone.
    #[must_use]
    pub fn public() -> Self {
        Self { client: client::new(public_roots()), own: 0, state: State::Good }
    }

    /// Whoever connects with these roots.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether there is no file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.state == State::Missing
    }

    /// Whether there is a file and it is of no use.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused(_))
    }
}

impl Credential for Trust {
    /// Who takes the file away must be believed; one that cannot be read is a mistake, and the last good one stays.
    fn read(found: Found<'_>, before: Option<&Self>) -> Self {
        let refused = |why| match before {
            Some(before) => Self { client: before.client.clone(), own: before.own, state: State::Refused(why) },
            None => Self { state: State::Refused(why), ..Self::public() },
        };
        match found {
            Found::Nothing => Self { state: State::Missing, ..Self::public() },
            Found::Unreadable(_) => refused("it cannot be read as text"),
            Found::Text(text) => match own_roots(text) {
                Ok((roots, own)) => Self { client: client::new(roots), own, state: State::Good },
                Err(why) => refused(why),
            },
        }
    }

    fn tell(&self, path: &Path, first: bool) {
        let path = path.display();
        match self.state {
            State::Good if first => {}
            State::Good => info!(%path, certificates = self.own, "took over new roots"),
            State::Missing => warn!(%path, "there are no own roots, only the public ones are trusted"),
            State::Refused(why) => warn!(%path, why, "refused the own roots, the last good ones stay"),
        }
    }
}

fn public_roots() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// The public roots and those of the text, and how many the latter are. One that is no good spoils them all: a
/// function behind it would fail without a word.
fn own_roots(text: &str) -> Result<(Arc<RootCertStore>, usize), &'static str> {
    let mut roots = public_roots();
    let mut own = 0;
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|_| "it is not PEM")?;
        roots.add(certificate).map_err(|_| "a certificate in it cannot be a root")?;
        own += 1;
    }
    if own == 0 { Err("it holds no certificate") } else { Ok((Arc::new(roots), own)) }
}
