//! File descriptors: a connection is one, so how many may be open bounds how many connections there can be.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process opens besides connections: data, sensors, listeners, event queues.
const RESERVED: usize = 128;

/// Raises the soft limit of open descriptors as far as `connections_max` needs, and returns how many connections there
/// is room for: fewer only where the hard limit is lower.
pub fn make_room_for(connections_max: usize) -> usize {
    let needed = (connections_max + RESERVED) as u64;
    let limit = getrlimit(Resource::Nofile);
    // No limit at all is `None`.
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let mut current = limit.current.unwrap_or(u64::MAX);
    if current < needed {
        let raised = Rlimit {
            current: Some(needed.min(hard)),
            maximum: limit.maximum,
        };
        // A sandbox may forbid it: then the limit is what it was.
        if setrlimit(Resource::Nofile, raised).is_ok() {
            current = needed.min(hard);
        }
    }
    if current >= needed {
        return connections_max;
    }
    let room = (current as usize).saturating_sub(RESERVED).max(1);
    tracing::warn!(
        max_connections = connections_max,
        descriptors = current,
        room,
        "fewer descriptors may be open than --max-connections needs; a higher hard limit (ulimit -Hn) makes room"
    );
    room
}
