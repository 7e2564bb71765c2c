//! The functions of the room's owner: a server that lets everybody in, notes when it has read what a client said, and pushes it
//! on when the text says so.
//!
//! It has a thread of its own in the bench's process: so one clock tells when a client spoke and when the function knew.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Uri;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::pusher::{Pusher, data_send};
use super::text::PASS_ON;
use crate::http::serve;

/// Where the register function is.
pub(crate) const REGISTER: &str = "/register";
/// Where the transport function is.
pub(crate) const TRANSPORT: &str = "/transport";

/// What nobody asked about yet: two of each call, and one call at a time.
const NOTES: usize = 16;

/// What the functions did, in order.
#[derive(Debug)]
enum Note {
    /// A client with this ID was let in.
    Registered(String),
    /// A transport call was read at this time.
    Read(Instant),
    /// Its text was pushed on, and that was answered.
    PassedOn,
    /// That failed.
    Failed(anyhow::Error),
}

/// The running functions.
#[derive(Debug)]
pub(crate) struct Function {
    address: SocketAddr,
    listener: Arc<OnceLock<Listener>>,
    notes: mpsc::Receiver<Note>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// To whom texts are passed on.
#[derive(Debug)]
struct Listener {
    push_url: String,
    id: String,
}

#[derive(Clone)]
struct Server {
    listener: Arc<OnceLock<Listener>>,
    pusher: Arc<Mutex<Option<Pusher>>>,
    notes: mpsc::Sender<Note>,
}

#[derive(Deserialize)]
struct Event {
    websocket: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "secConnectionID")]
    connection: String,
    #[serde(default)]
    data: String,
}

impl Function {
    /// Starts the server.
    ///
    /// # Errors
    /// When there is no port or no thread for it.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to open a port")?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let listener = Arc::<OnceLock<Listener>>::default();
        let (sender, notes) = mpsc::channel(NOTES);
        let (end, ended) = oneshot::channel::<()>();
        let server = Server { listener: Arc::clone(&listener), pusher: Arc::default(), notes: sender };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = server.run(socket) => {}
                    _ = ended => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("functions".to_owned()).spawn(run)?;
        Ok(Self { address, listener, notes, end: Some(end), thread: Some(thread) })
    }

    /// The URL of one of its paths.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on texts are passed on to this client.
    pub(crate) fn pass_on_to(&self, push_url: &str, id: &str) {
        let listener = Listener { push_url: push_url.to_owned(), id: id.to_owned() };
        // The first one stays; a run has no other.
        let _ = self.listener.set(listener);
    }

    /// The ID of the client that was let in next.
    ///
    /// # Errors
    /// When something else happened.
    pub(crate) async fn registered(&mut self) -> anyhow::Result<String> {
        match self.next().await? {
            Note::Registered(id) => Ok(id),
            other => bail!("a client should have been let in, and not {other:?}"),
        }
    }

    /// When the next transport call was read.
    ///
    /// # Errors
    /// When something else happened.
    pub(crate) async fn read(&mut self) -> anyhow::Result<Instant> {
        match self.next().await? {
            Note::Read(at) => Ok(at),
            other => bail!("a transport call should have come, and not {other:?}"),
        }
    }

    /// Waits until the text of that call was passed on.
    ///
    /// # Errors
    /// When that failed.
    pub(crate) async fn passed_on(&mut self) -> anyhow::Result<()> {
        match self.next().await? {
            Note::PassedOn => Ok(()),
            other => bail!("a text should have been passed on, and not {other:?}"),
        }
    }

    async fn next(&mut self) -> anyhow::Result<Note> {
        match self.notes.recv().await.context("the functions ended")? {
            Note::Failed(error) => Err(error.context("a function failed")),
            note => Ok(note),
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Server {
    async fn run(self, socket: std::net::TcpListener) {
        let server = self.clone();
        let answer = move |path: Uri, body: Bytes| {
            let server = server.clone();
            async move { server.answer(path.path(), &body).await }
        };
        let served = match TcpListener::from_std(socket) {
            Ok(socket) => serve(socket, answer).await,
            Err(error) => Err(error.into()),
        };
        let Err(error) = served;
        self.note(Note::Failed(error)).await;
    }

    async fn answer(&self, path: &str, body: &[u8]) -> Bytes {
        // First of all: this is what the bench asks for.
        let read = Instant::now();
        let done = match path {
            REGISTER => self.register(body).await,
            _ => self.transport(body, read).await,
        };
        match done {
            Ok(answer) => answer,
            Err(error) => {
                self.note(Note::Failed(error)).await;
                Bytes::new()
            }
        }
    }

    async fn register(&self, body: &[u8]) -> anyhow::Result<Bytes> {
        let event: Event = serde_json::from_slice(body).context("an event cannot be read")?;
        self.note(Note::Registered(event.websocket.connection)).await;
        Ok(Bytes::from_static(br#"{"errNo":0,"errMsg":"ok"}"#))
    }

    async fn transport(&self, body: &[u8], read: Instant) -> anyhow::Result<Bytes> {
        let event: Event = serde_json::from_slice(body).context("an event cannot be read")?;
        self.note(Note::Read(read)).await;
        if event.websocket.data.starts_with(PASS_ON) {
            self.pass_on(&event.websocket.data).await?;
            self.note(Note::PassedOn).await;
        }
        Ok(Bytes::from_static(b"send success"))
    }

    async fn pass_on(&self, text: &str) -> anyhow::Result<()> {
        let listener = self.listener.get().context("nobody listens yet")?;
        let mut kept = self.pusher.try_lock().context("two calls at a time were not asked for")?;
        let pusher = match &mut *kept {
            Some(pusher) => pusher,
            none => none.insert(Pusher::connect(&listener.push_url).await?),
        };
        pusher.push(data_send(&listener.id, text)).await
    }

    async fn note(&self, note: Note) {
        // Nobody listens when the bench has ended.
        let _ = self.notes.send(note).await;
    }
}
