//! From a request's fields to the bytes of its answer: the pure part, without parsing and recording.

use std::hint::black_box;

use gungraun::prelude::*;
use janus::http::answer::{Answer, Scope, Site};
use janus::http::request::{Method, RequestHead};
use janus::snapshot::Snapshot;

use crate::data;

const DATE: &[u8] = b"date: Wed, 25 Nov 2026 12:00:00 GMT\r\n\r\n";

/// A request, what it asks, and room for the answer.
pub struct Asked {
    site: Site,
    snapshot: Snapshot,
    path: String,
    fields: Vec<(&'static str, String)>,
    out: Vec<u8>,
}

impl Asked {
    fn answer(&mut self) -> u16 {
        let mut head = RequestHead::new(Method::Get, self.path.as_bytes());
        for (name, value) in &self.fields {
            head.field(name.as_bytes(), value.as_bytes());
        }
        let Answer::Reply(reply) = self.site.respond(&head, &self.snapshot, false) else {
            unreachable!("no scrape is asked for");
        };
        reply.write_head(&mut self.out);
        self.out.extend_from_slice(DATE);
        self.out.extend_from_slice(reply.body());
        reply.status()
    }
}

fn asked(items: usize, path: &str, fields: &[(&'static str, &str)], status: u16) -> &'static mut Asked {
    let snapshot = data::snapshot(items);
    let etag = snapshot
        .collection()
        .expect("there is data")
        .identity()
        .etag()
        .to_owned();
    let fields = fields.iter().map(|&(name, value)| (name, value.replace("ETAG", &etag)));
    let mut asked = Asked {
        site: Site {
            scope: Scope::All,
            cors: None,
        },
        snapshot,
        path: path.to_owned(),
        fields: fields.collect(),
        out: Vec::new(),
    };
    assert_eq!(asked.answer(), status);
    asked.out.clear();
    Box::leak(Box::new(asked))
}

// The items are 10: an answer of one write.
#[library_benchmark]
#[bench::hit(asked(10, "/items", &[], 200))]
#[bench::not_modified(asked(10, "/items", &[("if-none-match", "ETAG")], 304))]
#[bench::by_id(asked(10, "/items/7", &[], 200))]
#[bench::by_id_of_10000(asked(10_000, "/items/7777", &[], 200))]
#[bench::compressed(asked(10, "/items", &[("accept-encoding", "gzip, deflate, br, zstd")], 200))]
fn answer(asked: &'static mut Asked) -> u16 {
    black_box(asked).answer()
}

library_benchmark_group!(name = answering, benchmarks = [answer]);
