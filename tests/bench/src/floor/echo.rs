//! The least that a request over HTTP costs: a server on hyper, as the gateway is, that sends back what it got.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chatroom_tests::process::Process;
use tokio::net::TcpListener;

use super::Program;
use crate::http::{Poster, serve};
use crate::say;

/// The server's process and a connection to it.
#[derive(Debug)]
pub(super) struct Echo {
    poster: Poster,
    _process: Process,
}

impl Echo {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let (process, url) = Program::Echo.start().await?;
        Ok(Self { poster: Poster::connect(&url).await?, _process: process })
    }

    /// From the POST to the end of its answer.
    pub(super) async fn time(&mut self, body: Bytes) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.poster.post(body).await?;
        Ok(begun.elapsed())
    }
}

/// The server.
pub(super) async fn run() -> anyhow::Result<Infallible> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(&format!("http://{}/", listener.local_addr()?))?;
    serve(listener, |_, body| std::future::ready(body)).await
}
