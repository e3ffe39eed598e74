//! Lines on their way to a reader that takes none for a while.
//!
//! In a container standard error is a pipe that the container runtime reads. While that is restarted nobody does, the
//! pipe is full after a few hundred lines, and whoever writes waits. A request must not wait for its line of the log,
//! and not for a system call that wakes the thread that writes it either: lines are gathered by the thread that they come
//! from, handed over together once the answers are sent, and the writer is woken only where it sleeps.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The most lines that wait to be written: a few MiB.
const LINES_MAX: usize = 8192;

/// The most lines that a thread gathers before it hands them over by itself.
const GATHERED_MAX: usize = 64;

/// The writer takes several batches at once, up to this length in bytes: what a pipe holds.
const WRITE_LENGTH_MAX: usize = 64 << 10;

/// Takes lines without waiting; a thread of its own writes them. What does not fit is dropped and counted.
#[derive(Clone, Debug, Default)]
pub(super) struct LineQueue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// The writer waits here for lines.
    filled: Condvar,
    /// Who ends waits here for the writer.
    emptied: Condvar,
}

/// Some lines.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    /// Where each line ends in the text.
    ends: Vec<usize>,
}

impl Lines {
    fn push(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.ends.push(self.text.len());
    }

    /// Leaves out all lines but the first `count`.
    fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    fn append(&mut self, mut others: Self) {
        let start = self.text.len();
        self.text.append(&mut others.text);
        self.ends.extend(others.ends.iter().map(|end| start + end));
    }
}

/// What the threads that log and the one that writes know of each other.
#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Lines>,
    /// Lines that wait or are being written.
    lines_count: usize,
    /// Lines that did not fit, since it was last told.
    dropped: u64,
    /// The writer sleeps, and nobody has woken it yet.
    is_asleep: bool,
    /// Somebody waits for the last line to be written.
    is_awaited: bool,
}

impl State {
    /// Takes what there is room for; returns whether the writer is to be woken. It is not where it works: it looks again
    /// before it sleeps.
    fn put(&mut self, mut lines: Lines) -> bool {
        let room = LINES_MAX - self.lines_count;
        if lines.ends.len() > room {
            self.dropped += (lines.ends.len() - room) as u64;
            lines.truncate(room);
        }
        if lines.ends.is_empty() {
            return false;
        }
        self.lines_count += lines.ends.len();
        self.batches.push_back(lines);
        std::mem::take(&mut self.is_asleep)
    }

    /// The next lines to be written, and how many were dropped since the ones before. Without any, the writer sleeps.
    fn take(&mut self) -> Option<(Lines, u64)> {
        let Some(mut lines) = self.batches.pop_front() else {
            self.is_asleep = true;
            return None;
        };
        while let Some(next) = self.batches.front()
            && lines.text.len() + next.text.len() <= WRITE_LENGTH_MAX
        {
            lines.append(self.batches.pop_front().expect("it was looked at"));
        }
        Some((lines, std::mem::take(&mut self.dropped)))
    }

    /// Takes note that so many lines were written; returns whether somebody is to be told that they were the last.
    fn written(&mut self, count: usize) -> bool {
        self.lines_count -= count;
        self.lines_count == 0 && self.is_awaited
    }
}

impl Shared {
    fn put(&self, lines: Lines) {
        let is_to_be_woken = self.state.lock().put(lines);
        if is_to_be_woken {
            self.filled.notify_one();
        }
    }

    fn next(&self) -> (Lines, u64) {
        let mut state = self.state.lock();
        loop {
            if let Some(next) = state.take() {
                return next;
            }
            self.filled.wait(&mut state);
        }
    }

    fn written(&self, count: usize) {
        if self.state.lock().written(count) {
            self.emptied.notify_all();
        }
    }
}

/// What a thread has gathered, and for which queue.
struct Gathered {
    queue: Arc<Shared>,
    lines: Lines,
}

impl Gathered {
    fn hand_over(&mut self) {
        if !self.lines.ends.is_empty() {
            self.queue.put(std::mem::take(&mut self.lines));
        }
    }
}

/// A thread that ends leaves nothing behind.
impl Drop for Gathered {
    fn drop(&mut self) {
        self.hand_over();
    }
}

thread_local! {
    static GATHERED: RefCell<Option<Gathered>> = const { RefCell::new(None) };
}

/// Hands over what this thread has gathered.
pub(super) fn hand_over() {
    GATHERED.with_borrow_mut(|gathered| {
        if let Some(gathered) = gathered {
            gathered.hand_over();
        }
    });
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
                let (lines, dropped) = shared.next();
                // Where nobody reads any more, there is nobody to tell either.
                let _ = out.write_all(&lines.text);
                shared.written(lines.ends.len());
                if dropped > 0 {
                    tell(dropped);
                }
            }
        })?;
        Ok(queue)
    }

    /// Waits until all lines are written that were handed over, this thread's among them, or for as long as `patience`.
    pub(super) fn finish(&self, patience: Duration) {
        hand_over();
        let mut state = self.shared.state.lock();
        state.is_awaited = true;
        self.shared
            .emptied
            .wait_while_for(&mut state, |state| state.lines_count > 0, patience);
    }
}

/// Each write is a line. It is gathered, and handed over by [`hand_over`], or when there are many.
impl Write for LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        GATHERED.with_borrow_mut(|gathered| {
            let gathered = match gathered {
                Some(gathered) if Arc::ptr_eq(&gathered.queue, &self.shared) => gathered,
                // Another queue's lines are handed over when they are let go of.
                other => other.insert(Gathered {
                    queue: Arc::clone(&self.shared),
                    lines: Lines::default(),
                }),
            };
            gathered.lines.push(line);
            if gathered.lines.ends.len() >= GATHERED_MAX {
                gathered.hand_over();
            }
        });
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

    /// Takes what is written only when it is let to.
    struct Gate {
        open: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            // Open for good once the other end is gone.
            let _ = self.open.recv();
            // Nobody may listen any more.
            let _ = self.written.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(texts: &[&str]) -> Lines {
        let mut lines = Lines::default();
        texts.iter().for_each(|text| lines.push(text.as_bytes()));
        lines
    }

    #[test]
    fn the_writer_is_woken_where_it_sleeps_and_nowhere_else() {
        let mut state = State::default();
        assert!(!state.put(lines(&["a\n"])), "it has not slept yet");
        assert_eq!(state.take().unwrap().0.text, b"a\n");
        assert!(!state.put(lines(&["b\n"])), "it is writing");
        state.written(1);
        assert_eq!(state.take().unwrap().0.text, b"b\n");
        state.written(1);
        assert!(state.take().is_none());
        let woken = (0..1000).filter(|_| state.put(lines(&["c\n", "d\n"]))).count();
        assert_eq!(woken, 1, "from empty to not empty, and for no batch after that");
        assert!(!state.put(Lines::default()), "nothing wakes nobody");
        let mut written = 0;
        while let Some((lines, dropped)) = state.take() {
            assert_eq!(dropped, 0);
            written += lines.ends.len();
            state.written(lines.ends.len());
        }
        assert_eq!(written, 2000);
        assert!(!state.put(Lines::default()) && state.is_asleep);
        assert!(state.put(lines(&["e\n"])), "it slept again");
    }

    #[test]
    fn what_is_gathered_is_handed_over_together() {
        let (opener, open) = channel();
        let (written, arrived) = channel();
        let mut queue = LineQueue::start(Gate { open, written }, |_| ()).unwrap();
        drop(opener);
        for _ in 0..10 {
            queue.write_all(b"line\n").unwrap();
        }
        assert_eq!(queue.shared.state.lock().lines_count, 0, "nobody was told yet");
        hand_over();
        queue.finish(Duration::from_secs(60));
        assert_eq!(
            arrived.try_iter().collect::<Vec<_>>(),
            [b"line\n".repeat(10)],
            "in one write"
        );
        // Who gathers many does not wait to be told, and who ends leaves nothing behind.
        for _ in 0..GATHERED_MAX {
            queue.write_all(b"many\n").unwrap();
        }
        let mut of_another = queue.clone();
        thread::spawn(move || of_another.write_all(b"last\n").unwrap())
            .join()
            .unwrap();
        queue.finish(Duration::from_secs(60));
        let all: Vec<u8> = arrived.try_iter().flatten().collect();
        assert_eq!(all.len(), 5 * GATHERED_MAX + 5);
        assert!(all.ends_with(b"last\n"));
    }

    #[test]
    fn lines_arrive_in_order_and_what_does_not_fit_is_counted() {
        let (opener, open) = channel();
        let (written, arrived) = channel();
        let (tell, told) = channel();
        let mut queue = LineQueue::start(Gate { open, written }, move |lines| tell.send(lines).unwrap()).unwrap();
        let sent = LINES_MAX + 100;
        for number in 0..sent {
            queue.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        hand_over();
        drop(opener);
        queue.finish(Duration::from_secs(60));
        let arrived: Vec<u8> = arrived.try_iter().flatten().collect();
        let arrived = String::from_utf8(arrived).unwrap();
        let arrived: Vec<&str> = arrived.lines().collect();
        let expected: Vec<String> = (0..arrived.len()).map(|number| number.to_string()).collect();
        assert_eq!(arrived, expected);
        assert_eq!(arrived.len(), LINES_MAX);
        queue.write_all(b"later\n").unwrap();
        hand_over();
        let dropped = told.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(arrived.len() + usize::try_from(dropped).unwrap(), sent);
    }

    #[test]
    fn who_finishes_does_not_wait_for_ever() {
        let (_opener, open) = channel();
        let (written, _arrived) = channel();
        let mut queue = LineQueue::start(Gate { open, written }, |_| ()).unwrap();
        queue.write_all(b"stuck\n").unwrap();
        queue.finish(Duration::from_millis(1));
    }
}
