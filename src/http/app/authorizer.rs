//! Who may use the admin endpoints: whoever presents the token, and does not guess it.
//!
//! A wrong token is counted, logged once a minute and client, and answered late by who presents many ([`guesses`]). A
//! serving thread waits for none of that.
//!
//! [`guesses`]: super::guesses

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::guesses::Guesses;
use super::token::TokenFile;
use crate::http::answer::problem::Problem;
use crate::metrics::{Counter, Registry};

/// Lets requests pass that present the token.
#[derive(Debug)]
pub struct Authorizer {
    token: Arc<TokenFile>,
    guesses: Mutex<Guesses>,
    missing: Counter,
    invalid: Counter,
    too_many: Counter,
}

impl Authorizer {
    /// Of this token. What it refuses is counted in `registry`.
    pub fn new(token: Arc<TokenFile>, registry: &Registry) -> Self {
        const NAME: &str = "janus_admin_tokens_refused_total";
        registry.describe(NAME, "Requests for admin endpoints without the admin token.", None);
        let counter = |reason| {
            let counter = registry.counter(NAME, &[("reason", reason)]);
            counter.expect("the name is valid and no other kind has it")
        };
        Self {
            token,
            guesses: Mutex::default(),
            missing: counter("missing"),
            invalid: counter("invalid"),
            too_many: counter("too_many"),
        }
    }

    /// Lets a request of `client` pass that presents the token in its `Authorization`.
    ///
    /// # Errors
    ///
    /// What it is answered with otherwise; a wrong token only after a while, if the client has presented many.
    pub async fn authorize(&self, authorization: Option<&[u8]>, client: Option<IpAddr>) -> Result<(), Problem> {
        // Whose address is not known are one client.
        let client = client.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let now = Instant::now().into_std();
        let is_admitted = authorization.is_none() || self.guesses.lock().admit(client, now).is_ok();
        if !is_admitted {
            self.too_many.increment(1);
            let to_log = self.guesses.lock().refused(client, now);
            log(client, to_log);
            return Err(Problem::TooManyTokens);
        }
        let answer = self.token.authorize(authorization);
        match answer {
            Err(Problem::TokenRequired) => self.missing.increment(1),
            Err(Problem::InvalidToken) => {
                self.invalid.increment(1);
                let wrong = self.guesses.lock().wrong(client, now);
                log(client, wrong.to_log);
                if !wrong.delay.is_zero() {
                    sleep(wrong.delay).await;
                }
            }
            _ => {}
        }
        answer
    }
}

fn log(client: IpAddr, count: Option<u64>) {
    if let Some(count) = count {
        tracing::warn!(%client, count, "wrong admin tokens were presented");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));

    fn authorizer() -> (Arc<Authorizer>, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "t0ken").unwrap();
        let token = TokenFile::new(file.path().to_owned());
        token.read();
        let authorizer = Authorizer::new(Arc::new(token), &Registry::new());
        (Arc::new(authorizer), file)
    }

    /// Runs in a time of its own, which passes only where everybody waits.
    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn who_guesses_one_by_one_is_slowed_to_ten_a_second() {
        run(async {
            let (authorizer, _file) = authorizer();
            let started = Instant::now();
            for _ in 0..110 {
                let answer = authorizer.authorize(Some(b"Bearer wrong"), CLIENT).await;
                assert_eq!(answer, Err(Problem::InvalidToken));
            }
            let took = started.elapsed().as_millis();
            assert!((9_900..=10_300).contains(&took), "{took} ms");
            // Who has the token is let in all the same.
            assert_eq!(authorizer.authorize(Some(b"Bearer t0ken"), CLIENT).await, Ok(()));
        });
    }

    #[test]
    fn who_guesses_all_at_once_is_refused_without_a_look_and_nobody_else_waits() {
        run(async {
            let (authorizer, _file) = authorizer();
            let started = Instant::now();
            let guesses: Vec<_> = (0..1000)
                .map(|number| {
                    let authorizer = Arc::clone(&authorizer);
                    // The right one is among them.
                    let guess = if number == 500 {
                        "Bearer t0ken".to_owned()
                    } else {
                        format!("Bearer {number}")
                    };
                    tokio::task::spawn_local(async move { authorizer.authorize(Some(guess.as_bytes()), CLIENT).await })
                })
                .collect();
            tokio::task::yield_now().await;
            let other = Some(Ipv4Addr::new(192, 0, 2, 2).into());
            assert_eq!(authorizer.authorize(Some(b"Bearer t0ken"), other).await, Ok(()));
            assert_eq!(authorizer.authorize(None, CLIENT).await, Err(Problem::TokenRequired));
            assert_eq!(started.elapsed().as_millis(), 0, "nobody has waited");
            let mut compared = 0;
            for guess in guesses {
                match guess.await.unwrap() {
                    Err(Problem::InvalidToken) => compared += 1,
                    answer => assert_eq!(answer, Err(Problem::TooManyTokens)),
                }
            }
            assert_eq!(compared, 15);
            assert!(started.elapsed().as_millis() <= 600);
            assert_eq!(
                authorizer.authorize(Some(b"Bearer t0ken"), CLIENT).await,
                Ok(()),
                "the wait is over"
            );
        });
    }
}
