//! A server of functions that takes notes and misbehaves as it is told: raw sockets, so that it can break every rule.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

const LONG: Duration = Duration::from_secs(30);

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// The connection's number, counted from 0.
    pub connection: usize,
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When it had been read.
    pub began: Instant,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub at: Instant,
    /// Whether there was an answer, which was written right after `at`. Otherwise one side closed the connection.
    pub answered: bool,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Then {
    /// An answer with a status, further header lines (each with `\r\n`) and a body; the connection is kept.
    Answer(u16, &'static str, String),
    /// Nothing, for as long as the caller likes.
    Hang,
    /// This, when the watched value becomes true.
    Wait(watch::Receiver<bool>, Box<Then>),
    /// This, after so long.
    After(Duration, Box<Then>),
    /// A status, and then a body of which a byte comes now and then, without end.
    Drip(u16),
    /// A status, and as much of a body as the caller takes.
    Gigabyte(u16),
    /// These bytes; then the connection is closed.
    Bytes(&'static str),
    /// The connection is closed without a word, after the request was read.
    Die,
    /// An answer, after which the connection is closed though nothing was said of that.
    AnswerAndClose(u16, String),
}

impl Then {
    pub fn status(status: u16) -> Self {
        Self::Answer(status, "", String::new())
    }

    pub fn ok(body: &str) -> Self {
        Self::Answer(200, "", body.into())
    }

    /// What the register function says to let a client in.
    pub fn accept() -> Self {
        Self::ok(r#"{"errNo":0,"errMsg":"ok"}"#)
    }
}

type Respond = Arc<dyn Fn(&Call) -> Then + Send + Sync>;

/// A server of functions; it ends when it is dropped.
pub struct FunctionServer {
    pub address: SocketAddr,
    notes: Notes,
    task: AbortHandle,
}

#[derive(Clone)]
struct Notes(Arc<watch::Sender<Noted>>);

#[derive(Default)]
struct Noted {
    calls: Vec<(Call, Option<Ended>)>,
    connections: usize,
}

impl Drop for FunctionServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FunctionServer {
    /// Answers each request as the closure says.
    pub fn start(respond: impl Fn(&Call) -> Then + Send + Sync + 'static) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), respond)
    }

    /// Answers each request in one way.
    pub fn always(then: Then) -> Self {
        Self::start(move |_| then.clone())
    }

    /// As [`Self::start`], at an address at which a server was before.
    pub fn start_at(address: SocketAddr, respond: impl Fn(&Call) -> Then + Send + Sync + 'static) -> Self {
        Self::serve(address, Arc::new(respond), None)
    }

    /// As [`Self::start`], behind TLS.
    pub fn start_tls(tls: tokio_rustls::TlsAcceptor, respond: impl Fn(&Call) -> Then + Send + Sync + 'static) -> Self {
        Self::serve((Ipv4Addr::LOCALHOST, 0).into(), Arc::new(respond), Some(tls))
    }

    /// Accepts connections and closes them, without reading anything.
    pub fn dies_after_accept() -> Self {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into());
        let (address, notes) = (listener.local_addr().unwrap(), Notes::new());
        let noted = notes.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                noted.connection();
                drop(stream);
            }
        });
        Self { address, notes, task: task.abort_handle() }
    }

    fn serve(address: SocketAddr, respond: Respond, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = listen(address);
        let (address, notes) = (listener.local_addr().unwrap(), Notes::new());
        let noted = notes.clone();
        let task = tokio::spawn(async move {
            // They end with the server.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (connection, respond, noted, tls) =
                    (noted.connection(), respond.clone(), noted.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => talk(BufStream::new(stream), connection, &respond, &noted).await,
                        Some(tls) => {
                            talk(BufStream::new(tls.accept(stream).await?), connection, &respond, &noted).await
                        }
                    }
                });
            }
        });
        Self { address, notes, task: task.abort_handle() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far, in the order in which they had been read.
    pub fn calls(&self) -> Vec<Call> {
        self.journal().into_iter().map(|(call, _)| call).collect()
    }

    /// As [`Self::calls`], with how each ended if it did.
    pub fn journal(&self) -> Vec<(Call, Option<Ended>)> {
        self.notes.0.borrow().calls.clone()
    }

    /// Waits until the journal is as wanted.
    pub async fn until(&self, met: impl Fn(&[(Call, Option<Ended>)]) -> bool) {
        // The sender is part of `self`.
        let _ = self.notes.0.subscribe().wait_for(|noted| met(&noted.calls)).await;
    }

    pub fn connections(&self) -> usize {
        self.notes.0.borrow().connections
    }

    /// Waits until so many requests were read, and hands them out.
    pub async fn heard(&self, calls: usize) -> Vec<Call> {
        let heard = tokio::time::timeout(LONG, self.until(|noted| noted.len() >= calls)).await;
        assert!(heard.is_ok(), "{} of {calls} calls within 30 s", self.calls().len());
        self.calls()
    }
}

impl Notes {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Noted::default())))
    }

    /// Answers with the call's number, counted from 0.
    fn began(&self, call: Call) -> usize {
        let mut number = 0;
        self.0.send_modify(|noted| {
            number = noted.calls.len();
            noted.calls.push((call, None));
        });
        number
    }

    /// Once for a call: what is told later does not count.
    fn ended(&self, call: usize, answered: bool) {
        self.0.send_modify(|noted| _ = noted.calls[call].1.get_or_insert(Ended { at: Instant::now(), answered }));
    }

    fn connection(&self) -> usize {
        let mut number = 0;
        self.0.send_modify(|noted| {
            number = noted.connections;
            noted.connections += 1;
        });
        number
    }
}

/// An address at which nobody listens.
pub fn nobody() -> SocketAddr {
    listen((Ipv4Addr::LOCALHOST, 0).into()).local_addr().unwrap()
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1024).unwrap()
}

async fn talk(
    mut stream: BufStream<impl AsyncRead + AsyncWrite + Unpin>,
    connection: usize,
    respond: &Respond,
    notes: &Notes,
) -> io::Result<()> {
    while let Some(call) = read(&mut stream, connection).await? {
        let then = respond(&call);
        let call = notes.began(call);
        let kept = act(&mut stream, then, || notes.ended(call, true)).await;
        notes.ended(call, false);
        if !kept? {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the connection is kept. `answers` is called right before there is an answer.
async fn act(
    stream: &mut BufStream<impl AsyncRead + AsyncWrite + Unpin>,
    then: Then,
    answers: impl FnOnce(),
) -> io::Result<bool> {
    let (then, kept) = match unless_hung_up(stream, then).await? {
        None => return Ok(false),
        Some(Then::AnswerAndClose(status, body)) => (Then::Answer(status, "", body), false),
        Some(then) => (then, true),
    };
    match then {
        Then::Answer(status, headers, body) => {
            answers();
            let length = body.len();
            let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n{headers}\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
            stream.flush().await?;
            return Ok(kept);
        }
        Then::Bytes(bytes) => {
            stream.write_all(bytes.as_bytes()).await?;
            stream.flush().await?;
        }
        Then::Hang => {
            // Until the caller has had enough.
            let _ = stream.read_u8().await;
        }
        Then::Drip(status) => {
            head_without_end(stream, status).await?;
            loop {
                stream.write_all(b"1\r\n \r\n").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Then::Gigabyte(status) => {
            head_without_end(stream, status).await?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            for _ in 0..0x4000 {
                stream.write_all(chunk.as_bytes()).await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
            stream.flush().await?;
        }
        Then::Die | Then::Wait(..) | Then::After(..) | Then::AnswerAndClose(..) => {}
    }
    Ok(false)
}

/// What is to be done when all that is waited for has come; nothing, if the caller had enough before.
async fn unless_hung_up(
    stream: &mut BufStream<impl AsyncRead + AsyncWrite + Unpin>,
    mut then: Then,
) -> io::Result<Option<Then>> {
    loop {
        let (mut until, time, next) = match then {
            Then::Wait(until, next) => (Some(until), Duration::MAX, next),
            Then::After(time, next) => (None, time, next),
            then => return Ok(Some(then)),
        };
        let waited = async {
            match &mut until {
                Some(until) => _ = until.wait_for(|over| *over).await,
                None => tokio::time::sleep(time).await,
            }
        };
        tokio::select! {
            () = waited => then = *next,
            // A caller does not send anything before it has its answer.
            read = stream.fill_buf() => return read.map(|_| None),
        }
    }
}

async fn head_without_end(stream: &mut BufStream<impl AsyncRead + AsyncWrite + Unpin>, status: u16) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status} Said\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn read(
    stream: &mut BufStream<impl AsyncRead + AsyncWrite + Unpin>,
    connection: usize,
) -> io::Result<Option<Call>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines[0].split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let header = |line: &String| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let mut call = Call {
        connection,
        method,
        path,
        headers: lines[1..].iter().map(header).collect(),
        body: Vec::new(),
        began: Instant::now(),
    };
    let length = call.header("content-length").map_or(0, |length| length.parse().unwrap());
    call.body = vec![0; length];
    stream.read_exact(&mut call.body).await?;
    call.began = Instant::now();
    Ok(Some(call))
}
