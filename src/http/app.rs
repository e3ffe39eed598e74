//! The actix-web application: carries requests to [`Site::respond`](super::answer::Site::respond) and replies back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive};
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::AppConfig;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{App, HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::access_log::{AccessLog, Record};
use super::answer::{Answer, Endpoint};
use super::guard::{self, Connection, Guard};
use super::record::{Answered, HttpMetrics, LevelGuard};
use super::reply::{Made, Reply};
use super::request::{Method, RequestHead};
use super::route::Route;
use super::transport::Transport;
use super::worker::{Shared as WorkerShared, Worker};
use crate::metrics::Format;
use crate::snapshot::Coding;

/// The application behind a worker's listener, for streams that are guarded.
pub fn application<S>(
    worker: &Rc<Worker>,
) -> impl ServiceFactory<(Guard<S>, Option<SocketAddr>), Config = (), Response = (), Error = DispatchError, InitError = ()>
+ use<S>
where
    S: Transport + 'static,
{
    let app = App::new()
        .app_data(web::Data::new(Rc::clone(worker)))
        .default_service(web::to(handle));
    HttpService::build()
        // Every limit of time is the guard's.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .on_connect_ext(|guard: &Guard<S>, extensions| drop(extensions.insert(guard.connection())))
        .h1(map_config(app, |()| AppConfig::default()))
}

/// Has the application answer a request in this process. `None` if it cannot be asked.
pub async fn call(request: actix_http::Request, worker: Rc<Worker>) -> Option<HttpResponse> {
    let app = App::new()
        .app_data(web::Data::new(worker))
        .default_service(web::to(handle));
    let app = map_config(app, |()| AppConfig::default()).new_service(()).await.ok()?;
    let answer = app.call(request).await.ok()?;
    Some(answer.into())
}

/// Answers every request: the routes are [`Route`]'s.
pub async fn handle(request: HttpRequest, worker: web::Data<Rc<Worker>>, unread: web::Payload) -> HttpResponse {
    let started = Instant::now();
    let shared = &worker.shared;
    // A request from this process has none.
    let connection = request.conn_data::<Rc<Connection>>();
    let in_flight = InFlight {
        _of_worker: worker.levels.request(),
        _of_connection: connection.map(Connection::request),
        _unread: unread,
    };
    let head = request_head(&request);
    let draining = shared.lifecycle.is_draining();
    let refusal = connection.and_then(|connection| connection.take_refusal());
    let method = head.method;
    // The snapshot is let go before anything is waited for.
    let at_once = match refusal {
        // Which method it was may not be known, so none is recorded.
        Some(problem) => Ok(carry(
            &problem.reply().head_only(method == Method::Head),
            Method::Other,
            in_flight,
        )),
        None => match shared.site.respond(&head, worker.reader.borrow_mut().read(), draining) {
            Answer::Reply(reply) => {
                if let Some(connection) = connection {
                    connection.hold(reply.selected_shared().entry().cloned());
                }
                Ok(carry(&reply, method, in_flight))
            }
            Answer::Scrape => Err((None, in_flight)),
            Answer::Admin(endpoint) => Err((Some(endpoint), in_flight)),
        },
    };
    let (mut answered, mut response) = match at_once {
        Ok(answer) => answer,
        Err((None, in_flight)) => scrape(&request, method, &shared.metrics, in_flight).await,
        Err((Some(endpoint), in_flight)) => {
            let made = administer(&request, endpoint, shared).await;
            let reply = made.reply().of_route(endpoint.template());
            carry(&reply.head_only(method == Method::Head), method, in_flight)
        }
    };
    if shared.lifecycle.is_draining() || connection.is_some_and(|connection| connection.closes()) {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    answered.took = started.elapsed();
    shared.metrics.record(&answered);
    if let Some(log) = &shared.access_log {
        log_access(log, &request, &answered);
        let log = Arc::clone(log);
        // When the connection's task has had its turn, and has sent what there is.
        tokio::task::spawn_local(async move {
            tokio::task::yield_now().await;
            log.flush();
        });
    }
    response
}

/// A reply as the application sends it, and what is recorded of it.
fn carry(reply: &Reply<'_>, method: Method, in_flight: InFlight) -> (Answered, HttpResponse) {
    (Answered::of(method, reply), response(reply, in_flight))
}

async fn administer(request: &HttpRequest, endpoint: Endpoint, shared: &WorkerShared) -> Made {
    let admin = shared.admin.as_ref();
    let admin = admin.expect("a site has the endpoints only where they can be answered");
    let authorization = request.headers().get(header::AUTHORIZATION);
    let peer = request.peer_addr().map(|address| address.ip());
    let forwarded_for = forwarded_for(request);
    admin
        .answer(
            endpoint,
            authorization.map(HeaderValue::as_bytes),
            peer,
            forwarded_for.iter().copied(),
        )
        .await
}

async fn scrape(
    request: &HttpRequest,
    method: Method,
    metrics: &HttpMetrics,
    in_flight: InFlight,
) -> (Answered, HttpResponse) {
    let format = Format::negotiate(request.headers().get(header::ACCEPT).map(HeaderValue::as_bytes));
    let text = metrics.scrape(format).await;
    let mut response = HttpResponse::new(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    let answered = Answered {
        method,
        route: Route::Metrics.template(),
        status: StatusCode::OK.as_u16(),
        coding: Coding::Identity,
        length: if method == Method::Get { text.len() } else { 0 },
        took: Duration::ZERO,
    };
    let response = response.set_body(BoxBody::new(Pieces::new(text, in_flight)));
    (answered, response)
}

/// The lines of `X-Forwarded-For`.
fn forwarded_for(request: &HttpRequest) -> Vec<&str> {
    let lines = request.headers().get_all("x-forwarded-for");
    lines.filter_map(|value| value.to_str().ok()).collect()
}

fn log_access(log: &AccessLog, request: &HttpRequest, answered: &Answered) {
    let forwarded_for = forwarded_for(request);
    log.write(&Record {
        method: answered.method.label(),
        route: answered.route,
        status: answered.status,
        bytes: answered.length,
        took: answered.took,
        caller: log.caller(
            request.peer_addr().map(|address| address.ip()),
            forwarded_for.iter().copied(),
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

fn response(reply: &Reply<'_>, in_flight: InFlight) -> HttpResponse {
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
    response.set_body(BoxBody::new(Pieces::new(
        reply.selected_shared().into_bytes(),
        in_flight,
    )))
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

/// The longest piece of a body, in bytes. actix-http copies what it sends into memory of each connection, and takes pieces
/// until it has at least 32 KiB.
const PIECE_LENGTH_MAX: usize = 32 << 10;

/// A body that is somebody's memory, taken piece by piece. The request is in flight until all has been taken.
struct Pieces {
    rest: Bytes,
    _in_flight: InFlight,
}

/// A request that goes on, in the sight of a scrape and of its connection's guard.
struct InFlight {
    _of_worker: LevelGuard,
    _of_connection: Option<guard::InFlight>,
    /// A body that nobody reads.
    _unread: web::Payload,
}

impl Pieces {
    fn new(whole: Bytes, in_flight: InFlight) -> Self {
        Self {
            rest: whole,
            _in_flight: in_flight,
        }
    }
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.rest.len().min(PIECE_LENGTH_MAX);
        let piece = self.rest.split_to(length);
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}
