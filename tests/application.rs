//! The application by itself, called in this process without a loop or a socket: all routes, by the same `answer`.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_service::Service;
use actix_web::body::to_bytes;
use actix_web::http::Method as Token;
use janus::http::answer::{Answer, Site};
use janus::http::app::Application;
use janus::http::message::request::{Method, RequestHead};
use janus::items::{Format, ParseOptions, parse};
use janus::lifecycle::{Lifecycle, Phase};
use janus::metrics::Registry;
use janus::snapshot::{Coding, Publisher, Settings, Snapshot, compile};

fn snapshot() -> Snapshot {
    let lines: String = (0..400)
        .map(|id| format!("{{\"id\":{id},\"text\":\"{}\"}}\n", "x".repeat(id)))
        .collect();
    let items = parse(Format::Ndjson, lines.as_bytes(), &ParseOptions::default()).expect("good items");
    let settings = Settings {
        codings: vec![Coding::Br, Coding::Gzip],
        ..Settings::default()
    };
    compile(items, &settings)
}

fn application() -> Application {
    Application {
        site: Arc::new(Site::default()),
        publisher: Publisher::new(snapshot()),
        lifecycle: Arc::new(Lifecycle::default()),
        registry: Arc::new(Registry::new()),
        admin: None,
    }
}

/// Status, header lines in one order, and body.
type Told = (u16, BTreeSet<String>, Vec<u8>);

/// What the service answers.
async fn asked(application: &Application, method: &str, target: &str, fields: &[(&'static str, &'static str)]) -> Told {
    let mut request = actix_http::Request::new();
    request.head_mut().method = Token::from_bytes(method.as_bytes()).expect("a method");
    request.head_mut().uri = target.parse().expect("a target");
    for (name, value) in fields {
        let name = actix_web::http::header::HeaderName::from_static(name);
        let value = actix_web::http::header::HeaderValue::from_static(value);
        request.head_mut().headers_mut().append(name, value);
    }
    let service = application.service().await;
    let response = service.call(request).await.expect("an answer");
    let status = response.status().as_u16();
    let lines = response.headers().iter();
    let lines = lines.map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")));
    let lines = lines.collect();
    let body = to_bytes(response.into_body()).await.ok().expect("a body");
    (status, lines, body.to_vec())
}

/// What `answer` says, with the body that GET would have and without the length, which is the body's.
fn expected(application: &Application, method: &str, target: &str, fields: &[(&'static str, &'static str)]) -> Told {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (target, None),
    };
    let mut head = RequestHead::new(Method::parse(method.as_bytes()), path.as_bytes());
    head.query = query;
    for (name, value) in fields {
        head.field(name.as_bytes(), value.as_bytes());
    }
    let snapshot = application.publisher.current();
    let draining = application.lifecycle.is_draining();
    let Answer::Reply(reply) = application.site.respond(&head, &snapshot, draining) else {
        panic!("{target} is made when it is asked for");
    };
    let mut block = Vec::new();
    reply.write_head(&mut block);
    let lines = std::str::from_utf8(&block).expect("text").lines().skip(1);
    let lines = lines.filter(|line| !line.starts_with("content-length: "));
    (
        reply.status(),
        lines.map(str::to_owned).collect(),
        reply.selected_shared().to_vec(),
    )
}

fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(test);
}

#[test]
fn every_route_of_data_is_answered_as_by_the_loop() {
    run(async {
        let application = application();
        for (method, target, fields, status) in [
            ("GET", "/", &[][..], 200),
            ("GET", "/items", &[], 200),
            ("GET", "/items", &[("accept-encoding", "br")], 200),
            ("GET", "/items", &[("if-none-match", "*")], 304),
            ("GET", "/items", &[("range", "bytes=10-19")], 206),
            ("GET", "/items/399", &[], 200),
            ("GET", "/items/%zz", &[], 400),
            ("GET", "/items/400", &[], 404),
            ("GET", "/items/1/?a", &[], 308),
            ("HEAD", "/items/1", &[], 200),
            ("GET", "/items?a=1", &[], 400),
            ("POST", "/items", &[], 405),
            ("OPTIONS", "/items", &[], 204),
            ("GET", "/readyz", &[], 200),
            ("GET", "/nowhere", &[], 404),
            ("POST", "/metrics", &[], 405),
        ] {
            let told = asked(&application, method, target, fields).await;
            assert_eq!(told.0, status, "{method} {target}");
            assert!(
                told == expected(&application, method, target, fields),
                "{method} {target}: {told:?}"
            );
        }
        application.lifecycle.advance(Phase::Draining);
        assert_eq!(asked(&application, "GET", "/readyz", &[]).await.0, 503);
    });
}

#[test]
fn a_scrape_is_made_when_it_is_asked_for() {
    run(async {
        let application = application();
        let counter = application.registry.counter("asked_total", &[]).expect("a name");
        counter.increment(3);
        let (status, lines, text) = asked(&application, "GET", "/metrics", &[]).await;
        assert_eq!(status, 200);
        assert!(
            lines.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
            "{lines:?}"
        );
        assert!(String::from_utf8_lossy(&text).contains("\nasked_total 3\n"));
    });
}
