//! Large bodies over real sockets: whole, in order, and as they were when they were asked for.

mod support;

use rustix::process::Signal;
use support::{Client, Server, put};

/// Items of which each begins with `mark`; `length` is that of the second one's text.
fn items(mark: char, length: usize) -> String {
    let text = |length: usize| mark.to_string().repeat(length);
    format!(
        r#"[{{"id":"small","text":"{mark}"}},{{"id":"large","text":"{}"}},{{"id":"middle","text":"{}"}}]"#,
        text(length),
        text(20_000),
    )
}

#[test]
fn pipelined_answers_of_all_lengths_come_whole_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    let whole = items('a', 3_000_000);
    put(&path, whole.as_bytes());
    let server = Server::of_file(&path, &["--encodings", ""]);
    let item = |id: &str| {
        let start = whole.find(&format!(r#"{{"id":"{id}""#)).unwrap();
        let length = whole[start..].find('}').unwrap() + 1;
        whole.as_bytes()[start..start + length].to_vec()
    };
    let asked = [
        ("GET", "/items", whole.clone().into_bytes()),
        ("GET", "/items/small", item("small")),
        ("HEAD", "/items", Vec::new()),
        ("GET", "/items/large", item("large")),
        ("GET", "/items/large", item("large")),
        ("GET", "/items/middle", item("middle")),
        ("HEAD", "/items/large", Vec::new()),
        ("GET", "/items", whole.clone().into_bytes()),
    ];
    let mut client = server.connect();
    let heads: String = asked
        .iter()
        .map(|(method, path, _)| format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.send(heads.as_bytes());
    for (method, path, body) in &asked {
        let answer = client.receive(method).unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body == *body, "{method} {path}: {} bytes", answer.body.len());
    }
    // The connection is as good as before.
    assert_eq!(client.get("/health", &[]).status, 200);
}

#[test]
fn an_answer_that_is_on_its_way_stays_what_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    // More than the sockets on both sides take, so that some of it is still to be sent when the data changes.
    let length = 16 << 20;
    put(&path, items('a', length).as_bytes());
    let mut server = Server::of_file(&path, &["--no-watch", "--encodings", ""]);
    let mut slow: Vec<Client> = ["/items", "/items/large"]
        .into_iter()
        .map(|path| {
            let mut client = server.connect();
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
            client.peek(&mut [0; 1]);
            client
        })
        .collect();
    for mark in ['b', 'c'] {
        put(&path, items(mark, length).as_bytes());
        server.signal(Signal::HUP);
        server.wait_for("\"message\":\"reloaded\"");
    }
    let collection = slow[0].receive("GET").unwrap().body;
    assert!(
        collection == items('a', length).as_bytes(),
        "{} bytes",
        collection.len()
    );
    let item = slow[1].receive("GET").unwrap().body;
    assert!(!item.contains(&b'b') && !item.contains(&b'c'), "{} bytes", item.len());
    assert_eq!(
        item.iter().filter(|&&byte| byte == b'a').count(),
        length + "large".matches('a').count()
    );
    let now = server.get("/items").body;
    assert!(now == items('c', length).as_bytes());
}

#[test]
fn large_bodies_are_whole_for_clients_of_http_1_0_and_in_absolute_form() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("items.json");
    let whole = items('a', 3_000_000);
    put(&path, whole.as_bytes());

    let server = Server::of_file(&path, &["--encodings", "none"]);
    for (request, version) in [
        ("GET /items HTTP/1.0\r\n\r\n", "HTTP/1.0 "),
        (
            "GET http://a/items HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 ",
        ),
    ] {
        let mut client = server.connect();
        client.send(request.as_bytes());
        let answer = client.receive("GET").unwrap();
        assert!(answer.head.starts_with(version), "{}", answer.head);
        assert!(
            answer.body == whole.as_bytes(),
            "{request}: {} bytes",
            answer.body.len()
        );
        assert!(client.is_closed());
    }
}
