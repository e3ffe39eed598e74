//! `answer`: from a request head and a snapshot to a reply. Pure, and knows no framework.

use std::sync::LazyLock;

use super::cors::Cors;
use super::negotiate::{accepts_identity, choose, if_match_passes, if_none_match_hits};
use super::problem::{ALLOW, ALLOW_POST, Problem};
use super::reply::Reply;
use super::request::{Method, RequestHead};
use super::route::Route;
use crate::body::Body;
use crate::snapshot::{Head, Item, Resource, Snapshot, item_entity_tag};

/// Which targets a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything: there is one listener.
    All,
    /// The collection and `/health`; probes are on the other listener.
    Public,
    /// Probes, metrics and admin endpoints, and no data.
    Admin,
}

/// What a listener's answers depend on besides request and data.
#[derive(Clone, Debug)]
pub struct Site {
    /// Which targets are served.
    pub scope: Scope,
    /// Whether there is a file of the admin token, without which the admin endpoints are not there.
    pub has_token: bool,
    /// Whether and to whom scripts of other origins may read the answers.
    pub cors: Option<Cors>,
}

/// What a request is answered with.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// Bytes that are there.
    Reply(Reply<'a>),
    /// A scrape of the metrics, which is made when it is asked for.
    Scrape,
    /// What only the holder of the admin token is told, when it is asked for.
    Admin(Endpoint),
}

/// What can be asked for with the admin token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /-/reload`
    Reload,
    /// `GET /-/snapshot`
    Snapshot,
}

impl Endpoint {
    /// Its route's template.
    pub fn template(self) -> &'static str {
        match self {
            Self::Reload => Route::Reload.template(),
            Self::Snapshot => Route::Snapshot.template(),
        }
    }
}

impl Site {
    /// Answers a request on this listener: [`answer`], the probes, and the lines of cross-origin sharing.
    pub fn respond<'a>(&'a self, request: &RequestHead<'_>, snapshot: &'a Snapshot, draining: bool) -> Answer<'a> {
        let route = Route::parse(request.path);
        let route = if self.serves(&route) { route } else { Route::Unknown };
        match (&route, request.method) {
            (Route::Metrics, Method::Get | Method::Head) => return Answer::Scrape,
            (Route::Reload, Method::Post) if !has_parameters(request.query) => {
                return Answer::Admin(Endpoint::Reload);
            }
            (Route::Snapshot, Method::Get | Method::Head) if !has_parameters(request.query) => {
                return Answer::Admin(Endpoint::Snapshot);
            }
            _ => {}
        }
        let reply = respond(&route, request, snapshot, draining).of_route(route.template());
        match &self.cors {
            // No script of another origin has business with the admin endpoints.
            Some(cors) if !matches!(route, Route::Reload | Route::Snapshot) => {
                let preflight = request.method == Method::Options && request.asks_for_method;
                Answer::Reply(reply.with_extra(cors.lines(request.origin, preflight)))
            }
            _ => Answer::Reply(reply),
        }
    }

    fn serves(&self, route: &Route<'_>) -> bool {
        match route {
            Route::Health | Route::Server | Route::Malformed | Route::Unknown => true,
            Route::Livez | Route::Readyz | Route::Metrics => self.scope != Scope::Public,
            Route::Reload | Route::Snapshot => self.has_token && self.scope != Scope::Public,
            Route::Index | Route::Collection | Route::CollectionSlash | Route::Item(_) => self.scope != Scope::Admin,
        }
    }
}

/// Answers a request for data.
pub fn answer<'a>(request: &RequestHead<'_>, snapshot: &'a Snapshot) -> Reply<'a> {
    respond(&Route::parse(request.path), request, snapshot, false)
}

fn respond<'a>(route: &Route<'_>, request: &RequestHead<'_>, snapshot: &'a Snapshot, draining: bool) -> Reply<'a> {
    match (request.method, route) {
        (_, Route::Malformed) => return Problem::MalformedPath.reply().head_only(request.method == Method::Head),
        (_, Route::Unknown) => return Problem::NotFound.reply().head_only(request.method == Method::Head),
        (Method::Options, Route::Reload) => return FIXED.options_post(),
        (Method::Options, _) => return FIXED.options(),
        (Method::Post, Route::Reload) => {}
        (_, Route::Reload) => return Problem::PostOnly.reply().head_only(request.method == Method::Head),
        (Method::Post | Method::Other, _) | (_, Route::Server) => return Problem::MethodNotAllowed.reply(),
        (Method::Get | Method::Head, _) => {}
    }
    let reply = match route {
        Route::Index => answer_resource(request, snapshot.index()),
        Route::Collection => answer_collection(request, snapshot),
        Route::Item(id) => answer_item(request, snapshot, id),
        Route::CollectionSlash => FIXED.redirect(),
        Route::Readyz if draining => Problem::Draining.reply(),
        Route::Readyz if !snapshot.is_ready() => Problem::Loading.reply(),
        Route::Health | Route::Livez | Route::Readyz => FIXED.healthy(),
        Route::Reload | Route::Snapshot if has_parameters(request.query) => Problem::UnknownParameter.reply(),
        // Without a recorder or a reloader at hand there is nothing to tell.
        Route::Metrics | Route::Reload | Route::Snapshot => Problem::NotFound.reply(),
        Route::Server | Route::Malformed | Route::Unknown => unreachable!("answered above"),
    };
    reply.head_only(request.method == Method::Head)
}

fn answer_collection<'a>(request: &RequestHead<'_>, snapshot: &'a Snapshot) -> Reply<'a> {
    if has_parameters(request.query) {
        return Problem::UnknownParameter.reply();
    }
    match snapshot.collection() {
        Some(collection) => answer_resource(request, collection),
        None => Problem::Loading.reply(),
    }
}

fn answer_item<'a>(request: &RequestHead<'_>, snapshot: &'a Snapshot, id: &str) -> Reply<'a> {
    if has_parameters(request.query) {
        return Problem::UnknownParameter.reply();
    }
    match snapshot.item(id) {
        Some(Item::Prebuilt(resource)) => answer_resource(request, resource),
        Some(Item::Templated {
            template,
            arena,
            start,
            length,
            tag,
        }) => {
            if !accepts_identity(&request.accept_encoding) {
                return Problem::NotAcceptable.reply();
            }
            match precondition(request, &item_entity_tag(tag)) {
                Precondition::Failed => Problem::PreconditionFailed.reply(),
                Precondition::NotModified => Reply::item_not_modified(template, tag),
                Precondition::Passed => Reply::item(template, tag, arena, start..start + length),
            }
        }
        None if !snapshot.is_ready() => Problem::Loading.reply(),
        None if !snapshot.has_ids() => Problem::NoIds.reply(),
        None => Problem::ItemNotFound.reply(),
    }
}

fn answer_resource<'a>(request: &RequestHead<'_>, resource: &'a Resource) -> Reply<'a> {
    let Some(representation) = choose(&request.accept_encoding, resource) else {
        return Problem::NotAcceptable.reply();
    };
    match precondition(request, representation.etag().as_bytes()) {
        Precondition::Failed => Problem::PreconditionFailed.reply(),
        Precondition::NotModified => Reply::new(representation.not_modified(), None).coded(representation.coding()),
        Precondition::Passed => {
            Reply::new(representation.ok(), Some(representation.body())).coded(representation.coding())
        }
    }
}

enum Precondition {
    Passed,
    Failed,
    NotModified,
}

/// The order of RFC 9110, section 13.2.2.
fn precondition(request: &RequestHead<'_>, etag: &[u8]) -> Precondition {
    if !if_match_passes(&request.if_match, etag) {
        Precondition::Failed
    } else if if_none_match_hits(&request.if_none_match, etag) {
        Precondition::NotModified
    } else {
        Precondition::Passed
    }
}

/// Whether a query has a parameter at all; none is known yet.
fn has_parameters(query: Option<&[u8]>) -> bool {
    query.is_some_and(|query| query.iter().any(|&byte| byte != b'&'))
}

/// The answers that depend on nothing.
struct Fixed {
    healthy: (Head, Body),
    redirect: (Head, Body),
    options: Head,
    options_post: Head,
}

static FIXED: LazyLock<Fixed> = LazyLock::new(|| {
    let healthy = Body::from(&br#"{"status":"ok"}"#[..]);
    let healthy_head = Head::builder(200)
        .field("content-length", healthy.len().to_string())
        .field("content-type", "application/json")
        .field("cache-control", "no-store")
        .build();
    let redirect = Head::builder(308)
        .field("content-length", "0")
        .field("location", "/items")
        .build();
    let options = |allow| Head::builder(204).field("allow", allow).build();
    Fixed {
        healthy: (healthy_head, healthy),
        redirect: (redirect, Body::default()),
        options: options(ALLOW),
        options_post: options(ALLOW_POST),
    }
});

impl Fixed {
    fn healthy(&'static self) -> Reply<'static> {
        Reply::new(&self.healthy.0, Some(&self.healthy.1))
    }

    fn redirect(&'static self) -> Reply<'static> {
        Reply::new(&self.redirect.0, Some(&self.redirect.1))
    }

    fn options(&'static self) -> Reply<'static> {
        Reply::new(&self.options, None)
    }

    fn options_post(&'static self) -> Reply<'static> {
        Reply::new(&self.options_post, None)
    }
}
