//! The actix-web application: carries requests to [`Site::respond`] and replies back.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::access_log::{AccessLog, Record};
use super::answer::Site;
use super::reply::Reply;
use super::request::{Method, RequestHead};
use crate::lifecycle::Lifecycle;
use crate::snapshot::Reader;

/// What one worker's answers are made from.
#[derive(Debug)]
pub struct Worker {
    /// What is served on this listener.
    pub site: Arc<Site>,
    /// This thread's handle of the current snapshot.
    pub reader: RefCell<Reader>,
    /// Whether the server is draining.
    pub lifecycle: Arc<Lifecycle>,
    /// Where to log requests, if anywhere.
    pub access_log: Option<Arc<AccessLog>>,
}

/// Answers every request: the routes are [`Route`](super::route::Route)'s.
pub async fn handle(request: HttpRequest, worker: web::Data<Rc<Worker>>) -> HttpResponse {
    let started = worker.access_log.is_some().then(Instant::now);
    let mut reader = worker.reader.borrow_mut();
    let head = request_head(&request);
    let draining = worker.lifecycle.is_draining();
    let reply = worker.site.respond(&head, reader.read(), draining);
    let mut response = response(&reply);
    // A body is never read: what follows on the connection cannot be told from a next request.
    if draining || has_body(&request) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    if let (Some(log), Some(started)) = (&worker.access_log, started) {
        log.write(&Record {
            method: head.method.label(),
            route: reply.route(),
            status: reply.status(),
            bytes: reply.body().len(),
            took: started.elapsed(),
            caller: log.caller(
                request.peer_addr().map(|address| address.ip()),
                request
                    .headers()
                    .get_all("x-forwarded-for")
                    .filter_map(|value| value.to_str().ok())
                    .collect::<Vec<_>>()
                    .into_iter(),
                request
                    .headers()
                    .get("x-request-id")
                    .and_then(|value| value.to_str().ok()),
            ),
        });
    }
    response
}

fn request_head(request: &HttpRequest) -> RequestHead<'_> {
    let uri = request.uri();
    let mut head = RequestHead::new(
        Method::parse(request.method().as_str().as_bytes()),
        uri.path().as_bytes(),
    );
    head.query = uri.query().map(str::as_bytes);
    for (name, value) in request.headers() {
        head.field(name.as_str().as_bytes(), value.as_bytes());
    }
    head
}

fn has_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0")
}

fn response(reply: &Reply<'_>) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status()).expect("Janus's status codes are status codes");
    let mut response = HttpResponse::new(status);
    let mut block = Vec::with_capacity(512);
    reply.write_head(&mut block);
    let block = Bytes::from(block);
    for (name, value) in fields(&block) {
        // actix-http writes the length itself, from the body.
        if name != header::CONTENT_LENGTH {
            response.headers_mut().append(name, value);
        }
    }
    if reply.is_bodyless() {
        response
    } else {
        response.set_body(BoxBody::new(Shared(reply.selected_shared())))
    }
}

/// The header lines of a block, each value a slice of it.
fn fields(block: &Bytes) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    block.split(|&byte| byte == b'\n').skip(1).filter_map(|line| {
        let line = line.strip_suffix(b"\r")?;
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .expect("a block's lines are header lines");
        let name = HeaderName::from_bytes(&line[..colon]).expect("a block's names are header names");
        let value = HeaderValue::from_maybe_shared(block.slice_ref(&line[colon + 2..]));
        Some((name, value.expect("a block's values are header values")))
    })
}

/// A body that is a slice of the snapshot.
struct Shared(Bytes);

impl MessageBody for Shared {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, Self::Error>>> {
        let rest = std::mem::take(&mut self.0);
        std::task::Poll::Ready((!rest.is_empty()).then_some(Ok(rest)))
    }
}
