//! `janus health`: asks a running server, for containers without curl.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::http::message::proxies::TrustedProxies;

/// An answer's head and a body as short as that of `/health` fit.
const ANSWER_LENGTH_MAX: u64 = 16 << 10;

/// Why a server is not healthy, as far as can be seen.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The URL cannot be asked.
    #[error("{url:?} is not a URL like http://127.0.0.1:8080/health (plain http, no user)")]
    Url {
        /// The URL as it was given.
        url: String,
    },
    /// Nobody answers.
    #[error("{url}: {error}")]
    Unreachable {
        /// The URL.
        url: String,
        /// What the kernel says.
        error: io::Error,
    },
    /// Somebody answers otherwise.
    #[error("{url} answers {status_line:?}")]
    Status {
        /// The URL.
        url: String,
        /// The first line of the answer.
        status_line: String,
    },
}

/// The URL of the probe of a server at this address.
pub fn url(address: SocketAddr) -> String {
    format!("http://{}/health", crate::app::reachable(address))
}

/// Asks `url`, and is content with 200. Connecting, asking and answering may take `patience` each. To a server that takes this machine for one of these `proxies` the connection is
/// begun as theirs are, as one that asks for itself.
///
/// # Errors
///
/// If it is not a URL, nobody answers within seconds, or the answer is another.
pub fn ask(url: &str, patience: Duration, proxies: Option<&TrustedProxies>) -> Result<(), HealthError> {
    let bad_url = || HealthError::Url { url: url.to_owned() };
    let rest = url.strip_prefix("http://").ok_or_else(bad_url)?;
    let (authority, path) = rest.find('/').map_or((rest, "/health"), |slash| rest.split_at(slash));
    let is_text = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_text(authority) || !is_text(path) || authority.contains('@') {
        return Err(bad_url());
    }
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host_and_port = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let status_line =
        exchange(&host_and_port, authority, path, patience, proxies).map_err(|error| HealthError::Unreachable {
            url: url.to_owned(),
            error,
        })?;
    if status_line.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(HealthError::Status {
            url: url.to_owned(),
            status_line,
        })
    }
}

fn exchange(
    host_and_port: &str,
    authority: &str,
    path: &str,
    patience: Duration,
    proxies: Option<&TrustedProxies>,
) -> io::Result<String> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in host_and_port.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience)
            .and_then(|stream| request(stream, authority, path, patience, proxies))
        {
            Ok(status_line) => return Ok(status_line),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn request(
    mut stream: TcpStream,
    authority: &str,
    path: &str,
    patience: Duration,
    proxies: Option<&TrustedProxies>,
) -> io::Result<String> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    // In one write: a server may answer the first part that it sees.
    let own = stream.local_addr()?.ip();
    let header = match proxies {
        Some(proxies) if proxies.trusts(own) => "PROXY UNKNOWN\r\n",
        _ => "",
    };
    stream.write_all(
        format!("{header}GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LENGTH_MAX).read_to_end(&mut answer)?;
    let line = answer.split(|&byte| byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    /// A server that gives this answer to one request.
    fn answering(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /health HTTP/1.1\r\n"));
            stream.write_all(answer).unwrap();
        });
        url
    }

    #[test]
    fn only_200_is_healthy() {
        ask(
            &answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            PATIENCE,
            None,
        )
        .unwrap();
        let error = ask(&answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), PATIENCE, None).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("answers \"HTTP/1.1 503 Service Unavailable\""),
            "{error}"
        );
        assert!(ask(&answering(b""), PATIENCE, None).is_err());
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in [
            "",
            "localhost:8080",
            "https://localhost/",
            "http://",
            "http:///health",
            "http://a b/",
            "http://u@h/",
        ] {
            assert!(
                matches!(ask(url, PATIENCE, None), Err(HealthError::Url { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn nobody_there_is_unhealthy() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url(listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(
            ask(&url, PATIENCE, None),
            Err(HealthError::Unreachable { .. })
        ));
    }

    #[test]
    fn an_unspecified_address_is_asked_on_loopback() {
        assert_eq!(url("0.0.0.0:8080".parse().unwrap()), "http://127.0.0.1:8080/health");
        assert_eq!(url("[::]:8080".parse().unwrap()), "http://[::1]:8080/health");
        assert_eq!(url("192.0.2.1:80".parse().unwrap()), "http://192.0.2.1:80/health");
    }
}
