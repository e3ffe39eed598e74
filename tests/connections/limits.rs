//! Limits of time, and the end of a server's life, in a loop.

use std::time::Duration;

use janus::ledger::{Account, Ledger};
use janus::lifecycle::Phase;
use janus::snapshot::Publisher;
use tokio::io::AsyncReadExt;

use crate::memory::{SNAPSHOT, Server, pass, run, settle, snapshot};

const REQUEST: &[u8] = b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_head_has_five_seconds_however_it_trickles() {
    run(async {
        let server = Server::new();
        let mut client = server.connect(1024).await;
        client.send(REQUEST).await;
        let answered = client.received().bytes.len();
        for byte in b"GET ".iter() {
            client.send(&[*byte]).await;
            pass(1).await;
        }
        assert_eq!(client.received().bytes.len(), answered);
        pass(2).await;
        let text = client.text();
        assert!(text[answered..].starts_with("HTTP/1.1 408 "), "{text}");
        assert!(text.contains("\"code\":\"request_timeout\""), "{text}");
        pass(3).await;
        assert!(client.received().is_ended);
    });
}

#[test]
fn a_connection_may_be_idle_for_75_seconds() {
    for has_asked in [false, true] {
        run(async {
            let server = Server::new();
            let mut client = server.connect(1024).await;
            if has_asked {
                pass(60).await;
                client.send(REQUEST).await;
            }
            pass(74).await;
            assert!(!client.received().is_ended, "{has_asked}");
            pass(5).await;
            assert!(client.received().is_ended, "{has_asked}");
            assert!(!client.text().contains("408"));
        });
    }
}

#[test]
fn who_takes_too_little_for_30_seconds_is_left() {
    // What is taken, every how many seconds, for how long, and what is asked.
    for (length, seconds, times, rate) in [(5_000, 4, 15, 1024), (1_000, 25, 4, 0)] {
        run(async {
            let server = Server::asking(rate);
            let (mut reading, mut client) = server.connect_slow(1024).await;
            client.send(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let mut some = vec![0; length];
            // Slow, and yet moving: longer than the limit in all.
            for _ in 0..times {
                pass(seconds).await;
                assert_eq!(reading.read_exact(&mut some).await.unwrap(), some.len());
            }
            pass(42).await;
            let mut rest = Vec::new();
            reading.read_to_end(&mut rest).await.unwrap();
            assert!(rest.len() <= 1024, "{} bytes came after the limit", rest.len());
            assert_eq!(server.metric("http_connections_cut_total{reason=\"slow\"}"), Some(1.0));
        });
    }
}

#[test]
fn a_byte_now_and_then_does_not_keep_a_connection() {
    run(async {
        let server = Server::new();
        let (mut reading, mut client) = server.connect_slow(1024).await;
        client.send(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n").await;
        for second in 0..33 {
            pass(1).await;
            if second < 30 {
                reading
                    .read_exact(&mut [0; 500])
                    .await
                    .unwrap_or_else(|error| panic!("{second}: {error}"));
            }
        }
        let mut rest = Vec::new();
        reading.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() <= 1024, "{} bytes came after the limit", rest.len());
    });
}

#[test]
fn time_between_answers_is_not_held_against_a_client() {
    run(async {
        let server = Server::new();
        let (mut reading, mut client) = server.connect_slow(1024).await;
        for round in 0..20 {
            client
                .send(&b"GET /items/399 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(4))
                .await;
            // Most of it waits for a moment, and then nothing for long.
            pass(2).await;
            let mut answers = Vec::new();
            while tokio::time::timeout(Duration::from_secs(1), reading.read_buf(&mut answers))
                .await
                .is_ok_and(|read| read.expect("the connection is there") > 0)
            {}
            let found = String::from_utf8_lossy(&answers).matches("200 OK").count();
            assert_eq!(found, 4, "{round}");
            pass(60).await;
        }
    });
}

//= rfc9112#section-9.6
//= type=test
//# A server that sends a "close" connection option MUST initiate closure of the connection (see below) after it sends the response containing the
#[test]
fn while_draining_every_answer_closes_its_connection() {
    run(async {
        let server = Server::new();
        let mut old = server.connect(4096).await;
        old.send(REQUEST).await;
        assert!(!old.text().contains("connection: close"));
        server.lifecycle.advance(Phase::Draining);
        pass(3).await;
        assert!(!old.received().is_ended, "idle connections are kept");
        let mut new = server.connect(4096).await;
        for client in [&mut old, &mut new] {
            client.send(&[REQUEST, REQUEST].concat()).await;
            let text = client.text();
            let last = text.rsplit("HTTP/1.1 ").next().unwrap();
            assert!(
                last.starts_with("200 ") && last.contains("connection: close\r\n"),
                "{text}"
            );
            assert_eq!(text.matches("connection: close").count(), 1, "nothing follows a close");
            pass(3).await;
            assert!(client.received().is_ended);
        }
    });
}

#[test]
fn from_the_first_read_to_the_last_byte_of_a_drain() {
    run(async {
        let server = Server::new();
        let whole = b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n";
        let (mut reading, mut slow) = server.connect_slow(1024).await;
        slow.send(&whole[..20]).await;
        slow.send(&whole[20..]).await;
        let mut kept = server.connect(4096).await;
        kept.send(REQUEST).await;
        kept.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(kept.text().matches(" 200 OK\r\n").count(), 2);
        let silent = server.connect(1024).await;

        server.lifecycle.advance(Phase::Draining);
        pass(3).await;
        assert!(!kept.received().is_ended && !silent.received().is_ended);
        // Who comes while load balancers have not heard of it is answered, once.
        let mut late = server.connect(4096).await;
        late.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(late.text().starts_with("HTTP/1.1 503 ") && late.text().contains("connection: close\r\n"));
        kept.send(REQUEST).await;
        pass(3).await;
        assert!(kept.received().is_ended && late.received().is_ended && !silent.received().is_ended);

        server.lifecycle.advance(Phase::Stopping);
        settle().await;
        assert!(silent.received().is_ended, "there is nothing to be finished");
        assert!(!server.is_over(), "an answer is under way");
        let mut answer = Vec::new();
        reading.read_to_end(&mut answer).await.unwrap();
        let head_end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let body = SNAPSHOT.collection().expect("there is data").identity().body();
        assert!(answer[head_end..] == body[..], "to the last byte");
        settle().await;
        assert!(server.is_over());
        assert_eq!(server.metric("http_connections"), Some(0.0));
        assert_eq!(server.metric("http_requests_in_flight"), Some(0.0));
    });
}

#[test]
fn a_stop_ends_idle_connections_at_once_and_others_after_their_answer() {
    run(async {
        let server = Server::new();
        let fresh = server.connect(1024).await;
        let mut idle = server.connect(1024).await;
        idle.send(REQUEST).await;
        let mut asking = server.connect(1024).await;
        asking.send(&REQUEST[..10]).await;
        let (mut reading, mut taking) = server.connect_slow(1024).await;
        taking.send(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n").await;
        server.lifecycle.advance(Phase::Draining);
        server.lifecycle.advance(Phase::Stopping);
        settle().await;
        asking.send(&REQUEST[10..]).await;
        let text = asking.text();
        assert!(
            text.starts_with("HTTP/1.1 200 ") && text.contains("connection: close"),
            "{text}"
        );
        let mut whole = Vec::new();
        reading.read_to_end(&mut whole).await.unwrap();
        assert!(whole.ends_with(b"]"), "an answer under way is finished");
        pass(3).await;
        for client in [fresh, idle, asking] {
            assert!(client.received().is_ended);
        }
    });
}

#[test]
fn requests_are_counted_when_they_are_answered_and_timed_when_they_are_sent() {
    run(async {
        let server = Server::new();
        let mut client = server.connect(64 << 10).await;
        client.send(&[REQUEST, b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nHEAD /items HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\nGET / HTTP/1.1\r\n\r\n"].concat()).await;
        pass(5).await;
        for (series, value) in [
            (
                "http_requests_total{method=\"GET\",route=\"/items/{id}\",status=\"200\"}",
                1.0,
            ),
            (
                "http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"}",
                1.0,
            ),
            (
                "http_requests_total{method=\"HEAD\",route=\"/items\",status=\"200\"}",
                1.0,
            ),
            (
                "http_requests_total{method=\"other\",route=\"unmatched\",status=\"400\"}",
                1.0,
            ),
            ("http_connections", 0.0),
        ] {
            assert_eq!(server.metric(series), Some(value), "{series}");
        }
        // An answer that the client has not taken is in flight, and its time goes on.
        let count = "http_request_duration_seconds_count{method=\"GET\",route=\"/items\"}";
        let (mut reading, mut slow) = server.connect_slow(1024).await;
        slow.send(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let requests = "http_requests_total{method=\"GET\",route=\"/items\",status=\"200\"}";
        assert_eq!(server.metric(requests), Some(1.0));
        assert_eq!(server.metric(count).unwrap_or(0.0), 0.0);
        assert_eq!(server.metric("http_requests_in_flight"), Some(1.0));
        slow.end().await;
        reading.read_to_end(&mut Vec::new()).await.unwrap();
        settle().await;
        assert_eq!(server.metric(count), Some(1.0));
        // One that it will never take has lasted as long as it was there.
        let (reading, gone) = server.connect_slow(1024).await;
        gone.send_and_leave(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n", reading)
            .await;
        assert_eq!(server.metric(count), Some(2.0));
        assert_eq!(server.metric("http_requests_in_flight"), Some(0.0));
    });
}

#[test]
fn who_has_nothing_more_to_say_is_answered() {
    run(async {
        let server = Server::new();
        let mut client = server.connect(64 << 10).await;
        client.send(&[REQUEST, &REQUEST[..10]].concat()).await;
        client.end().await;
        let received = client.received();
        assert!(received.is_ended);
        assert_eq!(client.text().matches("HTTP/1.1 200 ").count(), 1);
    });
}

#[test]
fn what_a_client_did_not_take_is_not_given_to_the_next() {
    run(async {
        let server = Server::new();
        for _ in 0..3 {
            let (reading, gone) = server.connect_slow(64 << 10).await;
            // It is gone before the answer can be written.
            gone.send_and_leave(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n", reading)
                .await;
            let mut next = server.connect(64 << 10).await;
            next.send(REQUEST).await;
            let text = next.text();
            assert!(
                text.starts_with("HTTP/1.1 200 ") && text.ends_with("\"text\":\"x\"}"),
                "{text}"
            );
            assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
        }
    });
}

#[test]
fn who_asks_for_much_lets_others_in_between() {
    run(async {
        let server = Server::new();
        let (mut much, mut greedy) = server.connect_slow(4 << 20).await;
        let (mut little, mut modest) = server.connect_slow(1024).await;
        let between = tokio::task::spawn_local(async move {
            little.read_exact(&mut [0]).await.unwrap();
            let mut sent = vec![0; 4 << 20];
            (much.read(&mut sent).await.unwrap(), much)
        });
        let collections = b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n".repeat(8);
        tokio::join!(greedy.send(&collections), modest.send(REQUEST));
        let (sent, mut much) = between.await.unwrap();
        greedy.end().await;
        let mut rest = Vec::new();
        much.read_to_end(&mut rest).await.unwrap();
        assert!(
            rest.len() > sent / 8,
            "{sent} bytes before the other's answer, {} after",
            rest.len()
        );
    });
}

#[test]
fn what_a_panic_leaves_is_not_given_to_the_next() {
    run(async {
        let server = Server::new();
        for asked in [
            &b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let mut unlucky = server.connect_panicking().await;
            unlucky.send(&asked.repeat(3)).await;
            let received = unlucky.received();
            assert!(received.bytes.is_empty() && received.is_ended, "it panicked");
            let mut next = server.connect(64 << 10).await;
            next.send(REQUEST).await;
            let text = next.text();
            assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
            assert!(text.ends_with("\"text\":\"x\"}"), "{text}");
            assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
        }
        pass(3).await;
        assert_eq!(server.metric("http_requests_in_flight"), Some(0.0));
    });
}

#[test]
fn when_memory_is_short_the_oldest_answers_of_retired_data_are_broken_off() {
    run(async {
        let ledger = Ledger::default();
        let publisher = Publisher::with_ledger(snapshot("a", ledger.clone()), ledger.clone());
        let server = Server::of(0, publisher.clone());
        let mut slow = Vec::new();
        for next in ["b", "c", ""] {
            // Two of each: memory comes back with the last who holds it.
            for _ in 0..2 {
                let (reading, mut client) = server.connect_slow(1024).await;
                client
                    .send(b"GET /items HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    .await;
                slow.push((reading, client));
            }
            if !next.is_empty() {
                publisher.publish(snapshot(next, ledger.clone()));
            }
            pass(2).await;
            publisher.reap();
        }
        let cuts = || server.metric("http_connections_cut_total{reason=\"memory\"}");
        assert!(ledger.bytes(Account::HalfSent) > 0);
        assert_eq!(cuts(), Some(0.0), "there is no limit");
        for expected in [2.0, 4.0] {
            ledger.set_limit(Some(ledger.total() - 1));
            pass(3).await;
            assert_eq!(cuts(), Some(expected));
        }
        // Of retired data nothing is left: what is half sent is gathered for the two who are sent what is served.
        assert!(ledger.bytes(Account::HalfSent) < 2 << 10);
        // What is served is never let go of.
        ledger.set_limit(Some(0));
        pass(3).await;
        assert_eq!(cuts(), Some(4.0));
        for (number, (mut reading, _client)) in slow.into_iter().enumerate() {
            let mut whole = Vec::new();
            reading.read_to_end(&mut whole).await.unwrap_or_default();
            assert_eq!(whole.ends_with(b"]"), number >= 4, "{number}");
        }
    });
}

#[test]
fn a_request_of_a_trace_is_shown_with_its_duration() {
    run(async {
        let server = Server::new();
        let trace = |number: u32| format!("0af7651916cd43dd8448eb21{number:08x}");
        let shown = || {
            let mut text = Vec::new();
            let registry = server.metrics.registry();
            registry.render(janus::metrics::Format::OpenMetrics, &mut text);
            String::from_utf8(text).unwrap()
        };
        let mut client = server.connect(64 << 10).await;
        // Read by the parser, remembered whole, and remembered with a hole.
        for number in 1..6 {
            let field = format!("traceparent: 00-{}-b7ad6b7169203331-01", trace(number));
            client
                .send(format!("GET /items/1 HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n").as_bytes())
                .await;
            let scrape = shown();
            let found = format!("trace_id=\"{}\"", trace(number));
            assert!(scrape.contains(&found), "{number}: {scrape}");
        }
        // One that is not recorded leads nowhere.
        let field = format!("traceparent: 00-{}-b7ad6b7169203331-00", trace(9));
        client
            .send(format!("GET /items/1 HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n").as_bytes())
            .await;
        assert!(!shown().contains(&trace(9)));
    });
}
