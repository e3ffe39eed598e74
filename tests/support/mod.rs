//! The server fixture: the real program, a real socket, and a client that shows every byte.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses the part it needs"
)]

pub mod frames;
pub mod group;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Puts a file in place the way careful programs do: whole, by a rename.
pub fn put(path: &Path, content: &[u8]) {
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, content).unwrap();
    std::fs::rename(&temporary, path).unwrap();
}

/// A command of the program under test, with nothing of the environment that could configure it.
pub fn janus() -> Command {
    unconfigured(Command::new(env!("CARGO_BIN_EXE_janus")))
}

/// The same, in a control group.
pub fn janus_in(group: &group::Group) -> Command {
    unconfigured(group.command(Path::new(env!("CARGO_BIN_EXE_janus"))))
}

fn unconfigured(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("JANUS_") || name == "PORT" {
            command.env_remove(name);
        }
    }
    command
}

/// A running server. It is ended when dropped.
pub struct Server {
    child: Child,
    log: Receiver<String>,
    seen: VecDeque<String>,
    pub address: SocketAddr,
    pub admin_address: Option<SocketAddr>,
}

impl Server {
    /// Starts `janus serve` on a free port and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        let mut server = Self::start_loading(arguments);
        server.wait_for("\"message\":\"ready\"");
        server
    }

    /// Starts a server of a file with this content.
    pub fn of_file(path: &Path, arguments: &[&str]) -> Self {
        let mut all = vec!["--data", path.to_str().expect("test paths are text")];
        all.extend_from_slice(arguments);
        Self::start(&all)
    }

    /// As `start`, but waits only for the port to be bound.
    pub fn start_loading(arguments: &[&str]) -> Self {
        Self::spawn(
            janus()
                .arg("serve")
                .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
                .args(arguments),
        )
    }

    fn launch(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("standard error is piped");
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let unbound = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            child,
            log,
            seen: VecDeque::new(),
            address: unbound,
            admin_address: None,
        }
    }

    /// Starts a whole command line that writes its log as text, and waits until it is ready.
    pub fn spawn_text(command: &mut Command) -> Self {
        let mut server = Self::launch(command);
        let line = server.wait_for(" listening ");
        let address = line.split(' ').find_map(|word| word.strip_prefix("address="));
        server.address = address
            .expect("the line names the address")
            .parse()
            .expect("an address");
        server.wait_for(" ready ");
        server
    }

    /// Starts a whole command line that writes its log as JSON.
    pub fn spawn(command: &mut Command) -> Self {
        let mut server = Self::launch(command);
        let line = server.wait_for("\"message\":\"listening\"");
        let fields: serde_json::Value = serde_json::from_str(&line).expect("a log line is JSON");
        let address = |name: &str| {
            fields["fields"][name]
                .as_str()
                .map(|text| text.parse().expect("an address"))
        };
        server.address = address("address").expect("the line names the address");
        server.admin_address = address("admin_address");
        server
    }

    /// Waits for the next log line that holds `text`, and returns it.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self
                .log
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    let found = line.contains(text);
                    self.seen.push_back(line);
                    if found {
                        return self.seen.back().expect("just pushed").clone();
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("no log line with {text}; seen: {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without a log line with {text}; seen: {:#?}", self.seen)
                }
            }
        }
    }

    /// Every log line so far, without waiting.
    pub fn log_so_far(&mut self) -> Vec<String> {
        self.seen.extend(self.log.try_iter());
        self.seen.iter().cloned().collect()
    }

    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("standard input is taken once")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).expect("a child has a pid");
        rustix::process::kill_process(pid, signal).expect("the child is there");
    }

    /// Waits for the program's end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            // Its standard error ends with it, so waiting for lines is waiting for the end.
            match self.log.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => self.seen.push_back(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().expect("a child can be waited for"),
            }
        }
        panic!("still running; seen: {:#?}", self.seen)
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own.
    pub fn get(&self, path: &str) -> Response {
        self.connect().get(path, &[])
    }

    /// One request with header fields on a connection of its own.
    pub fn get_with(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.connect().get(path, fields)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Status line and header section as they came.
    pub head: String,
}

impl Response {
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(field, _)| field == name)
            .map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} comes once: {}", self.head);
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self))
    }

    /// The stable code of a problem.
    #[track_caller]
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.field("content-type"),
            Some("application/problem+json"),
            "{}",
            self.head
        );
        let body = self.json();
        assert_eq!(body["status"], self.status);
        for member in ["type", "title", "detail"] {
            assert!(body[member].is_string(), "{body}");
        }
        (self.status, body["code"].as_str().expect("a code").to_owned())
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("the server accepts"))
    }

    /// From another address of this machine.
    pub fn connect_from(address: &str, to: SocketAddr) -> Self {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let from: std::net::IpAddr = address.parse().expect("an address");
        socket
            .bind(&SocketAddr::new(from, 0).into())
            .expect("it is of this machine");
        socket.connect(&to.into()).expect("the server accepts");
        Self::of(socket.into())
    }

    /// On a connection that is there.
    pub fn of(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes a timeout");
        stream.set_nodelay(true).expect("a socket takes nodelay");
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub fn get(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.request("GET", path, fields)
    }

    pub fn request(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) -> Response {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        self.send(request.as_bytes());
        self.receive(method).expect("an answer")
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the server reads");
    }

    /// As `send`, for a server that may be gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one answer to a request with this method; `None` at the connection's end.
    pub fn receive(&mut self, method: &str) -> Option<Response> {
        self.try_receive(method).expect("a whole answer")
    }

    /// As `receive`, with the connection's failures.
    pub fn try_receive(&mut self, method: &str) -> std::io::Result<Option<Response>> {
        let mut head = String::new();
        loop {
            let length = self.stream.read_line(&mut head)?;
            if length == 0 {
                return if head.is_empty() {
                    Ok(None)
                } else {
                    Err(std::io::ErrorKind::UnexpectedEof.into())
                };
            }
            if head.ends_with("\r\n\r\n") {
                break;
            }
        }
        let mut lines = head.lines();
        let status_line = lines.next().expect("a status line");
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status code");
        let fields: Vec<(String, String)> = lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (name, value) = line
                    .split_once(": ")
                    .unwrap_or_else(|| panic!("not a header line: {line}"));
                (name.to_ascii_lowercase(), value.to_owned())
            })
            .collect();
        let length = fields
            .iter()
            .find(|(name, _)| name == "content-length")
            .map_or(0, |(_, value)| value.parse().expect("a length is a number"));
        let bodyless = method == "HEAD" || status == 304 || status == 204;
        let mut body = vec![0; if bodyless { 0 } else { length }];
        self.stream.read_exact(&mut body)?;
        Ok(Some(Response {
            status,
            fields,
            body,
            head,
        }))
    }

    /// Whatever else comes until the server closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("the server closes");
        rest
    }

    /// Whether the server closes without sending any more.
    pub fn is_closed(&mut self) -> bool {
        self.rest().is_empty()
    }

    pub fn set_timeout(&self, timeout: Duration) {
        self.stream
            .get_ref()
            .set_read_timeout(Some(timeout))
            .expect("a socket takes a timeout");
    }

    /// Waits until there is something to read, and leaves it there.
    pub fn peek(&mut self, buffer: &mut [u8]) {
        assert_eq!(
            self.stream.get_ref().peek(buffer).expect("something comes"),
            buffer.len()
        );
    }

    pub fn read_exact(&mut self, buffer: &mut [u8]) {
        self.stream.read_exact(buffer).expect("that much comes");
    }

    pub fn shutdown_write(&self) {
        self.stream
            .get_ref()
            .shutdown(std::net::Shutdown::Write)
            .expect("the socket is open");
    }
}

/// Undoes a content coding.
pub fn decode(coding: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut reader: Box<dyn Read + '_> = match coding {
        None => Box::new(body),
        Some("br") => Box::new(brotli::Decompressor::new(body, 4096)),
        Some("zstd") => Box::new(zstd::Decoder::new(body).expect("a frame")),
        Some("gzip") => Box::new(flate2::read::GzDecoder::new(body)),
        Some(other) => panic!("unknown coding {other}"),
    };
    reader.read_to_end(&mut decoded).expect("a whole coded body");
    decoded
}
