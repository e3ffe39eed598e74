//! Real proxies in front: whatever is sent to them, Janus sees the requests that the proxy meant, and no other.
//!
//! Each request that a proxy passes on gets an id of the proxy's. Janus's access log must name each of them once, with the
//! method and the route of what the proxy passed on, and nothing that has no such id: that would be a request which only
//! Janus has seen.
//!
//! nginx and haproxy must be on the machine (`scripts/tools nginx haproxy`); with `JANUS_PROXIES=required` it is a failure
//! if they are not.

#[path = "../support/mod.rs"]
mod support;

mod front;
mod payloads;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use front::{Forwarded, Front, Kind};
use janus::http::answer::route::Route;
use janus::http::message::request::Method;
use support::Server;

/// Connections at once.
const THREADS: usize = 32;

/// A request in Janus's access log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    id: String,
    method: String,
    route: String,
    status: u16,
}

impl Seen {
    fn of(line: &str) -> Option<Self> {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        if line["target"] != "janus::access" {
            return None;
        }
        let fields = &line["fields"];
        let text = |name: &str| fields[name].as_str().expect("text").to_owned();
        Some(Self {
            id: text("request_id"),
            method: text("method"),
            route: text("route"),
            status: fields["status"].as_u64().expect("a status") as u16,
        })
    }
}

/// The path of a target, which some clients write with the host before it (RFC 9112, section 3.2.2).
fn path(target: &str) -> &str {
    let target = target.split(['?', '#']).next().unwrap_or_default();
    match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    }
}

/// What is wrong with what was seen, beside what was meant.
fn faults(meant: &HashMap<String, Forwarded>, seen: &[Seen]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut unseen = meant.clone();
    // Of what Janus refuses it does not say who sent it.
    let mut refused: Vec<u16> = Vec::new();
    for seen in seen {
        let Some(meant) = unseen.remove(&seen.id) else {
            if seen.method == "other" && seen.route == "unmatched" && (400..600).contains(&seen.status) {
                refused.push(seen.status);
            } else {
                faults.push(format!("nobody meant, or not twice: {seen:?}"));
            }
            continue;
        };
        let path = path(&meant.target);
        let method = Method::parse(meant.method.as_bytes()).label();
        let route = Route::parse(path.as_bytes());
        if seen.method != method || seen.route != route.name().template() {
            faults.push(format!("{meant:?} was meant, and seen as {seen:?}"));
        }
        if meant.status.is_some_and(|status| status != seen.status) {
            faults.push(format!("{meant:?} got another's answer: {seen:?}"));
        }
    }
    for (id, meant) in unseen {
        match meant.status {
            Some(status) if refused.contains(&status) => {
                let place = refused
                    .iter()
                    .position(|refused| *refused == status)
                    .expect("it is there");
                refused.swap_remove(place);
            }
            Some(_) => faults.push(format!("{meant:?} was answered and not seen: {id}")),
            // It was broken off, perhaps before Janus had read it.
            None => {}
        }
    }
    if !refused.is_empty() {
        // What was broken off may have been refused.
        let broken_off = meant.values().filter(|meant| meant.status.is_none()).count();
        if refused.len() > broken_off {
            faults.push(format!("refused, and nobody meant it: {refused:?}"));
        }
    }
    faults
}

/// Sends every payload through this proxy.
fn check(kind: Kind) {
    let Some(program) = kind.path() else {
        let required = std::env::var_os("JANUS_PROXIES").is_some_and(|value| value == "required");
        assert!(
            !required,
            "{} is not there; scripts/tools nginx haproxy installs it",
            kind.program()
        );
        println!(
            "LEFT OUT: {} is not there; scripts/tools nginx haproxy installs it",
            kind.program()
        );
        return;
    };
    let mut server = Server::start(&["--access-log", "--trusted-proxies", "127.0.0.0/8", "--workers", "2"]);
    let front = Front::start(kind, &program, server.address);
    let ordinary = front.converse(b"GET /items/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(
        ordinary.ends_with(br#"{"id":1,"name":"Item One"}"#),
        "{:?}",
        String::from_utf8_lossy(&ordinary)
    );
    let payloads = payloads::all();
    assert!(payloads.len() >= 600, "{}", payloads.len());
    let next = AtomicUsize::new(0);
    let answered: usize = std::thread::scope(|scope| {
        let work = || {
            // Relaxed: only that no number comes twice matters.
            let mine = std::iter::from_fn(|| payloads.get(next.fetch_add(1, Ordering::Relaxed)));
            mine.filter(|payload| {
                let answer = front.converse(&payload.bytes);
                let text = String::from_utf8_lossy(&answer);
                // Nobody is given an answer of Janus's that it did not ask for: item 2 is asked for by one kind of payload only.
                let is_meant = payload.name.ends_with("and another") || payload.name.contains("GET /items/2");
                let is_seen = text.contains("Item Two");
                assert!(
                    is_meant || !is_seen || is_a_second_request(payload, &text),
                    "{kind:?} {}: {text}",
                    payload.name
                );
                text.contains(" 200 ")
            })
            .count()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no payload fails"))
            .sum()
    });
    let meant = front.stop();
    server.signal(rustix::process::Signal::TERM);
    server.wait();
    let seen: Vec<Seen> = server.log_so_far().iter().filter_map(|line| Seen::of(line)).collect();
    let faults = faults(&meant, &seen);
    assert!(faults.is_empty(), "{kind:?}: {faults:#?}");
    println!(
        "{kind:?}: {} payloads, {answered} with a 200 among their answers, {} requests passed on, {} seen",
        payloads.len(),
        meant.len(),
        seen.len()
    );
    // What was to be shown has been looked at: most of it passes some proxy, and all of it cannot be refused.
    assert!(
        meant.len() > 100 && seen.len() > 100,
        "{kind:?}: {} {}",
        meant.len(),
        seen.len()
    );
}

/// Whether a proxy itself took what follows for a second request of this client, which is then no smuggled one: its id was
/// given to it by the proxy, which the comparison of the logs shows.
fn is_a_second_request(payload: &payloads::Payload, answers: &str) -> bool {
    payload.bytes.ends_with(payloads::SMUGGLED.as_bytes()) && answers.matches("HTTP/1.1 ").count() >= 2
}

#[test]
fn behind_nginx_with_connections_that_are_kept() {
    check(Kind::NginxKept);
}

#[test]
fn behind_nginx_as_it_comes() {
    check(Kind::NginxPlain);
}

#[test]
fn behind_haproxy_with_connections_that_are_reused() {
    check(Kind::HaproxyReused);
}

#[test]
fn behind_haproxy_that_passes_on_what_is_invalid() {
    check(Kind::HaproxyLenient);
}

#[test]
fn a_request_that_only_janus_saw_is_found() {
    let forwarded = |target: &str, status| Forwarded {
        method: "GET".to_owned(),
        target: target.to_owned(),
        status,
    };
    let seen = |id: &str, method: &str, route: &str, status| Seen {
        id: id.to_owned(),
        method: method.to_owned(),
        route: route.to_owned(),
        status,
    };
    let meant = HashMap::from([
        ("a".to_owned(), forwarded("/items/1?x", Some(400))),
        ("b".to_owned(), forwarded("/items", None)),
    ]);
    let right = seen("a", "GET", "/items/{id}", 400);
    assert_eq!(faults(&meant, std::slice::from_ref(&right)), Vec::<String>::new());
    assert_eq!(
        faults(&meant, &[seen("made", "other", "unmatched", 400)]),
        Vec::<String>::new()
    );
    for wrong in [
        vec![],
        vec![right.clone(), right.clone()],
        vec![right.clone(), seen("smuggled", "GET", "/items/{id}", 200)],
        vec![
            right.clone(),
            seen("made", "other", "unmatched", 400),
            seen("made", "other", "unmatched", 400),
        ],
        vec![seen("a", "GET", "/items", 400)],
        vec![seen("a", "HEAD", "/items/{id}", 400)],
        vec![seen("a", "GET", "/items/{id}", 200)],
    ] {
        assert_ne!(faults(&meant, &wrong), Vec::<String>::new(), "{wrong:?}");
    }
}
