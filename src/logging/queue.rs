//! Lines on their way to a reader that takes none for a while.
//!
//! In a container standard error is a pipe that the container runtime reads. While that is restarted nobody does, the
//! pipe is full after a few hundred lines, and whoever writes waits. A request must not wait for its line of the log.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// The most lines that wait to be written: a few MiB.
const LINES_MAX: usize = 8192;

/// Takes lines without waiting; a thread of its own writes them. What does not fit is dropped and counted.
#[derive(Clone, Debug, Default)]
pub(super) struct LineQueue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Since it was last told.
    dropped: u64,
    /// A line has left the queue, and has not arrived.
    is_writing: bool,
}

impl LineQueue {
    /// Starts the thread that writes to `out`. When it goes on after lines were dropped, `tell` is told how many.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub(super) fn start(mut out: impl Write + Send + 'static, tell: impl Fn(u64) + Send + 'static) -> io::Result<Self> {
        let queue = Self::default();
        let shared = Arc::clone(&queue.shared);
        thread::Builder::new().name("access-log".into()).spawn(move || {
            loop {
                let (line, dropped) = shared.next();
                // Where nobody reads any more, there is nobody to tell either.
                let _ = out.write_all(&line);
                if dropped > 0 {
                    tell(dropped);
                }
            }
        })?;
        Ok(queue)
    }

    /// Waits until all lines are written, or for as long as `patience`.
    pub(super) fn finish(&self, patience: Duration) {
        let state = self.shared.lock();
        let _ = self
            .shared
            .changed
            .wait_timeout_while(state, patience, |state| state.is_writing || !state.lines.is_empty());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the lock")
    }

    /// The next line, and how many were dropped since the one before.
    fn next(&self) -> (Vec<u8>, u64) {
        let mut state = self.lock();
        state.is_writing = false;
        self.changed.notify_all();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.is_writing = true;
                return (line, std::mem::take(&mut state.dropped));
            }
            state = self.changed.wait(state).expect("nobody panics with the lock");
        }
    }
}

/// Each write is a line.
impl Write for LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.shared.lock();
        if state.lines.len() < LINES_MAX {
            state.lines.push_back(line.to_vec());
            self.shared.changed.notify_all();
        } else {
            state.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Takes a line only when it is let to.
    struct Gate {
        open: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            // Open for good once the other end is gone.
            let _ = self.open.recv();
            self.written.send(line.to_vec()).expect("the test listens");
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_in_order_and_what_does_not_fit_is_counted() {
        let (opener, open) = channel();
        let (written, arrived) = channel();
        let (tell, told) = channel();
        let mut queue = LineQueue::start(Gate { open, written }, move |lines| tell.send(lines).unwrap()).unwrap();
        let sent = LINES_MAX + 100;
        for number in 0..sent {
            queue.write_all(number.to_string().as_bytes()).unwrap();
        }
        drop(opener);
        queue.finish(Duration::from_secs(60));
        let arrived: Vec<_> = arrived.try_iter().collect();
        let expected: Vec<_> = (0..arrived.len())
            .map(|number| number.to_string().into_bytes())
            .collect();
        assert_eq!(arrived, expected);
        queue.write_all(b"later").unwrap();
        let dropped = told.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(arrived.len() + usize::try_from(dropped).unwrap(), sent);
    }

    #[test]
    fn who_finishes_does_not_wait_for_ever() {
        let (_opener, open) = channel();
        let (written, _arrived) = channel();
        let mut queue = LineQueue::start(Gate { open, written }, |_| ()).unwrap();
        queue.write_all(b"stuck").unwrap();
        queue.finish(Duration::from_millis(1));
    }
}
