//! The actix-web application: carries requests to [`Site::respond`] and replies back.

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::access_log::{AccessLog, Record};
use super::admin::Admin;
use super::answer::{Answer, Endpoint, Site};
use super::record::{Answered, HttpMetrics, LevelGuard, WorkerLevels};
use super::reply::{Made, Reply};
use super::request::{Method, RequestHead};
use super::route::Route;
use crate::lifecycle::Lifecycle;
use crate::metrics::Format;
use crate::snapshot::{Coding, Reader};

/// What one worker's answers are made from.
#[derive(Debug)]
pub struct Worker {
    /// What is served on this listener.
    pub site: Arc<Site>,
    /// This thread's handle of the current snapshot.
    pub reader: RefCell<Reader>,
    /// Whether the server is draining.
    pub lifecycle: Arc<Lifecycle>,
    /// Where requests are counted.
    pub metrics: Arc<HttpMetrics>,
    /// How many there are in this thread.
    pub levels: WorkerLevels,
    /// Where to log requests, if anywhere.
    pub access_log: Option<Arc<AccessLog>>,
    /// What the admin endpoints are answered from, where the site has them.
    pub admin: Option<Arc<Admin>>,
}

/// Answers every request: the routes are [`Route`]'s.
pub async fn handle(request: HttpRequest, worker: web::Data<Rc<Worker>>) -> HttpResponse {
    let started = Instant::now();
    let in_flight = worker.levels.request();
    let head = request_head(&request);
    let draining = worker.lifecycle.is_draining();
    let mut answered = Answered {
        method: head.method,
        route: Route::Metrics.template(),
        status: StatusCode::OK.as_u16(),
        coding: Coding::Identity,
        length: 0,
        took: Duration::ZERO,
    };
    // The snapshot is let go before anything is waited for.
    let at_once = match worker.site.respond(&head, worker.reader.borrow_mut().read(), draining) {
        Answer::Reply(reply) => {
            note(&mut answered, &reply);
            Ok(response(&reply, in_flight))
        }
        Answer::Scrape => {
            let response = scrape(&request, &worker.metrics, in_flight);
            if head.method == Method::Get {
                answered.length = length(&response);
            }
            Ok(response)
        }
        Answer::Admin(endpoint) => Err((endpoint, in_flight)),
    };
    let mut response = match at_once {
        Ok(response) => response,
        Err((endpoint, in_flight)) => {
            let made = administer(&request, endpoint, &worker).await;
            let reply = made.reply().of_route(endpoint.template());
            let reply = reply.head_only(head.method == Method::Head);
            note(&mut answered, &reply);
            response(&reply, in_flight)
        }
    };
    // A body is never read: what follows on the connection cannot be told from a next request.
    if worker.lifecycle.is_draining() || has_body(&request) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    answered.took = started.elapsed();
    worker.metrics.record(&answered);
    if let Some(log) = &worker.access_log {
        log_access(log, &request, &answered);
    }
    response
}

fn note(answered: &mut Answered, reply: &Reply<'_>) {
    answered.route = reply.route();
    answered.status = reply.status();
    answered.coding = reply.coding();
    answered.length = reply.body().len();
}

async fn administer(request: &HttpRequest, endpoint: Endpoint, worker: &Worker) -> Made {
    let admin = worker.admin.as_ref();
    let admin = admin.expect("a site has the endpoints only where they can be answered");
    let authorization = request.headers().get(header::AUTHORIZATION);
    admin.answer(endpoint, authorization.map(HeaderValue::as_bytes)).await
}

fn scrape(request: &HttpRequest, metrics: &HttpMetrics, in_flight: LevelGuard) -> HttpResponse {
    let format = Format::negotiate(request.headers().get(header::ACCEPT).map(HeaderValue::as_bytes));
    let mut text = Vec::new();
    metrics.registry().render(format, &mut text);
    let mut response = HttpResponse::new(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response.set_body(BoxBody::new(Shared {
        bytes: Bytes::from(text),
        _in_flight: in_flight,
    }))
}

fn length(response: &HttpResponse) -> usize {
    match response.body().size() {
        BodySize::Sized(length) => length as usize,
        BodySize::None | BodySize::Stream => 0,
    }
}

fn log_access(log: &AccessLog, request: &HttpRequest, answered: &Answered) {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let forwarded_for: Vec<String> = request.headers().get_all("x-forwarded-for").filter_map(text).collect();
    log.write(&Record {
        method: answered.method.label(),
        route: answered.route,
        status: answered.status,
        bytes: answered.length,
        took: answered.took,
        caller: log.caller(
            request.peer_addr().map(|address| address.ip()),
            forwarded_for.iter().map(String::as_str),
            request
                .headers()
                .get("x-request-id")
                .and_then(|value| value.to_str().ok()),
        ),
    });
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

fn response(reply: &Reply<'_>, in_flight: LevelGuard) -> HttpResponse {
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
        return response;
    }
    response.set_body(BoxBody::new(Shared {
        bytes: reply.selected_shared(),
        _in_flight: in_flight,
    }))
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

/// A body that is somebody's memory. The request is in flight until it has been taken.
struct Shared {
    bytes: Bytes,
    _in_flight: LevelGuard,
}

impl MessageBody for Shared {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let rest = std::mem::take(&mut self.bytes);
        Poll::Ready((!rest.is_empty()).then_some(Ok(rest)))
    }
}
