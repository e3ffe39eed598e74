//! Scrapes: the exposition is made on a thread of its own, since it takes longer than hundreds of answers, and is made once for
//! all who wait for it.

use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::metrics::{Format, Registry};

/// Where scrapes of one registry are asked for.
#[derive(Debug)]
pub struct Scrapes {
    registry: Arc<Registry>,
    /// The thread, from the first scrape on; `None` if there can be none.
    thread: OnceLock<Option<mpsc::Sender<Asked>>>,
}

/// Somebody who waits for an exposition.
struct Asked {
    format: Format,
    answer: oneshot::Sender<Bytes>,
}

impl Scrapes {
    /// Of this registry.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            thread: OnceLock::new(),
        }
    }

    /// Of this registry, each made by who asks: for a clock that passes while another thread works.
    pub fn in_place(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            thread: OnceLock::from(None),
        }
    }

    /// The exposition as it is after this call.
    ///
    /// # Panics
    ///
    /// If the thread that makes it has panicked.
    pub async fn exposition(&self, format: Format) -> Bytes {
        let Some(thread) = self.thread.get_or_init(|| self.start()) else {
            return render(&self.registry, format);
        };
        let (answer, made) = oneshot::channel();
        // A thread that is gone drops what it is asked.
        let _ = thread.send(Asked { format, answer });
        made.await.expect("the thread of the scrapes answers")
    }

    fn start(&self) -> Option<mpsc::Sender<Asked>> {
        let (sender, asked) = mpsc::channel();
        let registry = Arc::clone(&self.registry);
        let thread = thread::Builder::new().name("janus-scrape".to_owned());
        match thread.spawn(move || answer_all(&registry, &asked)) {
            Ok(_) => Some(sender),
            Err(error) => {
                tracing::warn!(%error, "no thread for scrapes; the workers make them");
                None
            }
        }
    }
}

/// Answers until nobody can ask any more. Who has asked by the time that an exposition is begun is answered with it.
fn answer_all(registry: &Registry, asked: &mpsc::Receiver<Asked>) {
    while let Ok(first) = asked.recv() {
        let mut made: Vec<(Format, Bytes)> = Vec::new();
        let waiting: Vec<Asked> = std::iter::once(first).chain(asked.try_iter()).collect();
        for Asked { format, answer } in waiting {
            let exposition = match made.iter().find(|(of, _)| *of == format) {
                Some((_, exposition)) => exposition.clone(),
                None => {
                    let exposition = render(registry, format);
                    made.push((format, exposition.clone()));
                    exposition
                }
            };
            // Who is gone does not want it any more.
            let _ = answer.send(exposition);
        }
    }
}

fn render(registry: &Registry, format: Format) -> Bytes {
    let mut text = Vec::new();
    registry.render(format, &mut text);
    text.into()
}
