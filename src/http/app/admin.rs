//! The admin endpoints: reload, and say what is served. Only for who has the admin token.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::authorizer::Authorizer;
use crate::body::Body;
use crate::http::answer::Endpoint;
use crate::http::answer::problem::{Cause, Details, Lost, Place, Problem};
use crate::http::answer::reply::Made;
use crate::http::message::proxies::TrustedProxies;
use crate::reload::{Reloads, Report};
use crate::snapshot::{Head, Publisher, Snapshot};

/// What the admin endpoints are answered from.
#[derive(Debug)]
pub struct Admin {
    authorizer: Authorizer,
    /// Whose word about a client is believed.
    proxies: TrustedProxies,
    reloads: Reloads,
    publisher: Publisher,
}

impl Admin {
    /// Lets whom `authorizer` lets pass ask `reloads` for more, and be told what `publisher` has. `proxies` may say who asks.
    pub fn new(authorizer: Authorizer, proxies: TrustedProxies, reloads: Reloads, publisher: Publisher) -> Self {
        Self {
            authorizer,
            proxies,
            reloads,
            publisher,
        }
    }

    /// Answers a request with this `Authorization`, from `peer` and with these lines of `X-Forwarded-For`. A reload's
    /// answer waits for the reload, and that to a wrong token may wait too.
    pub async fn answer<'r>(
        &self,
        endpoint: Endpoint,
        authorization: Option<&[u8]>,
        peer: Option<IpAddr>,
        forwarded_for: impl DoubleEndedIterator<Item = &'r str>,
    ) -> Made {
        let client = self.proxies.client(peer, forwarded_for);
        if let Err(problem) = self.authorizer.authorize(authorization, client).await {
            return problem.made().clone();
        }
        if !self.publisher.current().is_ready() {
            return Problem::Loading.made().clone();
        }
        match endpoint {
            Endpoint::Snapshot => json(&Served::of(&self.publisher.current(), &self.reloads)),
            Endpoint::Reload { force } => match self.reloads.reload(force).await {
                Some(report) => reloaded(&report),
                None => Problem::Draining.made().clone(),
            },
        }
    }
}

/// The answer to a reload.
fn reloaded(report: &Report) -> Made {
    match Failed::of(report) {
        None => json(&Reloaded {
            result: report.outcome.label(),
            snapshot: &report.snapshot_id,
            items: report.items_count,
            bytes: report.bytes,
            milliseconds: report.took.as_millis() as u64,
        }),
        Some(Failed { code, detail, cause }) => Details::new(422, code, &detail, cause).made(),
    }
}

fn json(body: &impl Serialize) -> Made {
    let body = Body::from(simd_json::to_vec(body).expect("it is text and numbers"));
    let head = Head::builder(200)
        .field("content-length", body.len().to_string())
        .field("content-type", "application/json")
        .field("cache-control", "no-store")
        .build();
    Made { head, body }
}

/// A reload that did not fail.
#[derive(Serialize)]
struct Reloaded<'a> {
    result: &'static str,
    snapshot: &'a str,
    items: usize,
    bytes: usize,
    milliseconds: u64,
}

/// Why a reload failed.
#[derive(Serialize)]
struct Failed {
    code: &'static str,
    detail: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
}

impl Failed {
    fn of(report: &Report) -> Option<Self> {
        let error = report.error.as_ref()?;
        let place = error.fault().map(|error| {
            Cause::Place(Place {
                fault: error.fault().code(),
                line: error.line(),
                column: error.column(),
            })
        });
        let loss = error.loss().map(|loss| {
            Cause::Loss(Lost {
                reason: loss.reason.label(),
                items_before: loss.items_before,
                items_after: loss.items_after,
                items_removed: loss.items_removed,
            })
        });
        Some(Self {
            code: if loss.is_some() {
                "data_loss"
            } else if error.is_bad_data() {
                "bad_data"
            } else {
                "source_unreadable"
            },
            detail: error.summary(),
            cause: place.or(loss),
        })
    }
}

/// What is served, and how the last reload ended.
#[derive(Serialize)]
struct Served<'a> {
    id: &'a str,
    items: usize,
    bytes: usize,
    source: &'a str,
    loaded_at: Option<String>,
    /// The length of the collection's body in each coding.
    encodings: BTreeMap<&'static str, usize>,
    last_reload: Option<LastReload>,
}

#[derive(Serialize)]
struct LastReload {
    result: &'static str,
    ended_at: String,
    milliseconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failed>,
}

impl<'a> Served<'a> {
    fn of(snapshot: &'a Snapshot, reloads: &'a Reloads) -> Self {
        let representations = snapshot.collection().map_or(&[][..], |all| all.representations());
        let last = reloads.last();
        Self {
            id: snapshot.id(),
            items: snapshot.items_count(),
            bytes: snapshot.bytes(),
            source: reloads.source_name(),
            loaded_at: snapshot.loaded_at().map(rfc_3339),
            encodings: representations
                .iter()
                .map(|made| (made.coding().token(), made.body().len()))
                .collect(),
            last_reload: last.as_deref().map(|report| LastReload {
                result: report.outcome.label(),
                ended_at: rfc_3339(report.ended),
                milliseconds: report.took.as_millis() as u64,
                error: Failed::of(report),
            }),
        }
    }
}

fn rfc_3339(time: SystemTime) -> String {
    OffsetDateTime::from(time)
        .truncate_to_millisecond()
        .format(&Rfc3339)
        .expect("the clock shows a year of four digits")
}
