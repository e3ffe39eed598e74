//! The proxies: each in a process of its own, with a configuration of its own, on a socket that is a file.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::PATIENCE;

/// Which proxy, and how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HTTP/1.1 upstream on connections that are kept, and fields passed on that are not well-formed.
    NginxKept,
    /// As it is without any setting: HTTP/1.0 upstream, a connection each.
    NginxPlain,
    /// Connections reused by everybody.
    HaproxyReused,
    /// And requests passed on that it would refuse.
    HaproxyLenient,
}

/// A request that a proxy has passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) method: String,
    pub(crate) target: String,
    /// What it was answered with, if the answer came whole.
    pub(crate) status: Option<u16>,
}

/// A running proxy.
pub(crate) struct Front {
    kind: Kind,
    child: Child,
    directory: tempfile::TempDir,
}

impl Kind {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::NginxKept | Self::NginxPlain => "nginx",
            Self::HaproxyReused | Self::HaproxyLenient => "haproxy",
        }
    }

    /// Where the program is; Debian's are not on everybody's PATH.
    pub(crate) fn path(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
        folders
            .map(|folder| folder.join(self.program()))
            .find(|program| program.is_file())
    }

    fn configuration(self, directory: &Path, upstream: SocketAddr) -> String {
        let directory = directory.display();
        match self {
            Self::NginxKept | Self::NginxPlain => {
                let (server, location) = if self == Self::NginxKept {
                    (
                        "ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;",
                        "proxy_http_version 1.1; proxy_set_header Connection \"\";",
                    )
                } else {
                    ("", "")
                };
                format!(
                    "daemon off; master_process off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
                    events {{ worker_connections 1024; }}
                    http {{
                      client_body_temp_path {directory}/a; proxy_temp_path {directory}/b; fastcgi_temp_path {directory}/c;
                      uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;
                      log_format forwarded escape=json
                        '{{\"id\":\"$request_id\",\"method\":\"$request_method\",\"target\":\"$request_uri\",\"status\":\"$upstream_status\"}}';
                      access_log {directory}/access.log forwarded;
                      client_header_timeout 300ms; client_body_timeout 300ms; keepalive_timeout 100ms; lingering_close off;
                      upstream janus {{ server {upstream}; keepalive 4; }}
                      server {{
                        listen unix:{directory}/front.sock;
                        {server}
                        location / {{ proxy_pass http://janus; proxy_set_header X-Request-Id $request_id; {location} }}
                      }}
                    }}"
                )
            }
            Self::HaproxyReused | Self::HaproxyLenient => {
                let lenient = if self == Self::HaproxyLenient {
                    "option accept-invalid-http-request"
                } else {
                    ""
                };
                format!(
                    "global\n  maxconn 1000\n  log stdout format raw local0 info\n\
                     defaults\n  mode http\n  log global\n  timeout connect 20s\n  timeout server 20s\n  timeout client 300ms\n  \
                     timeout http-request 300ms\n  timeout http-keep-alive 100ms\n\
                     frontend front\n  bind unix@{directory}/front.sock\n  {lenient}\n  unique-id-format %[uuid]\n  \
                     http-request set-header X-Request-Id %[unique-id]\n  \
                     log-format \"forwarded %ID %s %ts %ST %HM %HU\"\n  default_backend back\n\
                     backend back\n  http-reuse always\n  server janus {upstream}\n"
                )
            }
        }
    }
}

impl Front {
    /// Starts a proxy in front of `upstream`.
    pub(crate) fn start(kind: Kind, program: &Path, upstream: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let configuration = directory.path().join("configuration");
        std::fs::write(&configuration, kind.configuration(directory.path(), upstream)).unwrap();
        let output = std::fs::File::create(directory.path().join("output")).unwrap();
        let mut command = Command::new(program);
        match kind.program() {
            "nginx" => command.arg("-p").arg(directory.path()).arg("-c").arg(&configuration),
            _ => command.arg("-db").arg("-f").arg(&configuration),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("the proxy starts");
        let mut front = Self { kind, child, directory };
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(front.socket()).is_err() {
            let ended = front.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{kind:?} does not listen: {}",
                front.output()
            );
            look_again_soon();
        }
        front
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("front.sock")
    }

    fn output(&self) -> String {
        let read = |name: &str| std::fs::read(self.directory.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[read("output"), read("error.log")].concat()).into_owned()
    }

    /// Sends these bytes on a connection of its own, and returns all that is answered until the proxy closes.
    pub(crate) fn converse(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = UnixStream::connect(self.socket()).expect("the proxy accepts");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may have closed before it has read all.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => return answer,
                Ok(length) => answer.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return answer,
                Err(error) => panic!(
                    "{:?} does not close: {error}; it was sent {:?}",
                    self.kind,
                    String::from_utf8_lossy(bytes)
                ),
            }
        }
    }

    /// Ends the proxy when it is through with what it has begun, and returns what it has passed on, by the id that it gave
    /// each request.
    pub(crate) fn stop(mut self) -> HashMap<String, Forwarded> {
        use rustix::process::{Pid, Signal, kill_process};
        let signal = if self.kind.program() == "nginx" {
            Signal::QUIT
        } else {
            Signal::USR1
        };
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(
                Instant::now() < deadline,
                "{:?} does not end: {}",
                self.kind,
                self.output()
            );
            look_again_soon();
        }
        if self.kind.program() == "nginx" {
            self.nginx_log()
        } else {
            self.haproxy_log()
        }
    }

    fn nginx_log(&self) -> HashMap<String, Forwarded> {
        let log = std::fs::read_to_string(self.directory.path().join("access.log")).unwrap();
        let mut forwarded = HashMap::new();
        for line in log.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let text = |name: &str| line[name].as_str().expect("text").to_owned();
            // Nothing where it was not passed on; a dash where no answer came.
            let status = text("status");
            if !status.is_empty() {
                let request = Forwarded {
                    method: text("method"),
                    target: text("target"),
                    status: status.parse().ok(),
                };
                assert_eq!(forwarded.insert(text("id"), request), None, "an id is given once");
            }
        }
        forwarded
    }

    fn haproxy_log(&self) -> HashMap<String, Forwarded> {
        let mut forwarded = HashMap::new();
        for line in self.output().lines() {
            let Some(line) = line.strip_prefix("forwarded ") else {
                continue;
            };
            let words: Vec<&str> = line.splitn(6, ' ').collect();
            let [id, server, ended, status, method, target] = words[..] else {
                panic!("{line}")
            };
            if server == "<NOSRV>" {
                continue;
            }
            let request = Forwarded {
                method: method.to_owned(),
                target: target.to_owned(),
                // Two dashes: both sides ended as they should.
                status: (ended == "--").then(|| status.parse().expect("a status")),
            };
            assert_eq!(forwarded.insert(id.to_owned(), request), None, "an id is given once");
        }
        forwarded
    }
}

/// Another program tells nobody when its socket is there, or when it ends in its own time.
#[allow(clippy::disallowed_methods, reason = "there is nothing to wait for but time")]
fn look_again_soon() {
    std::thread::sleep(Duration::from_millis(20));
}

impl Drop for Front {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
