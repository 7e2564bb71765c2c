//! Free ports of the loopback address.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Where looking begins: below the ephemeral range, so that no outgoing connection takes a port between look and use.
const FIRST: u16 = 20_000;
/// Where looking ends.
const LAST: u16 = 31_000;
/// Ports that one call sets aside, so that tests of one process do not look at the same ones.
const BLOCK: u16 = 100;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// The first of 100 ports in a row that nobody listens on. Two calls in one process never answer the same.
///
/// # Panics
/// When no such row is left.
#[must_use]
pub fn free_block() -> u16 {
    let blocks = (LAST - FIRST) / BLOCK;
    // Test programs that run beside each other begin at different places.
    let begin = u16::try_from(std::process::id() % u32::from(blocks)).expect("it is below a u16");
    for _ in 0..blocks {
        let index = (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % blocks;
        let first = FIRST + index * BLOCK;
        if (first..first + BLOCK).all(is_free) {
            return first;
        }
    }
    panic!("no {BLOCK} free ports in a row between {FIRST} and {LAST}");
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
