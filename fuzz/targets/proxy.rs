//! Any bytes before the first head, where a header of the PROXY protocol is read: told the same in whatever pieces they come.

#![no_main]

use janus::http::message::proxy_header::{LENGTH_MAX, Reading, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes);
    if let Reading::Whole(header) = whole {
        assert!(header.length <= bytes.len().min(LENGTH_MAX));
        // What follows is not looked at.
        assert_eq!(read(&bytes[..header.length]), whole);
    }
    for end in 0..bytes.len().min(300) {
        match read(&bytes[..end]) {
            Reading::Partial => {}
            // For another reason perhaps, for a piece of it may be wrong before all of it is too long.
            Reading::Refused(_) => return assert!(matches!(whole, Reading::Refused(_))),
            piece => return assert_eq!(piece, whole),
        }
    }
});
