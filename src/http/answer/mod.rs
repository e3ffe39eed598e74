//! `answer`: from a request head and a snapshot to a reply. Pure, and knows no framework.

pub mod cors;
pub mod negotiate;
pub mod problem;
pub mod reply;
pub mod route;

use std::sync::LazyLock;

use self::cors::Cors;
use self::negotiate::{choose, if_match_passes, if_none_match_hits, if_range_passes};
use self::problem::{ALLOW, ALLOW_POST, Problem};
use self::reply::Reply;
use self::route::{By, Methods, Name, Route};
use crate::body::Body;
use crate::http::message::proxies::TrustedProxies;
use crate::http::message::range::{Asked, asked};
use crate::http::message::request::{Method, RequestHead};
use crate::snapshot::{Head, Item, Resource, Snapshot, item_entity_tag};

/// Which targets a listener serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everything: there is one listener.
    #[default]
    All,
    /// The collection and `/health`; probes are on the other listener.
    Public,
    /// Probes, metrics and admin endpoints, and no data.
    Admin,
}

/// What a listener serves, and to whom: what its answers depend on besides request and data.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Which targets are served.
    pub scope: Scope,
    /// Whether there is a file of the admin token, without which the admin endpoints are not there.
    pub has_token: bool,
    /// Whether and to whom scripts of other origins may read the answers.
    pub cors: Option<Cors>,
    /// The path that all routes are below: empty, or a slash and more, without a slash at its end.
    pub base_path: Box<str>,
    /// Whose connections begin with the PROXY protocol, if anybody's do.
    pub introduced_by: Option<TrustedProxies>,
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
    Reload {
        /// Whether what is served may be lost: `force=true`.
        force: bool,
    },
    /// `GET /-/snapshot`
    Snapshot,
}

impl Endpoint {
    /// Its route.
    pub fn route(self) -> Name {
        match self {
            Self::Reload { .. } => Name::Reload,
            Self::Snapshot => Name::Snapshot,
        }
    }
}

impl Site {
    /// Answers a request on this listener: [`answer`], the probes, and the lines of cross-origin sharing.
    pub fn respond<'a>(&'a self, request: &RequestHead<'a>, snapshot: &'a Snapshot, draining: bool) -> Answer<'a> {
        let route = self.route(request.path);
        if let Some(answer) = deferred(&route, request) {
            return answer;
        }
        let reply = respond(&route, request, snapshot, draining).of_route(route.name());
        match &self.cors {
            // No script of another origin has business with the admin endpoints.
            Some(cors) if !matches!(route, Route::Reload | Route::Snapshot) => {
                let preflight = request.method == Method::Options && request.asks_for_method;
                Answer::Reply(reply.with_extra(cors.lines(request.origin, preflight)))
            }
            _ => Answer::Reply(reply),
        }
    }

    /// What a path names on this listener.
    fn route<'r>(&self, path: &'r [u8]) -> Route<'r> {
        let route = match path.strip_prefix(self.base_path.as_bytes()) {
            _ if self.base_path.is_empty() => Route::parse(path),
            Some(b"") => Route::Index,
            Some(below @ [b'/', ..]) => Route::parse(below),
            _ => self.route_outside(path),
        };
        if self.serves(&route) { route } else { Route::Unknown }
    }

    /// What a path names that is not below the base path: those who probe this process do not come by the load balancer
    /// that the base path is for, and neither does who asks the admin listener.
    fn route_outside<'r>(&self, path: &'r [u8]) -> Route<'r> {
        match Route::parse(path) {
            route if self.scope == Scope::Admin => route,
            route @ (Route::Health | Route::Livez | Route::Readyz | Route::Server | Route::Malformed) => route,
            _ => Route::Unknown,
        }
    }

    fn serves(&self, route: &Route<'_>) -> bool {
        match route {
            Route::Health | Route::Server | Route::Malformed | Route::Unknown => true,
            Route::Livez | Route::Readyz | Route::Metrics => self.scope != Scope::Public,
            Route::Reload | Route::Snapshot => self.has_token && self.scope != Scope::Public,
            Route::Index | Route::Collection | Route::CollectionSlash | Route::Item(_) | Route::ItemSlash => {
                self.scope != Scope::Admin
            }
        }
    }
}

/// What is made when it is asked for, if the route is one of those and nothing is wrong with the request.
fn deferred<'a>(route: &Route<'_>, request: &RequestHead<'_>) -> Option<Answer<'a>> {
    if route.name().row().by == By::Loop {
        return None;
    }
    let answer = match (route, request.method) {
        (Route::Metrics, Method::Get | Method::Head) => Answer::Scrape,
        (Route::Reload, Method::Post) => Answer::Admin(Endpoint::Reload {
            force: force(request.query)?,
        }),
        (Route::Snapshot, Method::Get | Method::Head) if !has_parameters(request.query) => {
            Answer::Admin(Endpoint::Snapshot)
        }
        _ => return None,
    };
    refusal(route, request).is_none().then_some(answer)
}

/// Answers a request for data.
pub fn answer<'a>(request: &RequestHead<'a>, snapshot: &'a Snapshot) -> Reply<'a> {
    respond(&Route::parse(request.path), request, snapshot, false)
}

fn respond<'a>(route: &Route<'_>, request: &RequestHead<'a>, snapshot: &'a Snapshot, draining: bool) -> Reply<'a> {
    if let Some(problem) = refusal(route, request) {
        return problem.reply().head_only(request.method == Method::Head);
    }
    let is_head = request.method == Method::Head;
    if *route == Route::Unknown {
        return Problem::NotFound.reply().head_only(is_head);
    }
    match (request.method, route.name().row().methods) {
        (Method::Options, Methods::Post) => return FIXED.options_post(),
        (Method::Options, _) => return FIXED.options(),
        (Method::Get | Method::Head, Methods::Read) | (Method::Post, Methods::Post) => {}
        (_, Methods::Post) => return Problem::PostOnly.reply().head_only(is_head),
        (_, Methods::Read | Methods::None) => return Problem::MethodNotAllowed.reply().head_only(is_head),
    }
    let reply = match route {
        Route::Index => answer_resource(request, snapshot.index()),
        Route::Collection => answer_collection(request, snapshot),
        Route::Item(id) => answer_item(request, snapshot, id),
        Route::CollectionSlash | Route::ItemSlash => redirect_without_slash(request),
        Route::Readyz if draining => Problem::Draining.reply(),
        Route::Readyz if !snapshot.is_ready() => Problem::Loading.reply(),
        Route::Health | Route::Livez | Route::Readyz => FIXED.healthy(),
        Route::Reload if force(request.query).is_none() => Problem::ForceOnly.reply(),
        Route::Snapshot if has_parameters(request.query) => Problem::UnknownParameter.reply(),
        // Without a recorder or a reloader at hand there is nothing to tell.
        Route::Metrics | Route::Reload | Route::Snapshot => Problem::NotFound.reply(),
        Route::Server | Route::Malformed | Route::Unknown => unreachable!("answered above"),
    };
    reply.head_only(is_head)
}

/// Why a request is answered by a problem whatever its method.
fn refusal(route: &Route<'_>, request: &RequestHead<'_>) -> Option<Problem> {
    let is_probe = matches!(route, Route::Health | Route::Livez | Route::Readyz);
    if request.has_empty_host && !is_probe {
        Some(Problem::BadHost)
    } else if *route == Route::Malformed || request.query.is_some_and(|query| !query.is_ascii()) {
        Some(Problem::MalformedPath)
    } else {
        None
    }
}

/// To the path without the slash at its end, as it came. It begins as a route does, with one slash and a name, so that
/// no other host can be made of it.
fn redirect_without_slash<'a>(request: &RequestHead<'a>) -> Reply<'a> {
    let path = request.path.strip_suffix(b"/").expect("the route ends with a slash");
    Reply::redirect(path, request.query)
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
            if !request.accept_encoding.accepts_identity() {
                return Problem::NotAcceptable.reply();
            }
            match precondition(request, &item_entity_tag(tag)) {
                Precondition::Failed => Problem::PreconditionFailed.reply(),
                Precondition::NotModified => Reply::item_not_modified(template, tag),
                Precondition::Passed => match asked_of(request, &item_entity_tag(tag), length) {
                    Asked::Whole => Reply::item(template, tag, arena, start..start + length),
                    Asked::Part(part) => Reply::item_part(template, tag, arena, start..start + length, part),
                    Asked::Nothing => Problem::RangeNotSatisfiable.of_length(length),
                },
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
    let (etag, body) = (representation.etag().as_bytes(), representation.body());
    let reply = match precondition(request, etag) {
        Precondition::Failed => return Problem::PreconditionFailed.reply(),
        Precondition::NotModified => Reply::new(representation.not_modified(), None),
        Precondition::Passed => match asked_of(request, etag, body.len()) {
            Asked::Whole => Reply::new(representation.ok(), Some(body)),
            Asked::Part(part) => Reply::part(representation.ok(), body, part),
            Asked::Nothing => return Problem::RangeNotSatisfiable.of_length(body.len()),
        },
    };
    reply.coded(representation.coding())
}

//= rfc9110#section-14.2
//# A server MUST ignore a Range header field received with a request method that is unrecognized or for which range handling is not defined.
/// Which part of a representation is asked for: the last of the preconditions, once the others have passed. A range is one
/// of the representation that was selected, with its coding. Only GET has ranges (RFC 9110, section 14.2).
fn asked_of(request: &RequestHead<'_>, etag: &[u8], length: usize) -> Asked {
    match request.range {
        Some(_) if request.method == Method::Get && if_range_passes(request.if_range, etag) => {
            asked(request.range, length)
        }
        _ => Asked::Whole,
    }
}

enum Precondition {
    Passed,
    Failed,
    NotModified,
}

//= rfc9110#section-13.2.2
//# A recipient cache or origin server MUST evaluate the request preconditions defined by this specification in the following order:
/// The order of RFC 9110, section 13.2.2; `If-Range` comes after.
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

/// The parameter of a reload: `force=true`, `force=false`, or none, which is false. `None` if there is another, or more.
fn force(query: Option<&[u8]>) -> Option<bool> {
    let mut parameters = query
        .unwrap_or_default()
        .split(|&byte| byte == b'&')
        .filter(|one| !one.is_empty());
    match (parameters.next(), parameters.next()) {
        (None, _) | (Some(b"force=false"), None) => Some(false),
        (Some(b"force=true"), None) => Some(true),
        _ => None,
    }
}

/// The answers that depend on nothing.
struct Fixed {
    healthy: (Head, Body),
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
    let options = |allow| Head::builder(204).field("allow", allow).build();
    Fixed {
        healthy: (healthy_head, healthy),
        options: options(ALLOW),
        options_post: options(ALLOW_POST),
    }
});

impl Fixed {
    fn healthy(&'static self) -> Reply<'static> {
        Reply::new(&self.healthy.0, Some(&self.healthy.1))
    }

    fn options(&'static self) -> Reply<'static> {
        Reply::new(&self.options, None)
    }

    fn options_post(&'static self) -> Reply<'static> {
        Reply::new(&self.options_post, None)
    }
}
