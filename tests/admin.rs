//! The admin endpoints over real sockets: who is let in, what they are told, and where.

mod support;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use support::{Client, Response, Server};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const TOKEN: &str = "correct-horse-battery-staple";

const BEARER: (&str, &str) = ("authorization", "Bearer correct-horse-battery-staple");

/// Both endpoints, each with its method.
const ENDPOINTS: [(&str, &str); 2] = [("POST", "/-/reload"), ("GET", "/-/snapshot")];

/// Files of one test, which go with it.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file in place whole, by a rename.
    fn put(&self, name: &str, content: &str) -> String {
        let temporary = self.path("temporary");
        std::fs::write(&temporary, content).unwrap();
        std::fs::rename(&temporary, self.path(name)).unwrap();
        text(&self.path(name))
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A server of items that are not watched, with the token.
fn serve(files: &Files, items: &str) -> Server {
    let token = files.put("token", TOKEN);
    let items = files.put("items.json", items);
    Server::start(&["--data", &items, "--no-watch", "--admin-token-file", &token])
}

fn reload(server: &Server) -> Response {
    server.connect().request("POST", "/-/reload", &[BEARER])
}

fn snapshot(server: &Server) -> serde_json::Value {
    let response = server.get_with("/-/snapshot", &[BEARER]);
    assert_eq!(response.status, 200, "{}", response.head);
    assert_eq!(response.field("content-type"), Some("application/json"));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    response.json()
}

#[track_caller]
fn check_is_now(time: &serde_json::Value, started: SystemTime) {
    let time = OffsetDateTime::parse(time.as_str().unwrap(), &Rfc3339).unwrap();
    // It is written in whole milliseconds.
    let started = OffsetDateTime::from(started).truncate_to_millisecond();
    assert!(started <= time && time <= OffsetDateTime::now_utc(), "{time}");
}

#[test]
fn without_a_token_file_they_are_not_there() {
    let server = Server::start(&[]);
    for (_, path) in ENDPOINTS {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
            let unknown = server.connect().request(method, "/-/nothing", &[]);
            let response = server.connect().request(method, path, &[BEARER]);
            assert_eq!(
                (response.status, &response.body),
                (404, &unknown.body),
                "{method} {path}"
            );
        }
    }
    let scrape = server.get("/metrics");
    assert!(!scrape.text().contains("/-/"), "{}", scrape.text());
}

//= rfc9110#section-11.6.1
//= type=test
//# A server generating a 401 (Unauthorized) response MUST send a WWW-Authenticate header field containing at least one challenge.
//= rfc9110#section-15.5.2
//= type=test
//# The server generating a 401 response MUST send a WWW-Authenticate header field containing at least one challenge applicable to the target resource.
//= rfc9110#section-11.5
//= type=test
//# For historical reasons, a sender MUST only generate the quoted-string syntax.
#[test]
fn only_the_token_opens_them() {
    let files = Files::new();
    let server = serve(&files, "[]");
    for (method, path) in ENDPOINTS {
        let ask = |fields: &[(&str, &str)]| server.connect().request(method, path, fields);
        for fields in [
            &[][..],
            &[("authorization", "Basic Y29ycmVjdA==")],
            &[("authorization", TOKEN)],
        ] {
            let response = ask(fields);
            assert_eq!(response.problem(), (401, "token_required".to_owned()), "{fields:?}");
            assert_eq!(response.field("www-authenticate"), Some("Bearer realm=\"janus\""));
        }
        for wrong in [
            "Bearer correct-horse-battery-stapl",
            "Bearer x",
            "Bearer  Correct-Horse-Battery-Staple",
        ] {
            let response = ask(&[("authorization", wrong)]);
            assert_eq!(response.problem(), (401, "invalid_token".to_owned()), "{wrong}");
            let challenge = "Bearer realm=\"janus\", error=\"invalid_token\"";
            assert_eq!(response.field("www-authenticate"), Some(challenge));
        }
        assert_eq!(ask(&[BEARER]).status, 200, "{path}");
        // The scheme's name is case-insensitive, and a path has one spelling.
        let lower = ("authorization", "bearer correct-horse-battery-staple");
        let encoded = path.replace("/-/", "/%2D/");
        assert_eq!(server.connect().request(method, path, &[lower]).status, 200);
        assert_eq!(server.connect().request(method, &encoded, &[lower]).status, 404);
    }
    let scrape = server.get("/metrics");
    for series in [
        r#"http_requests_total{method="POST",route="/-/reload",status="401"} 6"#,
        r#"http_requests_total{method="POST",route="/-/reload",status="200"} 2"#,
        r#"http_requests_total{method="GET",route="/-/snapshot",status="401"} 6"#,
    ] {
        assert!(scrape.text().contains(series), "{series} is not in {}", scrape.text());
    }
}

#[test]
fn the_snapshot_is_told_with_what_it_is_made_of() {
    let started = SystemTime::now();
    let files = Files::new();
    let items: Vec<String> = (0..50)
        .map(|id| format!(r#"{{"id":{id},"name":"Item number {id}"}}"#))
        .collect();
    let items = format!("[{}]", items.join(","));
    let server = serve(&files, &items);
    let told = snapshot(&server);
    assert_eq!(told["id"], server.get("/").json()["snapshot"]);
    assert_eq!(told["items"], 50);
    assert_eq!(told["bytes"], items.len());
    assert_eq!(told["source"], text(&files.path("items.json")));
    check_is_now(&told["loaded_at"], started);
    let length = |coding: &str| server.get_with("/items", &[("accept-encoding", coding)]).body.len();
    let encodings = serde_json::json!({
        "identity": items.len(), "br": length("br"), "gzip": length("gzip"), "zstd": length("zstd"),
    });
    assert_eq!(told["encodings"], encodings);
    assert_eq!(told["last_reload"], serde_json::Value::Null);

    let mut client = server.connect();
    let get = client.get("/-/snapshot", &[BEARER]);
    let head = client.request("HEAD", "/-/snapshot", &[BEARER]);
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, get.field("content-length"))
    );
    // Nothing of a body is on the wire: the next answer begins at once.
    assert_eq!(client.get("/livez", &[]).status, 200);
}

#[test]
fn a_reload_is_answered_when_it_has_ended() {
    let started = SystemTime::now();
    let files = Files::new();
    let server = serve(&files, r#"[{"id":1}]"#);
    let response = reload(&server);
    let (before, told) = (snapshot(&server), response.json());
    assert_eq!((response.status, &told["result"]), (200, &"unchanged".into()));
    assert_eq!(told["snapshot"], before["id"]);

    // What is not watched is served when the answer is there, and not before.
    files.put("items.json", r#"[{"id":1},{"id":2}]"#);
    assert_eq!(server.get("/items").text(), r#"[{"id":1}]"#);
    let response = reload(&server);
    assert_eq!(server.get("/items").text(), r#"[{"id":1},{"id":2}]"#);
    let (after, told) = (snapshot(&server), response.json());
    assert_eq!((response.status, &told["result"]), (200, &"success".into()));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    assert_eq!((&told["items"], &told["bytes"]), (&2.into(), &19.into()));
    assert_eq!(told["snapshot"], after["id"]);
    assert!(told["milliseconds"].is_u64(), "{told}");
    assert_ne!(after["id"], before["id"]);
    assert_eq!(after["last_reload"]["result"], "success");
    check_is_now(&after["last_reload"]["ended_at"], started);
}

#[test]
fn bad_data_is_named_by_its_place_and_does_not_replace_good() {
    let files = Files::new();
    let server = serve(&files, r#"[{"id":1}]"#);
    let good = snapshot(&server);
    files.put("items.json", "[\n  {\"id\": 1},\n  {\"id\": oops}\n]");
    let response = reload(&server);
    assert_eq!(response.problem(), (422, "bad_data".to_owned()));
    let problem = response.json();
    assert_eq!((&problem["line"], &problem["column"]), (&3.into(), &10.into()));
    assert_eq!(problem["fault"], "syntax");
    let detail = problem["detail"].as_str().unwrap();
    for part in ["items.json", "line 3, column 10", "expected"] {
        assert!(detail.contains(part), "{part} is not in {detail}");
    }
    assert_eq!(server.get("/items").text(), r#"[{"id":1}]"#);
    let told = snapshot(&server);
    assert_eq!((&told["id"], &told["loaded_at"]), (&good["id"], &good["loaded_at"]));
    assert_eq!(told["last_reload"]["result"], "failure");
    let error = &told["last_reload"]["error"];
    for member in ["code", "detail", "fault", "line", "column"] {
        assert_eq!(error[member], problem[member], "{member}");
    }

    std::fs::remove_file(files.path("items.json")).unwrap();
    let response = reload(&server);
    assert_eq!(response.problem(), (422, "source_unreadable".to_owned()));
    let problem = response.json();
    assert!(problem.get("line").is_none() && problem["detail"].as_str().unwrap().contains("no such file"));
    assert_eq!(server.get("/items").text(), r#"[{"id":1}]"#);

    files.put("items.json", r#"[{"id":3}]"#);
    assert_eq!(reload(&server).json()["result"], "success");
    assert!(snapshot(&server)["last_reload"].get("error").is_none());
}

#[test]
fn a_reload_that_would_lose_data_is_refused_unless_it_is_forced() {
    let files = Files::new();
    let server = serve(&files, r#"[{"id":1},{"id":2}]"#);
    let ask = |query: &str| {
        server
            .connect()
            .request("POST", &format!("/-/reload{query}"), &[BEARER])
    };
    for (content, reason, after, removed) in [("[]", "empty", 0, 2), (r#"[{"ID":3}]"#, "ids", 1, 1)] {
        files.put("items.json", content);
        for query in ["", "?", "?force=false"] {
            let response = ask(query);
            assert_eq!(response.problem(), (422, "data_loss".to_owned()), "{query}");
            let problem = response.json();
            assert_eq!(problem["reason"], reason);
            let counts = ["items_before", "items_after", "items_removed"].map(|name| problem[name].as_u64());
            assert_eq!(counts, [Some(2), Some(after), Some(removed)]);
            let told = snapshot(&server)["last_reload"].clone();
            assert_eq!(
                (&told["result"], &told["error"]["reason"]),
                (&"failure".into(), &reason.into())
            );
            assert_eq!(server.get("/items").text(), r#"[{"id":1},{"id":2}]"#);
        }
        let response = ask("?force=true");
        assert_eq!((response.status, &response.json()["result"]), (200, &"success".into()));
        assert_eq!(server.get("/items").text(), content);
        files.put("items.json", r#"[{"id":1},{"id":2}]"#);
        assert_eq!(ask("").json()["result"], "success");
    }
    // Bad data is bad data, by whatever force.
    files.put("items.json", "[");
    assert_eq!(ask("?force=true").problem(), (422, "bad_data".to_owned()));
}

#[test]
fn everyone_who_asks_for_a_reload_at_once_gets_an_outcome() {
    let files = Files::new();
    let server = serve(&files, r#"[{"id":1}]"#);
    files.put("items.json", r#"[{"id":2}]"#);
    let address = server.address;
    let ask = move || Client::connect(address).request("POST", "/-/reload", &[BEARER]);
    let threads: Vec<_> = (0..16).map(|_| std::thread::spawn(ask)).collect();
    let answers: Vec<Response> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let id = server.get("/").json()["snapshot"].clone();
    assert!(
        answers
            .iter()
            .all(|answer| answer.status == 200 && answer.json()["snapshot"] == id)
    );
    assert!(answers.iter().any(|answer| answer.json()["result"] == "success"));
}

#[test]
fn other_methods_and_parameters_are_refused_and_scripts_of_other_origins_too() {
    let files = Files::new();
    let token = files.put("token", TOKEN);
    let server = Server::start(&["--admin-token-file", &token, "--cors-origin", "*"]);
    for (path, allow, refused) in [
        ("/-/reload", "POST, OPTIONS", ["GET", "HEAD", "PUT", "DELETE"]),
        ("/-/snapshot", "GET, HEAD, OPTIONS", ["POST", "PUT", "PATCH", "DELETE"]),
    ] {
        for method in refused {
            let response = server.connect().request(method, path, &[BEARER]);
            assert_eq!(
                (response.status, response.field("allow")),
                (405, Some(allow)),
                "{method} {path}"
            );
        }
        let preflight = [
            ("origin", "https://a.example"),
            ("access-control-request-method", "POST"),
        ];
        let response = server.connect().request("OPTIONS", path, &preflight);
        assert_eq!((response.status, response.field("allow")), (204, Some(allow)), "{path}");
        assert!(!response.head.contains("access-control"), "{}", response.head);
    }
    for (method, path) in ENDPOINTS {
        let origin = ("origin", "https://a.example");
        let response = server.connect().request(method, path, &[BEARER, origin]);
        assert_eq!(response.status, 200);
        assert!(!response.head.contains("access-control"), "{}", response.head);
        for query in [
            &format!("access_token={TOKEN}"),
            "force",
            "force=1",
            "force=TRUE",
            "Force=true",
            "force=true&force=true",
            "force=true&x",
        ] {
            let in_the_query = format!("{path}?{query}");
            let response = server.connect().request(method, &in_the_query, &[BEARER]);
            assert_eq!(
                response.problem(),
                (400, "unknown_parameter".to_owned()),
                "{in_the_query}"
            );
        }
    }
}

#[test]
fn with_an_admin_listener_they_are_there_and_nowhere_else() {
    let files = Files::new();
    let token = files.put("token", TOKEN);
    let server = Server::start(&["--admin-token-file", &token, "--admin-listen", "127.0.0.1:0"]);
    let admin = server.admin_address.expect("the log names it");
    for (method, path) in ENDPOINTS {
        let response = Client::connect(admin).request(method, path, &[BEARER]);
        assert_eq!(response.status, 200, "{path}");
        let response = server.connect().request(method, path, &[BEARER]);
        assert_eq!(response.problem(), (404, "not_found".to_owned()), "{path}");
    }
}

#[test]
fn before_the_first_data_there_is_nothing_to_tell() {
    let files = Files::new();
    let token = files.put("token", TOKEN);
    let server = Server::start_loading(&["--data", "-", "--admin-token-file", &token]);
    for (method, path) in ENDPOINTS {
        let ask = |fields: &[(&str, &str)]| server.connect().request(method, path, fields).problem();
        assert_eq!(ask(&[]), (401, "token_required".to_owned()), "{path}");
        assert_eq!(ask(&[BEARER]), (503, "loading".to_owned()), "{path}");
    }
}

/// A Secret as the kubelet mounts it: what a program opens is a link through `..data`, which is swapped for a new
/// directory when the Secret changes.
struct Volume {
    directory: PathBuf,
    generations: usize,
}

impl Volume {
    fn token(&self) -> PathBuf {
        self.directory.join("token")
    }

    fn swap(&mut self, content: &str) {
        self.generations += 1;
        let generation = format!("..generation_{}", self.generations);
        std::fs::create_dir_all(self.directory.join(&generation)).unwrap();
        std::fs::write(self.directory.join(&generation).join("token"), content).unwrap();
        let swapped = self.directory.join("..data_tmp");
        symlink(&generation, &swapped).unwrap();
        std::fs::rename(&swapped, self.directory.join("..data")).unwrap();
        if self.generations == 1 {
            symlink("..data/token", self.token()).unwrap();
        } else {
            let before = format!("..generation_{}", self.generations - 1);
            std::fs::remove_dir_all(self.directory.join(before)).unwrap();
        }
    }
}

#[test]
fn the_token_may_come_late_and_be_replaced_as_a_mounted_secret_is() {
    let files = Files::new();
    // Not even the directory is there yet.
    let mut volume = Volume {
        directory: files.path("admin-token"),
        generations: 0,
    };
    let mut server = Server::start(&["--admin-token-file", &text(&volume.token())]);
    let ask = |server: &Server, token: &str| {
        let bearer = format!("Bearer {token}");
        server.get_with("/-/snapshot", &[("authorization", &bearer)])
    };
    let response = ask(&server, "first");
    assert_eq!(response.problem(), (503, "token_unavailable".to_owned()));
    assert_eq!(response.field("retry-after"), Some("1"));
    assert_eq!(server.get("/readyz").status, 200, "the pod is ready without it");
    assert_eq!(server.get("/-/snapshot").status, 503);

    volume.swap("first\n");
    server.wait_for("the admin token was read");
    assert_eq!(ask(&server, "first").status, 200);
    volume.swap("second\n");
    server.wait_for("the admin token was read");
    assert_eq!(ask(&server, "first").problem(), (401, "invalid_token".to_owned()));
    assert_eq!(ask(&server, "second").status, 200);
    // An empty token is none: it lets nobody in.
    volume.swap("\n");
    assert!(server.wait_for("no admin token").contains("the file is empty"));
    for token in ["", "second"] {
        assert_eq!(ask(&server, token).problem(), (503, "token_unavailable".to_owned()));
    }
    volume.swap("third");
    server.wait_for("the admin token was read");
    assert_eq!(ask(&server, "third").status, 200);
    std::fs::remove_file(volume.token()).unwrap();
    server.wait_for("no admin token");
    assert_eq!(ask(&server, "third").problem(), (503, "token_unavailable".to_owned()));
}

#[test]
fn a_token_that_is_no_token_is_refused_and_not_shown() {
    let files = Files::new();
    let token = files.put("token", "two words\n");
    let mut server = Server::start_loading(&["--admin-token-file", &token]);
    let log = server.log_so_far();
    let line = log.iter().find(|line| line.contains("no admin token")).unwrap();
    assert!(line.contains("byte 4") && line.contains(&token), "{line}");
    assert!(!log.iter().any(|line| line.contains("words")), "{log:#?}");
    let response = server.get_with("/-/snapshot", &[("authorization", "Bearer two words")]);
    assert_eq!(response.problem(), (503, "token_unavailable".to_owned()));
}

#[test]
fn the_token_is_never_logged() {
    let files = Files::new();
    let token = files.put("token", TOKEN);
    let mut server = Server::start(&["--admin-token-file", &token, "--log-level", "trace", "--access-log"]);
    assert_eq!(reload(&server).status, 200);
    let wrong = ("authorization", "Bearer almost-the-token");
    assert_eq!(server.get_with("/-/snapshot", &[wrong]).status, 401);
    assert_eq!(server.get(&format!("/-/snapshot?access_token={TOKEN}")).status, 400);
    let scrape = server.get("/metrics");
    server.signal(rustix::process::Signal::TERM);
    server.wait();
    let log = server.log_so_far();
    assert!(
        log.iter().any(|line| line.contains("\"route\":\"/-/reload\"")),
        "{log:#?}"
    );
    let shown = |text: &str| text.contains(TOKEN) || text.contains("almost-the-token");
    assert!(!log.iter().any(|line| shown(line)) && !shown(scrape.text()), "{log:#?}");
}

#[test]
fn wrong_tokens_are_counted_and_logged_once_a_minute_by_client() {
    let files = Files::new();
    let token = files.put("token", TOKEN);
    let mut server = Server::start(&["--admin-token-file", &token, "--trusted-proxies", "127.0.0.1"]);
    let ask = |token: &str, client: &str| {
        let bearer = format!("Bearer {token}");
        server.get_with(
            "/-/snapshot",
            &[("authorization", &bearer), ("x-forwarded-for", client)],
        )
    };
    for client in ["203.0.113.7:51234", "2001:db8::7"] {
        for _ in 0..5 {
            assert_eq!(ask("wrong", client).problem(), (401, "invalid_token".to_owned()));
        }
        assert_eq!(ask(TOKEN, client).status, 200);
    }
    assert_eq!(server.get("/-/snapshot").status, 401);
    let scrape = server.get("/metrics");
    for (reason, count) in [("invalid", 10), ("missing", 1), ("too_many", 0)] {
        let line = format!("janus_admin_tokens_refused_total{{reason=\"{reason}\"}} {count}\n");
        assert!(scrape.text().contains(&line), "{line}: {}", scrape.text());
    }
    server.signal(rustix::process::Signal::TERM);
    server.wait();
    let log = server.log_so_far();
    for client in ["203.0.113.7", "2001:db8::7"] {
        let lines = log
            .iter()
            .filter(|line| line.contains("wrong admin tokens") && line.contains(client));
        assert_eq!(lines.count(), 1, "{client}: {log:#?}");
    }
}

#[test]
fn who_guesses_many_at_once_is_refused_and_others_are_answered() {
    let files = Files::new();
    let token = files.put("token", TOKEN);
    let server = Server::start(&["--admin-token-file", &token, "--workers", "1"]);
    let request = b"GET /-/snapshot HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer guess\r\nConnection: close\r\n\r\n";
    let mut guesses: Vec<Client> = (0..300).map(|_| server.connect()).collect();
    guesses.iter_mut().for_each(|guess| guess.send(request));
    // The one serving thread waits for none of them.
    assert_eq!(server.get("/items/1").status, 200);
    let statuses: Vec<u16> = guesses
        .iter_mut()
        .map(|guess| {
            let answer = guess.receive("GET").unwrap();
            if answer.status == 429 {
                assert_eq!(answer.problem().1, "too_many_tokens");
                assert_eq!(answer.field("retry-after"), Some("1"));
            }
            answer.status
        })
        .collect();
    let compared = statuses.iter().filter(|status| **status == 401).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(compared + refused, 300, "{statuses:?}");
    // Each second of a slow machine lets ten more be compared.
    assert!(compared >= 15 && refused > 0, "{compared} and {refused}");
    assert_eq!(
        Client::connect_from("127.0.0.2", server.address)
            .get("/-/snapshot", &[BEARER])
            .status,
        200
    );
}
