//! The application: an actix-web service of all routes, which never sees a socket.
//!
//! It is a whole one, so that it can be embedded and tested: data it answers by one call of [`Site::respond`], as the loop does.
//! Connections never come here. The loop calls it for what takes time, metrics and admin endpoints, and [`answer_calls`](Application::answer_calls) is
//! where those calls arrive.

pub mod admin;
pub mod authorizer;
pub mod guesses;
pub mod token;

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use actix_service::{Service, ServiceFactory, map_config};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use tokio::sync::mpsc::Receiver;

use self::admin::Admin;
use crate::http::answer::reply::Reply;
use crate::http::answer::{Answer, Endpoint, Site};
use crate::http::call::{Call, PIECE_LENGTH_MAX, Part};
use crate::http::message::request::{Method, RequestHead};
use crate::lifecycle::Lifecycle;
use crate::metrics::{Format, Registry};
use crate::snapshot::{Head, Publisher};

/// What the application answers from.
#[derive(Clone, Debug)]
pub struct Application {
    /// What is served.
    pub site: Arc<Site>,
    /// The current snapshot.
    pub publisher: Publisher,
    /// Whether the server is draining.
    pub lifecycle: Arc<Lifecycle>,
    /// What a scrape shows.
    pub registry: Arc<Registry>,
    /// What the admin endpoints are answered from, if there is a file of the admin token.
    pub admin: Option<Arc<Admin>>,
}

impl Application {
    /// The service: to be embedded, or called.
    pub async fn service(
        &self,
    ) -> impl Service<
        actix_http::Request,
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
    > + use<> {
        let app = App::new()
            .app_data(web::Data::new(self.clone()))
            .default_service(web::to(handle));
        let service = map_config(app, |()| AppConfig::default()).new_service(()).await;
        service.unwrap_or_else(|()| unreachable!("a service without state of its own is always made"))
    }

    /// Starts the thread that answers calls, until nobody can call any more.
    ///
    /// # Errors
    ///
    /// What the system says of the thread.
    pub fn start(self, name: &str, calls: Receiver<Call>) -> io::Result<()> {
        let run = move || actix_rt::System::new().block_on(self.answer_calls(calls));
        thread::Builder::new().name(format!("janus-{name}-app")).spawn(run)?;
        Ok(())
    }

    /// Answers calls, many at once, until nobody can call any more.
    pub async fn answer_calls(self, mut calls: Receiver<Call>) {
        let service = std::rc::Rc::new(self.service().await);
        while let Some(call) = calls.recv().await {
            let service = std::rc::Rc::clone(&service);
            // A task of its own: who waits holds up nobody, and who panics ends nobody else.
            tokio::task::spawn_local(async move {
                let Call {
                    method,
                    target,
                    fields,
                    peer,
                    answer,
                } = call;
                let Some(mut request) = request(&method, &target, &fields) else {
                    return;
                };
                request.head_mut().peer_addr = peer;
                let answered = async {
                    let response = service.call(request).await.ok()?;
                    send(response, &answer).await
                };
                // Who is gone is not answered.
                tokio::select! {
                    _ = answered => {}
                    () = answer.closed() => {}
                }
            });
        }
    }
}

/// The request as actix-web takes it. `None` if its target is none to actix-web.
fn request(method: &str, target: &str, fields: &[(Box<str>, Box<[u8]>)]) -> Option<actix_http::Request> {
    let mut request = actix_http::Request::new();
    let head = request.head_mut();
    head.method = actix_web::http::Method::from_bytes(method.as_bytes()).ok()?;
    head.uri = target.parse().ok()?;
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        head.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
    }
    Some(request)
}

/// Sends an answer back, part by part. `None` if nobody wants it any more, or it has no length.
async fn send<B: MessageBody>(response: ServiceResponse<B>, answer: &tokio::sync::mpsc::Sender<Part>) -> Option<()> {
    let (_, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let length = match body.size() {
        BodySize::None => 0,
        BodySize::Sized(length) => length,
        BodySize::Stream => return None,
    };
    let has_length = !matches!(body.size(), BodySize::None);
    let mut head = Head::builder(response.status().as_u16());
    if has_length {
        head = head.field("content-length", length.to_string());
    }
    for (name, value) in response.headers() {
        head = head.field(name.as_str(), value.as_bytes());
    }
    answer.send(Part::Head(head.build(), length)).await.ok()?;
    let mut body = pin!(body);
    while let Some(piece) = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await {
        let mut rest = piece.ok()?;
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(PIECE_LENGTH_MAX));
            answer.send(Part::Piece(piece)).await.ok()?;
        }
    }
    answer.send(Part::End).await.ok()
}

/// Answers every request: the routes are those of [`Site::respond`].
async fn handle(request: HttpRequest, application: web::Data<Application>) -> HttpResponse {
    let head = request_head(&request);
    let draining = application.lifecycle.is_draining();
    let snapshot = application.publisher.current();
    match application.site.respond(&head, &snapshot, draining) {
        Answer::Reply(reply) => response(&reply),
        Answer::Scrape => scrape(&request, &application.registry),
        Answer::Admin(endpoint) => administer(&request, endpoint, head.method, &application).await,
    }
}

async fn administer(
    request: &HttpRequest,
    endpoint: Endpoint,
    method: Method,
    application: &Application,
) -> HttpResponse {
    let admin = application.admin.as_ref();
    let admin = admin.expect("a site has the endpoints only where they can be answered");
    let authorization = request.headers().get(header::AUTHORIZATION);
    let peer = request.peer_addr().map(|address| address.ip());
    let lines = request.headers().get_all("x-forwarded-for");
    let forwarded_for: Vec<&str> = lines.filter_map(|value| value.to_str().ok()).collect();
    let made = admin
        .answer(
            endpoint,
            authorization.map(HeaderValue::as_bytes),
            peer,
            forwarded_for.into_iter(),
        )
        .await;
    response(&made.reply().head_only(method == Method::Head))
}

/// The exposition as it is now.
fn scrape(request: &HttpRequest, registry: &Registry) -> HttpResponse {
    let format = Format::negotiate(request.headers().get(header::ACCEPT).map(HeaderValue::as_bytes));
    let mut text = Vec::new();
    registry.render(format, &mut text);
    let mut response = HttpResponse::new(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    response.set_body(BoxBody::new(text))
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

fn response(reply: &Reply<'_>) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status()).expect("Janus's status codes are status codes");
    let mut response = HttpResponse::new(status);
    let mut block = Vec::with_capacity(512);
    reply.write_head(&mut block);
    let block = Bytes::from(block);
    for (name, value) in fields(&block) {
        // The length is that of the body.
        if name != header::CONTENT_LENGTH {
            response.headers_mut().append(name, value);
        }
    }
    if reply.is_bodyless() {
        return response;
    }
    response.set_body(BoxBody::new(Whole(reply.selected_shared().into_bytes())))
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

/// A body that is somebody's memory. Of one that is empty the length is told all the same.
struct Whole(Bytes);

impl MessageBody for Whole {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let whole = std::mem::take(&mut self.0);
        Poll::Ready((!whole.is_empty()).then_some(Ok(whole)))
    }
}
