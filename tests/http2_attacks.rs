//! What clients of HTTP/2 cost that mean no good, in a control group of the chart's limit.
//!
//! Each attack is led on many connections at once, and ends by itself. What one of them may cost over what it has sent is a
//! figure here, and while it goes on others are answered. Limits of time are tried in `tests/connections`, on a clock of
//! their own. It takes root: see `support::group`.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use rustix::process::Signal;
use support::frames::{
    ACK, CANCEL, CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GOAWAY, HEADERS, PING, RST_STREAM,
    begin, block, frame, get, get_block,
};
use support::group::Group;
use support::{PATIENCE, Server, janus_in, put};

/// What the chart gives a pod.
const LIMIT: u64 = 128 << 20;

/// What one connection may cost over what it has sent, in bytes.
const CONNECTION_COST_MAX: u64 = 256 << 10;

/// Connections that attack at once.
const CONNECTIONS: usize = 32;

/// Streams that a client may have open.
const STREAMS: u32 = 128;

/// Bytes of the collection: what 500 copies of it would take is not there.
const COLLECTION_LENGTH: usize = 4 << 20;

struct Attacked {
    server: Server,
    group: Group,
    data: tempfile::NamedTempFile,
}

impl Attacked {
    /// `None` where there are no groups.
    fn start() -> Option<Self> {
        let group = Group::new(LIMIT)?;
        let data = tempfile::Builder::new().suffix(".ndjson").tempfile().unwrap();
        put(data.path(), &collection(0));
        let mut command = janus_in(&group);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--hardware",
            "off",
        ]);
        command
            .args(["--encodings", "none", "--workers", "1", "--no-watch", "--data"])
            .arg(data.path());
        let mut server = Server::spawn(&mut command);
        server.wait_for("\"message\":\"ready\"");
        Some(Self { server, group, data })
    }

    /// Leads an attack on all connections, and returns what is left of them.
    ///
    /// `attack` sends until it has seen that all of it has been read, and returns how many bytes it was.
    #[track_caller]
    fn lead(&self, name: &str, attack: impl Fn(&mut Attacker) + Sync) -> Vec<Attacker> {
        // What is made once, and kept, is not the attacker's.
        Attacker::new(self.server.address).ask("/items");
        let before = self.group.used();
        let attackers: Vec<Attacker> = std::thread::scope(|scope| {
            let (address, attack) = (self.server.address, &attack);
            let attacks = (0..CONNECTIONS).map(|_| {
                scope.spawn(move || {
                    let mut attacker = Attacker::new(address);
                    attack(&mut attacker);
                    attacker
                })
            });
            let attacks: Vec<_> = attacks.collect();
            // Others are answered meanwhile.
            for _ in 0..20 {
                assert_eq!(self.server.get("/health").status, 200, "{name}");
            }
            attacks.into_iter().map(|attack| attack.join().unwrap()).collect()
        });
        let after = self.group.used();
        let sent: u64 = attackers.iter().map(|attacker| attacker.sent_length).sum();
        let cost = after.saturating_sub(before).saturating_sub(sent) / CONNECTIONS as u64;
        println!(
            "{name}: {cost} bytes a connection over the {} it has sent",
            sent / CONNECTIONS as u64
        );
        assert!(cost <= CONNECTION_COST_MAX, "{name}: {cost} bytes a connection");
        assert_eq!(self.group.kills(), 0, "{name}");
        assert_eq!(self.server.get("/items/1").status, 200, "{name}");
        attackers
    }

    /// The value of a series without labels.
    fn metric(&self, name: &str) -> u64 {
        let text = self.server.get("/metrics").text().to_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.expect("the series is there").parse().expect("a whole number")
    }
}

fn collection(seed: usize) -> Vec<u8> {
    let line = |id: usize| format!("{{\"id\":{id},\"seed\":{seed},\"text\":\"{}\"}}\n", "x".repeat(1000));
    (0..COLLECTION_LENGTH / 1000).map(line).collect::<String>().into_bytes()
}

/// One client.
struct Attacker {
    stream: TcpStream,
    sent_length: u64,
}

impl Attacker {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, sent_length: 0 }
    }

    /// Sends; false if the server has closed.
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.sent_length += bytes.len() as u64;
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next frame; `None` if the server has closed.
    fn receive(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        if let Err(error) = self.stream.read_exact(&mut header) {
            assert!(
                matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
                "{error}"
            );
            return None;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize];
        self.stream.read_exact(&mut payload).unwrap();
        Some(Frame {
            kind: header[3],
            flags: header[4],
            stream: u32::from_be_bytes(header[5..].try_into().unwrap()),
            payload,
        })
    }

    /// Waits until the server has read all that was sent: it answers a PING, or has closed.
    fn wait(&mut self) {
        let mark = self.sent_length.to_be_bytes();
        if self.send(&frame(PING, 0, 0, &mark)) {
            let is_mark = |frame: &Frame| frame.kind == PING && frame.flags == ACK && frame.payload == mark;
            while self.receive().is_some_and(|frame| !is_mark(&frame)) {}
        }
    }

    /// The code of the GOAWAY with which the server closes.
    fn goaway(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.receive() {
            if frame.kind == GOAWAY {
                code = Some(frame.code());
            }
        }
        code
    }

    /// One request, and some of its answer.
    fn ask(&mut self, path: &str) {
        self.send(&[begin(None), get(1, path)].concat());
        self.wait();
    }
}

/// Ends by being told to calm down.
fn is_told_off(attacker: &mut Attacker) {
    assert_eq!(attacker.goaway(), Some(ENHANCE_YOUR_CALM));
}

#[test]
fn streams_that_are_reset_at_once() {
    let Some(attacked) = Attacked::start() else { return };
    attacked.lead("rapid reset", |attacker| {
        attacker.send(&begin(None));
        for number in 0..5000 {
            let stream = 2 * number + 1;
            let reset = frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
            if !attacker.send(&[get(stream, "/items"), reset].concat()) {
                break;
            }
        }
        is_told_off(attacker);
    });
}

#[test]
fn header_blocks_without_an_end() {
    let Some(attacked) = Attacked::start() else { return };
    attacked.lead("CONTINUATION flood", |attacker| {
        let insert = [get_block("/items"), b"\x40\x01x\x01y".to_vec()].concat();
        attacker.send(&[begin(None), frame(HEADERS, END_STREAM, 1, &insert)].concat());
        for _ in 0..64 {
            if !attacker.send(&frame(CONTINUATION, 0, 1, &[0xbe; 16 << 10])) {
                break;
            }
        }
        is_told_off(attacker);
    });
}

#[test]
fn more_names_than_a_map_has_room_for() {
    let Some(attacked) = Attacked::start() else { return };
    let names: Vec<String> = (0..25_000).map(|number| format!("x{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let all = [get_block("/items"), block(&fields)].concat();
    attacked.lead("25,000 distinct names", |attacker| {
        attacker.send(&begin(None));
        let mut pieces = all.chunks(16 << 10).peekable();
        let mut kind = HEADERS;
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            if !attacker.send(&frame(kind, flags | END_STREAM, 1, piece)) {
                break;
            }
            kind = CONTINUATION;
        }
        is_told_off(attacker);
    });
}

#[test]
fn small_blocks_that_stand_for_large_lists() {
    let Some(attacked) = Attacked::start() else { return };
    // An entry of nearly all of the dynamic table, which each request names again and again: within the limit, and beyond.
    let value = "y".repeat(3900);
    let mut insert = get_block("/items");
    insert.extend_from_slice(b"\x40\x01x\x7f");
    insert.extend_from_slice(&[(value.len() - 127) as u8 & 127 | 128, ((value.len() - 127) >> 7) as u8]);
    insert.extend_from_slice(value.as_bytes());
    for (name, times) in [
        ("HPACK bomb of 12 KiB", 3),
        ("HPACK bomb of 4 MB", 1000),
        ("HPACK bomb of 60 MB", 15_000),
    ] {
        attacked.lead(name, |attacker| {
            attacker.send(&begin(Some(0)));
            attacker.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &insert));
            let bomb = [get_block("/items"), vec![0xbe; times]].concat();
            for number in 1..STREAMS {
                if !attacker.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &bomb)) {
                    break;
                }
            }
            attacker.wait();
        });
    }
    // One byte a field, of names that are always there.
    attacked.lead("many small fields", |attacker| {
        attacker.send(&begin(Some(0)));
        let fields = [get_block("/items"), vec![0x80 | 21; 800]].concat();
        for number in 0..STREAMS {
            if !attacker.send(&frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &fields)) {
                break;
            }
        }
        attacker.wait();
    });
}

#[test]
fn streams_without_a_window() {
    let Some(attacked) = Attacked::start() else { return };
    let asked: Vec<u8> = (0..STREAMS).flat_map(|number| get(2 * number + 1, "/items")).collect();
    let attackers = attacked.lead("zero windows with PINGs", |attacker| {
        attacker.send(&[begin(Some(0)), asked.clone()].concat());
        for _ in 0..500 {
            attacker.send(&frame(PING, 0, 0, &[0; 8]));
        }
        attacker.wait();
    });
    assert_eq!(
        attacked.metric("http_requests_in_flight"),
        CONNECTIONS as u64 * u64::from(STREAMS) + 1
    );
    drop(attackers);
    attacked.lead("zero windows and many requests", |attacker| {
        attacker.send(&begin(Some(0)));
        for number in 0..6000 {
            if !attacker.send(&get(2 * number + 1, "/items")) {
                break;
            }
        }
        is_told_off(attacker);
    });
}

#[test]
fn answers_that_nobody_reads() {
    let Some(attacked) = Attacked::start() else { return };
    let asked: Vec<u8> = (0..STREAMS).flat_map(|number| get(2 * number + 1, "/items")).collect();
    attacked.lead("answers unread", |attacker| {
        attacker.send(&[begin(Some(1 << 30)), asked.clone()].concat());
        // Of the first answers as much has come as there is room for on the way.
        let mut one = [0];
        assert_eq!(attacker.stream.peek(&mut one).unwrap(), 1);
    });
}

#[test]
fn halves_of_prefaces() {
    let Some(attacked) = Attacked::start() else { return };
    let attackers = attacked.lead("half a preface", |attacker| {
        attacker.send(&begin(None)[..20]);
    });
    // Those that asked before may not have been let go of yet.
    let deadline = Instant::now() + PATIENCE;
    while attacked.metric("http_connections") != CONNECTIONS as u64 + 1 {
        assert!(Instant::now() < deadline, "their connections are kept");
    }
    drop(attackers);
}

#[test]
fn control_frames_in_a_row() {
    let Some(attacked) = Attacked::start() else { return };
    for (name, kind, length) in [
        ("PING", PING, 8),
        ("SETTINGS", 4, 0),
        ("PRIORITY", 2, 5),
        ("unknown", 0x7f, 4),
    ] {
        attacked.lead(&format!("flood of frames: {name}"), |attacker| {
            attacker.send(&begin(None));
            let flood = frame(kind, 0, u32::from(kind == 2), &vec![0; length]).repeat(10);
            // However slow the machine is: more than the rate lets pass in a minute.
            for _ in 0..2000 {
                if !attacker.send(&flood) {
                    break;
                }
            }
            is_told_off(attacker);
        });
    }
}

/// For how long a stream may hold what has been replaced is tried in `tests/connections`.
#[test]
fn streams_that_are_stalled_while_data_is_replaced() {
    let Some(mut attacked) = Attacked::start() else { return };
    let mut attackers = Vec::new();
    for time in 1..=10 {
        let mut attacker = Attacker::new(attacked.server.address);
        attacker.send(&[begin(Some(0)), get(1, "/items")].concat());
        attacker.wait();
        attackers.push(attacker);
        put(attacked.data.path(), &collection(time));
        attacked.server.signal(Signal::HUP);
        attacked.server.wait_for("\"message\":\"reloaded\"");
    }
    assert_eq!(attacked.group.kills(), 0);
    assert_eq!(attacked.server.get("/items/1").status, 200);
}
