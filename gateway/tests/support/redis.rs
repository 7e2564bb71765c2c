//! A real Redis of the test's own, on a free port of this machine, ended with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chatroom_gateway::backplane::{self, Backplane};
use chatroom_settings::RedisBackplane;

pub struct Server {
    child: Child,
    pub port: u16,
    arguments: Vec<String>,
    pub directory: tempfile::TempDir,
}

impl Server {
    /// Nothing, and a line that says so, on a machine without Redis.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("SKIPPED: there is no redis-server on PATH");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        // Somebody else may take the port between the look and the start.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(child) = run(port, &arguments, directory.path()) {
                return Some(Self { child, port, arguments, directory });
            }
        }
        panic!("no redis-server came up on ten free ports");
    }

    /// A new prefix is a new room.
    pub fn backplane(&self, room: &str) -> Arc<dyn Backplane> {
        self.backplane_as(room, &format!("redis://127.0.0.1:{}", self.port))
    }

    pub fn backplane_as(&self, room: &str, url: &str) -> Arc<dyn Backplane> {
        let credentials = self.directory.path().join(room);
        std::fs::create_dir_all(&credentials).unwrap();
        std::fs::write(credentials.join("url"), url).unwrap();
        let settings = RedisBackplane { key_prefix: prefix(room), address: None };
        backplane::open(&chatroom_settings::Backplane::Redis(settings), &credentials)
    }

    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(("127.0.0.1", self.port)).unwrap().get_connection().unwrap()
    }

    pub fn query<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| _ = command.arg(word));
        command.query(&mut self.connection()).unwrap()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// On the same port, without what it knew.
    pub fn start_again(&mut self) {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if let Some(child) = run(self.port, &self.arguments, self.directory.path()) {
                self.child = child;
                return;
            }
        }
        panic!("redis-server did not come back on port {}", self.port);
    }
}

pub fn prefix(room: &str) -> String {
    format!("cr1:{{{room}}}:")
}

fn run(port: u16, arguments: &[String], directory: &Path) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
        .arg(directory)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let client = redis::Client::open(("127.0.0.1", port)).unwrap();
    // An answer of any kind will do: a server with a password refuses, and is up.
    while child.try_wait().unwrap().is_none() {
        match client.get_connection_with_timeout(Duration::from_millis(200)) {
            Ok(mut connection) => {
                let answer = redis::cmd("INFO").arg("server").query::<String>(&mut connection);
                if answer.is_err() || answer.is_ok_and(|info| info.contains(&format!("process_id:{}", child.id()))) {
                    return Some(child);
                }
            }
            Err(error) if error.is_io_error() => {}
            Err(_) => return Some(child),
        }
    }
    None
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
