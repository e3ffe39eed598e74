//! Progress of a long load: a bar on a terminal, a log line elsewhere. Short loads show nothing.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use crate::source::{Input, ReadProgress};

/// Before this a load is not long.
const QUIET: Duration = Duration::from_secs(1);

/// How often the bar moves.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// How often a line is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the progress of one load until it is dropped.
#[derive(Debug)]
pub struct Progress {
    current: Arc<Mutex<Option<ReadProgress>>>,
    /// Closed to end the thread.
    ended: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to watch over the load of the source of this name.
    pub fn start(name: String) -> Self {
        Self::begin(name, std::io::stderr().is_terminal())
    }

    /// As `start`, but always as lines of the log: a bar has no place among what a server logs.
    pub fn start_in_log(name: String) -> Self {
        Self::begin(name, false)
    }

    fn begin(name: String, has_bar: bool) -> Self {
        let current = Arc::new(Mutex::new(None));
        let (ended, end) = channel::<()>();
        let watch = {
            let current = Arc::clone(&current);
            move || {
                let wait = |time| end.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
                if !wait(QUIET) {
                    return;
                }
                let bar = has_bar.then(bar);
                loop {
                    let progress: Option<ReadProgress> = current.lock().clone();
                    let (read, total) = progress.map_or((0, None), |progress| (progress.read(), progress.total()));
                    match &bar {
                        Some(bar) => {
                            bar.set_length(total.unwrap_or(read).max(read));
                            bar.set_position(read);
                        }
                        None => tracing::info!(source = name, bytes_read = read, bytes_total = total, "loading"),
                    }
                    if !wait(if bar.is_some() { BAR_INTERVAL } else { LOG_INTERVAL }) {
                        break;
                    }
                }
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                }
            }
        };
        let thread = thread::Builder::new()
            .name("janus-progress".to_owned())
            .spawn(watch)
            .ok();
        Self {
            current,
            ended: Some(ended),
            thread,
        }
    }

    /// Shows the progress of this input from now on.
    pub fn follow(&self, input: &Input) {
        *self.current.lock() = Some(input.progress());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.ended.take());
        if let Some(thread) = self.thread.take() {
            // It holds nothing that could be poisoned.
            let _ = thread.join();
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(0).with_style(style.expect("the template is well-formed"))
}
