//! The statuses of HTTP that Janus sends, each once, with its phrase.

/// The status codes that Janus sends.
pub const STATUSES: [u16; 21] = [
    200, 204, 206, 304, 308, 400, 401, 404, 405, 406, 408, 412, 414, 416, 422, 429, 431, 500, 501, 503, 505,
];

/// The place of a status code in [`STATUSES`].
///
/// # Panics
///
/// If Janus never sends that status.
#[inline]
pub fn place_of(status: u16) -> usize {
    const UNKNOWN: u8 = u8::MAX;
    const PLACES: [u8; 600] = {
        let mut places = [UNKNOWN; 600];
        let mut place = 0;
        while place < STATUSES.len() {
            places[STATUSES[place] as usize] = place as u8;
            place += 1;
        }
        places
    };
    let place = PLACES[usize::from(status)];
    assert!(place != UNKNOWN, "Janus never answers with this status");
    usize::from(place)
}

/// The reason phrase of a status code that Janus sends (RFC 9110, section 15).
///
/// # Panics
///
/// If Janus never sends that status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        412 => "Precondition Failed",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        other => unreachable!("Janus never answers with status {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_phrase_and_stands_once() {
        assert!(STATUSES.is_sorted_by(|one, next| one < next));
        assert!(STATUSES.into_iter().all(|status| !reason(status).is_empty()));
    }
}
