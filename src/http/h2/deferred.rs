//! What the application answers, called in this process.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::header::{CONTENT_LENGTH, DATE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};

use super::exchange::{Exchange, Source, Unread};
use super::response::Heads;
use crate::http::app;
use crate::http::record::LevelGuard;
use crate::http::worker::Worker;

/// A request that the application has been asked.
pub(super) struct Deferred {
    /// Nothing if it could not be asked.
    answer: Pin<Box<dyn Future<Output = Option<HttpResponse>>>>,
    respond: SendResponse<Bytes>,
    unread: Option<Unread>,
    is_head: bool,
    in_flight: LevelGuard,
}

/// What has become of it.
pub(super) enum Outcome {
    /// The answer is being made.
    Waits(Deferred),
    /// The answer's head has been sent.
    Sending(Exchange),
    /// There is nothing more to do.
    Over,
}

impl Deferred {
    /// Asks the application.
    pub(super) fn new<B>(
        request: &Request<B>,
        peer: Option<SocketAddr>,
        worker: &Rc<Worker>,
        respond: SendResponse<Bytes>,
        unread: Option<Unread>,
    ) -> Self {
        let asked = translate(request, peer);
        let in_flight = worker.levels.request();
        let worker = Rc::clone(worker);
        Self {
            answer: Box::pin(async move { app::call(asked?, worker).await }),
            respond,
            unread,
            is_head: request.method() == Method::HEAD,
            in_flight,
        }
    }

    /// Sends the head of the answer, if it is there.
    pub(super) fn poll(
        mut self,
        heads: &mut Heads,
        worker: &Worker,
        now_seconds: u32,
        context: &mut Context<'_>,
    ) -> Outcome {
        let nobody = &mut Context::from_waker(Waker::noop());
        if self.respond.poll_reset(nobody).is_ready() {
            return Outcome::Over;
        }
        let Poll::Ready(answer) = self.answer.as_mut().poll(context) else {
            return Outcome::Waits(self);
        };
        let Some(answer) = answer else {
            self.respond.send_reset(Reason::INTERNAL_ERROR);
            return Outcome::Over;
        };
        let (answer, body) = answer.into_parts();
        let mut head = head(&answer);
        head.headers_mut().insert(DATE, heads.date(&worker.date.get()));
        let size = body.size();
        if let BodySize::Sized(length) = size {
            head.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let is_whole = self.is_head || matches!(size, BodySize::None | BodySize::Sized(0));
        let Ok(stream) = self.respond.send_response(head, is_whole && self.unread.is_none()) else {
            return Outcome::Over;
        };
        let source = (!is_whole).then(|| Source::Made(Box::pin(body), Bytes::new()));
        Outcome::Sending(Exchange::new(
            stream,
            source,
            self.unread,
            worker,
            now_seconds,
            self.in_flight,
        ))
    }
}

/// The same request as actix-web takes it. `None` if its target is none to actix-web.
fn translate<B>(request: &Request<B>, peer: Option<SocketAddr>) -> Option<actix_http::Request> {
    use actix_web::http::header::{HeaderName, HeaderValue};

    let mut asked = actix_http::Request::new();
    let head = asked.head_mut();
    head.method = actix_web::http::Method::from_bytes(request.method().as_str().as_bytes()).ok()?;
    head.uri = request.uri().path_and_query()?.as_str().parse().ok()?;
    head.peer_addr = peer;
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        head.headers_mut()
            .append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    Some(asked)
}

/// The head of actix-web's answer.
fn head(answer: &HttpResponse<()>) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(answer.status().as_u16()).expect("a status code is one to both");
    for (name, value) in answer.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).expect("a name is one to both");
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value is one to both");
        head.headers_mut().append(name, value);
    }
    head
}
