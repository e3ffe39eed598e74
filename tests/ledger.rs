//! The ledger of a running server: what it says is held, and what the kernel says.

#![cfg(target_os = "linux")]

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;
use support::{Client, PATIENCE, Server, janus, put};

const ACCOUNTS: [&str; 4] = ["building", "current", "retired", "half_sent"];

/// Bytes of each account, in the order of [`ACCOUNTS`].
fn accounts(server: &Server) -> [u64; 4] {
    let metrics = server.get("/metrics");
    ACCOUNTS.map(|account| {
        let series = format!("janus_data_bytes{{account=\"{account}\"}} ");
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(&series));
        let line = line.unwrap_or_else(|| panic!("no {series}"));
        line.parse::<f64>().expect("a number") as u64
    })
}

/// Waits for accounts that are as they should be.
#[track_caller]
fn wait_for(server: &Server, what: &str, is_so: impl Fn([u64; 4]) -> bool) -> [u64; 4] {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let accounts = accounts(server);
        if is_so(accounts) {
            return accounts;
        }
        assert!(Instant::now() < deadline, "not {what}: {ACCOUNTS:?} are {accounts:?}");
    }
}

/// Memory of the process that is its own, by the kernel, in bytes: of heap and stacks, and of files in memory.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server runs");
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix("kB"));
        number
            .unwrap_or_else(|| panic!("no {name} in {status}"))
            .trim()
            .parse::<u64>()
            .expect("a number")
    };
    (kibibytes("RssAnon:") + kibibytes("RssShmem:")) << 10
}

fn write(path: &Path, mark: char, length: usize) {
    let filler: String = mark.to_string().repeat(900);
    let item = |id: usize| format!("{{\"id\":{id},\"text\":\"{filler}\"}}\n");
    let items: String = (0..length / 920).map(item).collect();
    put(path, items.as_bytes());
}

/// Asks for the whole collection and reads no more than the first byte of the answer.
fn ask_slowly(server: &Server) -> Client {
    let mut client = server.connect();
    client.send(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n");
    client.peek(&mut [0; 1]);
    client
}

fn check(length: usize) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.ndjson");
    write(&path, '-', 1 << 20);
    let mut server = Server::spawn(
        janus()
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--no-watch", "--encodings", "", "--workers", "2", "--data"])
            .arg(&path),
    );
    server.wait_for("\"message\":\"ready\"");
    let reload = |server: &mut Server, mark, length| {
        write(&path, mark, length);
        server.signal(Signal::HUP);
        server.wait_for("\"message\":\"reloaded\"");
    };
    let is_one = |bytes: u64| (length as u64 * 9 / 10..length as u64 * 6 / 5).contains(&bytes);

    // What the process takes besides data, once it has loaded and served some.
    reload(&mut server, '0', 1 << 20);
    let little = wait_for(&server, "little", |[_, current, retired, _]| {
        current > 0 && retired == 0
    });
    let without = resident(&server) - little.iter().sum::<u64>();

    for mark in ['a', 'b', 'c'] {
        reload(&mut server, mark, length);
    }
    let settled = wait_for(&server, "one snapshot", |[building, current, retired, half_sent]| {
        building == 0 && is_one(current) && retired == 0 && half_sent == 0
    });
    let slow: Vec<Client> = (0..3).map(|_| ask_slowly(&server)).collect();
    let [building, current, retired, half_sent] = accounts(&server);
    assert_eq!(
        [building, current, retired],
        settled[..3],
        "what is asked for is current still"
    );
    assert!(half_sent < 64 << 10, "{half_sent} bytes for heads");
    for mark in ['d', 'e'] {
        reload(&mut server, mark, length);
    }
    let held = wait_for(&server, "one half sent", |[building, current, retired, half_sent]| {
        building == 0 && is_one(current) && retired == 0 && is_one(half_sent)
    });
    let (sum, by_kernel) = (held.iter().sum::<u64>(), resident(&server) - without);
    assert!(
        by_kernel.abs_diff(sum) <= sum / 10,
        "{by_kernel} bytes are held by the kernel's account, {sum} by the ledger: {held:?}"
    );
    drop(slow);
    wait_for(&server, "one snapshot", |accounts| accounts == [0, held[1], 0, 0]);
}

#[test]
fn what_is_held_is_in_the_ledger_in_sealed_files() {
    check(18 << 20);
}

#[test]
fn what_is_held_is_in_the_ledger_in_memory_that_is_no_file() {
    check(40 << 20);
}

#[test]
fn codings_and_header_blocks_are_in_the_ledger() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.ndjson");
    // Enough for codings that come by a second publish, and few enough for header blocks of their own.
    let text = |mark: &str| -> String {
        let word = |id: usize| format!("{mark}{}", id * 7919 % 1009).repeat(20);
        (0..1500)
            .map(|id| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", word(id)))
            .collect()
    };
    put(&path, text("a").as_bytes());
    let mut server = Server::of_file(&path, &["--no-watch"]);
    server.wait_for("\"message\":\"encoded\"");
    let settled = |[building, _, retired, half_sent]: [u64; 4]| (building, retired, half_sent) == (0, 0, 0);
    let first = wait_for(&server, "settled", settled)[1];
    let metrics = server.get("/metrics");
    let bodies: u64 = metrics
        .text()
        .lines()
        .filter_map(|line| {
            line.strip_prefix("janus_snapshot_bytes{")?
                .split_once("} ")?
                .1
                .parse::<f64>()
                .ok()
        })
        .sum::<f64>() as u64;
    assert!(
        first > bodies,
        "{first} bytes beside {bodies} of the collection's bodies"
    );
    for mark in ["b", "c", "d"] {
        put(&path, text(mark).as_bytes());
        server.signal(Signal::HUP);
        server.wait_for("\"message\":\"reloaded\"");
        server.wait_for("\"message\":\"encoded\"");
        let held = wait_for(&server, "settled", settled)[1];
        assert!(
            held.abs_diff(first) < first / 10,
            "{held} bytes after a reload, {first} before"
        );
    }
}

#[test]
fn gathered_answers_that_nobody_takes_are_half_sent() {
    let server = Server::start(&["--encodings", ""]);
    let nobody = |accounts: [u64; 4]| accounts[3] == 0;
    wait_for(&server, "nobody", nobody);
    // Sends without end and reads nothing, until the sockets on both sides take no more.
    let slow = TcpStream::connect(server.address).unwrap();
    let mut sending = slow.try_clone().unwrap();
    let sender =
        std::thread::spawn(move || while sending.write_all(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n").is_ok() {});
    let held = wait_for(&server, "half sent", |accounts| accounts[3] > 0)[3];
    assert!(held < 256 << 10, "{held} bytes for one connection");
    slow.shutdown(Shutdown::Both).unwrap();
    sender.join().unwrap();
    wait_for(&server, "nobody", nobody);
}
