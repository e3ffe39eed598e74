//! The request series that are there from the start, so that the first answer with a status is an increase.
//!
//! A counter that appears with its first count has no increase to be seen: `increase()` needs a sample before it. So the
//! series of what a server answers in the course of things are registered at 0; all others still appear with their first
//! count, since most of what could be never is.

use crate::http::answer::route::Route;
use crate::http::message::request::Method;
use crate::metrics::{RegisterError, Registry};

/// Statuses of requests for data, the probes and the metrics.
const OF_ROUTES: [u16; 5] = [200, 304, 400, 404, 503];

/// Statuses of requests that name no route, or whose head is refused.
const OF_OTHERS: [u16; 8] = [400, 404, 405, 408, 414, 431, 503, 505];

/// Registers them.
///
/// # Errors
///
/// As [`Registry::counter`].
pub fn register(registry: &Registry) -> Result<(), RegisterError> {
    let count = |method: Method, route: &str, status: u16| {
        let status = status.to_string();
        let labels = [("method", method.label()), ("route", route), ("status", &status)];
        registry.counter("http_requests_total", &labels).map(drop)
    };
    let is_usual = |route: &&str| !matches!(*route, "*" | "unmatched") && !route.starts_with("/-/");
    for route in Route::TEMPLATES.into_iter().filter(is_usual) {
        for status in OF_ROUTES {
            // What there is no condition or item for is answered so by no server.
            let is_possible = match status {
                304 => matches!(route, "/" | "/items" | "/items/{id}"),
                404 => route == "/items/{id}",
                _ => true,
            };
            if is_possible {
                count(Method::Get, route, status)?;
            }
        }
        let labels = [("method", Method::Get.label()), ("route", route)];
        registry.histogram("http_request_duration_seconds", &labels)?;
    }
    for status in OF_OTHERS {
        count(Method::Get, "unmatched", status)?;
        count(Method::Other, "unmatched", status)?;
    }
    Ok(())
}
