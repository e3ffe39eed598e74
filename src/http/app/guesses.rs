//! Wrong tokens: how often a client may present one. Pure; the time is told.
//!
//! Each client has a budget: some wrong tokens at once, as a person mistypes or a job has an old one, and then ten a second. Who is above it is
//! answered late, and who does not wait for that, with several guesses under way, is refused before the token is compared.
//! Only so are guesses slowed: the right token among them must not be told from the others by being answered at once.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Clients that are remembered; of more, the one that is the least above its budget is forgotten.
pub const CLIENTS_MAX: usize = 1024;

/// What a wrong token costs of the budget.
const COST: Duration = Duration::from_millis(100);

/// How much may be spent at once: ten wrong tokens.
const BURST: Duration = Duration::from_secs(1);

/// The longest that an answer is held back. Above it nothing is compared.
pub const DELAY_MAX: Duration = Duration::from_millis(500);

/// How often a client is logged at the most.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The clients that have presented wrong tokens lately.
#[derive(Debug, Default)]
pub struct Guesses {
    clients: HashMap<IpAddr, Client>,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    /// When all that was spent will have come back.
    even_at: Instant,
    logged_at: Option<Instant>,
    /// Tokens since they were last logged.
    unlogged: u64,
}

/// What follows a wrong token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// How long the answer is held back.
    pub delay: Duration,
    /// How many wrong tokens are to be logged now, if any.
    pub to_log: Option<u64>,
}

impl Guesses {
    /// Whether a token of this client may be compared; else how long it is to wait.
    pub fn admit(&mut self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let Some(client) = self.clients.get(&network(client)) else {
            return Ok(());
        };
        match client.above(now).checked_sub(DELAY_MAX) {
            None => Ok(()),
            Some(too_much) => Err(too_much + COST),
        }
    }

    /// Takes note of a wrong token.
    pub fn wrong(&mut self, client: IpAddr, now: Instant) -> Wrong {
        let client = self.client(client, now);
        client.even_at = client.even_at.max(now) + COST;
        Wrong {
            delay: client.above(now),
            to_log: client.count(now),
        }
    }

    /// Takes note of a token that was not compared: it costs nothing, so that who goes on is let in again as soon as who
    /// waits. Returns how many are to be logged now, if any.
    pub fn refused(&mut self, client: IpAddr, now: Instant) -> Option<u64> {
        self.client(client, now).count(now)
    }

    fn client(&mut self, client: IpAddr, now: Instant) -> &mut Client {
        let address = network(client);
        if self.clients.len() >= CLIENTS_MAX && !self.clients.contains_key(&address) {
            self.forget_one(now);
        }
        self.clients.entry(address).or_insert(Client {
            even_at: now,
            logged_at: None,
            unlogged: 0,
        })
    }

    fn forget_one(&mut self, now: Instant) {
        self.clients
            .retain(|_, client| client.even_at > now || client.logged_at.is_some_and(|at| now < at + LOG_INTERVAL));
        if self.clients.len() >= CLIENTS_MAX {
            let least = self.clients.iter().min_by_key(|(_, client)| client.even_at);
            if let Some(address) = least.map(|(address, _)| *address) {
                self.clients.remove(&address);
            }
        }
    }
}

impl Client {
    /// Counts a token, and returns how many there were if that is to be logged now.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.unlogged += 1;
        let is_due = self.logged_at.is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL);
        is_due.then(|| {
            self.logged_at = Some(now);
            std::mem::take(&mut self.unlogged)
        })
    }

    /// How far above its budget it is.
    fn above(&self, now: Instant) -> Duration {
        self.even_at.saturating_duration_since(now).saturating_sub(BURST)
    }
}

/// Of IPv6 a client has a network of 64 bits to choose addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(number).into()
    }

    #[test]
    fn who_mistypes_is_answered_at_once_and_who_guesses_is_slowed() {
        let mut guesses = Guesses::default();
        let now = Instant::now();
        let delays: Vec<u128> = (0..15)
            .map(|_| guesses.wrong(address(1), now).delay.as_millis())
            .collect();
        assert_eq!(delays, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300, 400, 500]);
        assert_eq!(guesses.admit(address(1), now), Err(COST));
        assert_eq!(guesses.admit(address(2), now), Ok(()), "others are not slowed");
        // Those who go on all the same are refused, and let in again as soon as those who wait.
        for _ in 0..1000 {
            guesses.refused(address(1), now);
        }
        assert_eq!(guesses.admit(address(1), now), Err(COST));
        assert_eq!(guesses.admit(address(1), now + COST), Ok(()));
        // In a minute without a pause, no more are compared than the budget has.
        let compared = (0..60_000)
            .filter(|millisecond| {
                let at = now + Duration::from_millis(*millisecond);
                let is_admitted = guesses.admit(address(3), at).is_ok();
                if is_admitted {
                    guesses.wrong(address(3), at);
                } else {
                    guesses.refused(address(3), at);
                }
                is_admitted
            })
            .count();
        assert!((600..=620).contains(&compared), "{compared}");
    }

    #[test]
    fn a_client_is_logged_once_a_minute_with_how_often_it_was() {
        let mut guesses = Guesses::default();
        let start = Instant::now();
        let logged: Vec<(u64, u64)> = (0..200)
            .filter_map(|second| {
                let wrong = guesses.wrong(address(1), start + Duration::from_secs(second));
                wrong.to_log.map(|count| (second, count))
            })
            .collect();
        assert_eq!(logged, [(0, 1), (60, 60), (120, 60), (180, 60)]);
        assert_eq!(guesses.wrong(address(2), start).to_log, Some(1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut guesses = Guesses::default();
        let now = Instant::now();
        for _ in 0..20 {
            guesses.wrong(address(0), now);
        }
        for number in 1..20 * CLIENTS_MAX as u32 {
            guesses.wrong(address(number), now);
            assert!(guesses.clients.len() <= CLIENTS_MAX);
        }
        assert!(
            guesses.admit(address(0), now).is_err(),
            "who guesses most is not forgotten first"
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let mut guesses = Guesses::default();
        let now = Instant::now();
        for host in 0..20 {
            guesses.wrong(format!("2001:db8::{host:x}").parse().unwrap(), now);
        }
        assert!(guesses.admit("2001:db8::ffff".parse().unwrap(), now).is_err());
        assert!(guesses.admit("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), address(0xc000_0201));
    }
}
