//! The PROXY protocol and its limits, and when the access log is written, in a time of their own.

use std::sync::atomic::{AtomicUsize, Ordering};

use janus::http::answer::Site;
use janus::http::message::proxies::TrustedProxies;
use janus::http::serve::access_log::AccessLog;

use crate::memory::{Server, pass, run};

const REQUEST: &[u8] = b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n";

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n";

fn behind_a_load_balancer() -> Site {
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
    Site {
        introduced_by: Some(proxies),
        ..Site::default()
    }
}

#[test]
fn a_header_has_five_seconds_from_its_first_byte() {
    run(async {
        let server = Server::of_site(behind_a_load_balancer());
        // It comes with the first byte of the client, who may not say anything for a while.
        let mut late = server.connect_from("10.0.0.1:1", 64 << 10).await;
        pass(60).await;
        late.send(HEADER).await;
        late.send(REQUEST).await;
        assert!(late.text().starts_with("HTTP/1.1 200 "), "{}", late.text());
        // In pieces, with less than the limit in between, and more than it in all.
        let mut slow = server.connect_from("10.0.0.1:1", 64 << 10).await;
        for piece in HEADER.chunks(10) {
            slow.send(piece).await;
            pass(2).await;
        }
        slow.send(REQUEST).await;
        let received = slow.received();
        assert!(received.is_ended && received.bytes.is_empty(), "{}", slow.text());
        // A head after it has a limit of its own.
        let mut head = server.connect_from("10.0.0.1:1", 64 << 10).await;
        head.send(&HEADER[..9]).await;
        pass(4).await;
        head.send(&[&HEADER[9..], &REQUEST[..9]].concat()).await;
        pass(4).await;
        head.send(&REQUEST[9..]).await;
        assert!(head.text().starts_with("HTTP/1.1 200 "), "{}", head.text());
        // And who says nothing at all is let go like anybody else.
        let silent = server.connect_from("10.0.0.1:1", 64 << 10).await;
        pass(80).await;
        assert!(silent.received().is_ended);
    });
}

#[test]
fn what_comes_with_a_header_is_answered_whole() {
    run(async {
        let server = Server::of_site(behind_a_load_balancer());
        let mut client = server.connect_from("10.0.0.1:1", 1 << 20).await;
        let many = REQUEST.repeat(800);
        assert!(many.len() < janus::http::serve::worker::READ_LENGTH_MAX);
        client.send(&[HEADER, &many, &REQUEST[..5]].concat()).await;
        client.send(&REQUEST[5..]).await;
        pass(1).await;
        assert_eq!(client.text().matches("HTTP/1.1 200 ").count(), 801);
        let mut plain = server.connect_from("192.0.2.1:1", 64 << 10).await;
        plain.send(REQUEST).await;
        assert!(
            plain.text().starts_with("HTTP/1.1 200 "),
            "who is no proxy sends no header"
        );
        plain.send(HEADER).await;
        plain.send(b"\r\n").await;
        assert!(plain.text().contains("HTTP/1.1 400 "), "{}", plain.text());
    });
}

static FLUSHED: AtomicUsize = AtomicUsize::new(0);

#[test]
fn the_log_is_flushed_once_for_all_that_was_sent_together() {
    FLUSHED.store(0, Ordering::Relaxed);
    run(async {
        let log = AccessLog::new(TrustedProxies::default(), || {
            FLUSHED.fetch_add(1, Ordering::Relaxed);
        });
        let server = Server::with_log(log);
        let mut client = server.connect(64 << 10).await;
        client.send(&REQUEST.repeat(50)).await;
        assert_eq!(client.text().matches("HTTP/1.1 200 ").count(), 50);
        let flushed = FLUSHED.load(Ordering::Relaxed);
        let most = 4;
        assert!((1..=most).contains(&flushed), "{flushed}");
    });
}
