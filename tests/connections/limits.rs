//! Limits of time, and the end of a server's life, on both faces.

use std::time::Duration;

use janus::ledger::{Account, Ledger};
use janus::lifecycle::Phase;
use janus::snapshot::Publisher;
use tokio::io::AsyncReadExt;

use crate::memory::{FACES, Face, Server, pass, run, settle, snapshot};

const REQUEST: &[u8] = b"GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_head_has_five_seconds_however_it_trickles() {
    for face in FACES {
        run(async {
            let server = Server::new(face);
            let mut client = server.connect(1024).await;
            client.send(REQUEST).await;
            let answered = client.received().bytes.len();
            for byte in b"GET ".iter() {
                client.send(&[*byte]).await;
                pass(1).await;
            }
            assert_eq!(client.received().bytes.len(), answered, "{face:?}");
            pass(2).await;
            let text = client.text();
            assert!(text[answered..].starts_with("HTTP/1.1 408 "), "{face:?}: {text}");
            assert!(text.contains("\"code\":\"request_timeout\""), "{face:?}: {text}");
            pass(3).await;
            assert!(client.received().is_ended, "{face:?}");
        });
    }
}

#[test]
fn a_connection_may_be_idle_for_75_seconds() {
    for face in FACES {
        for has_asked in [false, true] {
            run(async {
                let server = Server::new(face);
                let mut client = server.connect(1024).await;
                if has_asked {
                    pass(60).await;
                    client.send(REQUEST).await;
                }
                pass(74).await;
                assert!(!client.received().is_ended, "{face:?} {has_asked}");
                pass(5).await;
                assert!(client.received().is_ended, "{face:?} {has_asked}");
                assert!(!client.text().contains("408"), "{face:?}");
            });
        }
    }
}

#[test]
fn who_takes_too_little_for_30_seconds_is_left() {
    for face in FACES {
        // What is taken, every how many seconds, for how long, and what is asked.
        for (length, seconds, times, rate) in [(5_000, 4, 15, 1024), (1_000, 25, 4, 0)] {
            run(async {
                let server = Server::asking(face, rate);
                let (mut reading, mut client) = server.connect_slow(1024).await;
                client.send(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n").await;
                let mut some = vec![0; length];
                // Slow, and yet moving: longer than the limit in all.
                for _ in 0..times {
                    pass(seconds).await;
                    assert_eq!(reading.read_exact(&mut some).await.unwrap(), some.len(), "{face:?}");
                }
                pass(42).await;
                let mut rest = Vec::new();
                reading.read_to_end(&mut rest).await.unwrap();
                assert!(
                    rest.len() <= 1024,
                    "{face:?}: {} bytes came after the limit",
                    rest.len()
                );
                assert_eq!(server.metric("http_connections_cut_total{reason=\"slow\"}"), Some(1.0));
            });
        }
    }
}

#[test]
fn a_byte_now_and_then_does_not_keep_a_connection() {
    for face in FACES {
        run(async {
            let server = Server::new(face);
            let (mut reading, mut client) = server.connect_slow(1024).await;
            client.send(b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n").await;
            for second in 0..33 {
                pass(1).await;
                if second < 30 {
                    reading
                        .read_exact(&mut [0; 500])
                        .await
                        .unwrap_or_else(|error| panic!("{face:?} {second}: {error}"));
                }
            }
            let mut rest = Vec::new();
            reading.read_to_end(&mut rest).await.unwrap();
            assert!(
                rest.len() <= 1024,
                "{face:?}: {} bytes came after the limit",
                rest.len()
            );
        });
    }
}

#[test]
fn time_between_answers_is_not_held_against_a_client() {
    for face in FACES {
        run(async {
            let server = Server::new(face);
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
                assert_eq!(found, 4, "{face:?} {round}");
                pass(60).await;
            }
        });
    }
}

#[test]
fn while_draining_every_answer_closes_its_connection() {
    for face in FACES {
        run(async {
            let server = Server::new(face);
            let mut old = server.connect(4096).await;
            old.send(REQUEST).await;
            assert!(!old.text().contains("connection: close"));
            server.lifecycle.advance(Phase::Draining);
            pass(3).await;
            assert!(!old.received().is_ended, "{face:?}: idle connections are kept");
            let mut new = server.connect(4096).await;
            for client in [&mut old, &mut new] {
                client.send(&[REQUEST, REQUEST].concat()).await;
                let text = client.text();
                let last = text.rsplit("HTTP/1.1 ").next().unwrap();
                assert!(
                    last.starts_with("200 ") && last.contains("connection: close\r\n"),
                    "{face:?}: {text}"
                );
                assert_eq!(
                    text.matches("connection: close").count(),
                    1,
                    "{face:?}: nothing follows a close"
                );
                pass(3).await;
                assert!(client.received().is_ended, "{face:?}");
            }
        });
    }
}

#[test]
fn a_stop_ends_idle_connections_at_once_and_others_after_their_answer() {
    for face in FACES {
        run(async {
            let server = Server::new(face);
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
                "{face:?}: {text}"
            );
            let mut whole = Vec::new();
            reading.read_to_end(&mut whole).await.unwrap();
            assert!(whole.ends_with(b"]"), "{face:?}: an answer under way is finished");
            pass(3).await;
            for client in [fresh, idle, asking] {
                assert!(client.received().is_ended, "{face:?}");
            }
        });
    }
}

#[test]
fn requests_are_recorded_alike() {
    let scrape = |face| {
        run(async {
            let server = Server::new(face);
            let mut client = server.connect(64 << 10).await;
            client.send(&[REQUEST, b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nHEAD /items HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\nGET / HTTP/1.1\r\n\r\n"].concat()).await;
            pass(5).await;
            let mut text = Vec::new();
            server
                .metrics
                .registry()
                .render(janus::metrics::Format::Text, &mut text);
            let text = String::from_utf8(text).unwrap();
            let mut lines: Vec<String> = text
                .lines()
                .filter(|line| {
                    !["_bucket{", "seconds_sum", "http_handovers"]
                        .iter()
                        .any(|part| line.contains(part))
                })
                .map(str::to_owned)
                .collect();
            lines.sort_unstable();
            lines
        })
    };
    let [lane, application] = FACES.map(scrape);
    assert_eq!(lane, application);
    for line in [
        "http_requests_total{method=\"GET\",route=\"/items/{id}\",status=\"200\"} 1",
        "http_requests_total{method=\"other\",route=\"unmatched\",status=\"400\"} 1",
        "http_connections 0",
    ] {
        assert!(lane.iter().any(|found| found == line), "{line}: {lane:#?}");
    }
}

#[test]
fn who_has_nothing_more_to_say_is_answered() {
    for face in FACES {
        run(async {
            let server = Server::new(face);
            let mut client = server.connect(64 << 10).await;
            client.send(&[REQUEST, &REQUEST[..10]].concat()).await;
            client.end().await;
            let received = client.received();
            assert!(received.is_ended, "{face:?}");
            assert_eq!(client.text().matches("HTTP/1.1 200 ").count(), 1, "{face:?}");
        });
    }
}

#[test]
fn what_a_client_did_not_take_is_not_given_to_the_next() {
    for face in FACES {
        run(async {
            let server = Server::new(face);
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
                    "{face:?}: {text}"
                );
                assert_eq!(text.matches("HTTP/1.1").count(), 1, "{face:?}: {text}");
            }
        });
    }
}

#[test]
fn who_asks_for_much_lets_others_in_between() {
    run(async {
        let server = Server::new(Face::Lane);
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
    for face in FACES {
        run(async {
            let server = Server::new(face);
            for asked in [
                &b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n"[..],
                b"GET /items HTTP/1.1\r\nHost: a\r\n\r\n",
            ] {
                let mut unlucky = server.connect_panicking().await;
                unlucky.send(&asked.repeat(3)).await;
                let received = unlucky.received();
                assert!(received.bytes.is_empty() && received.is_ended, "{face:?}: it panicked");
                let mut next = server.connect(64 << 10).await;
                next.send(REQUEST).await;
                let text = next.text();
                assert!(text.starts_with("HTTP/1.1 200 "), "{face:?}: {text}");
                assert!(text.ends_with("\"text\":\"x\"}"), "{face:?}: {text}");
                assert_eq!(text.matches("HTTP/1.1").count(), 1, "{face:?}: {text}");
            }
            pass(3).await;
            assert_eq!(server.metric("http_requests_in_flight"), Some(0.0), "{face:?}");
        });
    }
}

#[test]
fn when_memory_is_short_the_oldest_answers_of_retired_data_are_broken_off() {
    for face in FACES {
        run(async {
            let ledger = Ledger::default();
            let publisher = Publisher::with_ledger(snapshot("a", ledger.clone()), ledger.clone());
            let server = Server::of(face, 0, publisher.clone());
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
            assert_eq!(cuts(), Some(0.0), "{face:?}: there is no limit");
            for expected in [2.0, 4.0] {
                ledger.set_limit(Some(ledger.total() - 1));
                pass(3).await;
                assert_eq!(cuts(), Some(expected), "{face:?}");
            }
            // Of retired data nothing is left: what is half sent is gathered for the two who are sent what is served.
            assert!(ledger.bytes(Account::HalfSent) < 2 << 10, "{face:?}");
            // What is served is never let go of.
            ledger.set_limit(Some(0));
            pass(3).await;
            assert_eq!(cuts(), Some(4.0), "{face:?}");
            for (number, (mut reading, _client)) in slow.into_iter().enumerate() {
                let mut whole = Vec::new();
                reading.read_to_end(&mut whole).await.unwrap_or_default();
                assert_eq!(whole.ends_with(b"]"), number >= 4, "{face:?} {number}");
            }
        });
    }
}

#[test]
fn only_what_has_to_be_waited_for_is_left_to_the_application() {
    run(async {
        let server = Server::new(Face::Lane);
        for request in [
            "GET /items HTTP/1.0\r\n\r\n",
            "OPTIONS /items HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /items HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
            "GET /items HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
            "GET http://a/items HTTP/1.1\r\nHost: a\r\n\r\n",
            "nothing\r\n\r\n",
        ] {
            let mut client = server.connect(1 << 20).await;
            client.send(request.as_bytes()).await;
            assert!(client.text().starts_with("HTTP/1."), "{request}");
        }
        assert!(!server.scrape().contains("http_handovers_total{"));
    });
}
