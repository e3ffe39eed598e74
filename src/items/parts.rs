//! Parts of a source that several threads take in at the same time.
//!
//! One thread reads, cuts and joins; others make items of parts, and it too while it would wait. A part of lines ends with a
//! line. A part of an array ends with a comma that is taken for its own because what follows looks like the first item; that
//! is proven by the part, if it turns out to be a list of whole items up to that comma. So if all parts are good, every cut
//! was right, and what comes of them is what one thread would have made, in its order. With the first part that is not good,
//! whatever the reason, this ends: from its beginning on the source is read by one thread, which tells what is wrong.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use memchr::memmem;
use parking_lot::{Condvar, Mutex};

use super::ParseOptions;
use super::collection::{Builder, Maker, Places};
use super::error::{DataError, Fault};
use super::id::IdField;
use super::pieces::{Pieces, lines_end};
use super::structure::{PADDING, Way};
use super::text::{HISTORY, Place, Text, characters};
use super::tokens::Name;
use crate::ledger::Account;

/// More threads than this have nothing to do: the one that joins is not faster.
const THREADS_MAX: usize = 16;

/// What the allocator may keep for a thread, in bytes.
const THREAD_MEMORY: usize = 1 << 20;

/// Threads are used where there is so many times the memory for data that they take: it is little beside the data then.
const ROOM_SHARE: u64 = 8;

/// What separates items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    Line,
    Comma,
}

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) lines: u64,
    pub(super) items: u64,
}

/// A part of the source, and room for padding behind it.
#[derive(Debug, Default)]
struct Part {
    bytes: Vec<u8>,
    length: usize,
}

/// What was made of a part.
#[derive(Debug, Default)]
struct Made {
    items: Maker,
    /// How far its end, and the start of what is kept of it for excerpts, are from its start.
    end: Distance,
    history: Distance,
}

/// A way through text.
#[derive(Clone, Copy, Debug, Default)]
struct Distance {
    bytes: u64,
    lines: u64,
    /// Characters on the last line.
    characters: u64,
}

impl Distance {
    fn of(text: &[u8]) -> Self {
        let last_line = memchr::memrchr(b'\n', text).map_or(0, |newline| newline + 1);
        Self {
            bytes: text.len() as u64,
            lines: memchr::memchr_iter(b'\n', &text[..last_line]).count() as u64,
            characters: characters(&text[last_line..]),
        }
    }

    fn from(self, place: Place) -> Place {
        Place {
            offset: place.offset + self.bytes,
            line: place.line + self.lines,
            column: self.characters + if self.lines == 0 { place.column } else { 0 },
        }
    }
}

struct Job {
    part: Part,
    reply: SyncSender<(Part, Option<Made>)>,
}

/// Jobs that wait for a thread.
#[derive(Default)]
struct Queue {
    jobs: Mutex<(VecDeque<Job>, bool)>,
    changed: Condvar,
}

impl Queue {
    fn put(&self, job: Job) {
        self.jobs.lock().0.push_back(job);
        self.changed.notify_one();
    }

    fn take(&self) -> Option<Job> {
        self.jobs.lock().0.pop_front()
    }

    /// Waits for a job; `None` when there will be no more.
    fn wait(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock();
        loop {
            match (jobs.0.pop_front(), jobs.1) {
                (Some(job), _) => return Some(job),
                (None, true) => return None,
                (None, false) => self.changed.wait(&mut jobs),
            }
        }
    }
}

/// Tells the threads that there are no more jobs, however the one that has them ends.
struct Close<'a>(&'a Queue);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.jobs.lock().1 = true;
        self.0.changed.notify_all();
    }
}

/// Takes in what comes next of `text`, which is at the start of a line or before an item, as far as it consists of good
/// parts, by several threads, if so many are wanted and there is enough. `text` is where the first item begins then that was
/// not taken in.
pub(super) fn read<R: Read>(
    text: &mut Text<R>,
    separator: Separator,
    id_field: &IdField,
    builder: &mut Builder,
    options: &ParseOptions,
) -> Result<Taken, DataError> {
    let mut taken = Taken::default();
    let threads = options.threads.min(THREADS_MAX);
    let length = options.part_length;
    let is_much = options.size_hint.is_none_or(|hint| hint >= 4 * length as u64);
    // A part, what is made of it and what is known of that, for each thread and those that wait; and what the allocator keeps
    // for each thread.
    let in_flight = 2 * threads;
    let memory = in_flight * 4 * length + threads * THREAD_MEMORY;
    let room = options.ledger.room();
    // Whoever collects faults goes on behind each.
    let is_judged = options.collector.is_some();
    if threads < 2
        || is_judged
        || options.way == Way::Scanner
        || text.is_whole()
        || !is_much
        || room / ROOM_SHARE < memory as u64
    {
        return Ok(taken);
    }
    let Some(opening) = opening(text, separator) else {
        return Ok(taken);
    };
    let _credit = options.ledger.credit(Account::Building, memory);
    let (mut history, mut history_place, mut place, mut ahead) = text.take();
    let maker = |pieces: &mut Pieces, part: &mut Part, empty: Maker| make(pieces, part, separator, id_field, empty);
    let empty = builder.maker();
    let queue = Queue::default();
    let end = thread::scope(|scope| {
        let _close = Close(&queue);
        for number in 1..threads {
            let (queue, empty, each_thread) = (&queue, empty.clone(), options.each_thread);
            let thread = thread::Builder::new().name(format!("load-{number}"));
            // Without threads the one that is there does it all.
            let _ = thread.spawn_scoped(scope, move || {
                each_thread();
                let mut pieces = Pieces::new(options.way);
                while let Some(Job { mut part, reply }) = queue.wait() {
                    let made = maker(&mut pieces, &mut part, empty.clone());
                    // Nobody waits for it if a part before it was not good.
                    let _ = reply.send((part, made));
                }
            });
        }
        let mut pieces = Pieces::new(options.way);
        let mut waiting: VecDeque<Receiver<(Part, Option<Made>)>> = VecDeque::new();
        loop {
            while waiting.len() < in_flight
                && let Some(part) = next_part(text, &mut ahead, separator, &opening, length)
            {
                let (reply, receiver) = sync_channel(1);
                queue.put(Job { part, reply });
                waiting.push_back(receiver);
            }
            let Some(receiver) = waiting.pop_front() else {
                return Ok(());
            };
            let (part, made) = loop {
                match receiver.try_recv() {
                    Ok(done) => break done,
                    Err(TryRecvError::Disconnected) => unreachable!("a thread that makes items does not panic"),
                    Err(TryRecvError::Empty) => {}
                }
                match queue.take() {
                    Some(Job { mut part, reply }) => {
                        let made = maker(&mut pieces, &mut part, empty.clone());
                        let _ = reply.send((part, made));
                    }
                    None => break receiver.recv().expect("a thread that makes items does not panic"),
                }
            };
            let bytes = &part.bytes[..part.length];
            match made {
                Some(made) if builder.take(&made.items) => {
                    let mut places = PartPlaces {
                        history: (&history, history_place),
                        start: place,
                        bytes,
                        items: &made.items,
                    };
                    builder.index(&mut places)?;
                    taken.items += made.items.len() as u64;
                    taken.lines += made.end.lines;
                    history_place = made.history.from(place);
                    history.clear();
                    history.extend_from_slice(&bytes[made.history.bytes as usize..]);
                    place = made.end.from(place);
                }
                _ => {
                    // All that was read goes back, in its order.
                    let mut rest = bytes.to_vec();
                    for receiver in waiting.drain(..) {
                        let part = match queue.take() {
                            // Nobody has begun with it; those before it are waited for first.
                            Some(job) => {
                                let _ = job.reply.send((job.part, None));
                                receiver.recv()
                            }
                            None => receiver.recv(),
                        };
                        let (part, _) = part.expect("a thread that makes items does not panic");
                        rest.extend_from_slice(&part.bytes[..part.length]);
                    }
                    rest.append(&mut ahead);
                    ahead = rest;
                    return Ok(());
                }
            }
        }
    });
    text.resume(&history, history_place, &ahead);
    end.map(|()| taken)
}

/// How items of an array begin, to find their commas by: up to the colon after the first member's name. Lines need no such
/// thing.
fn opening<R: Read>(text: &Text<R>, separator: Separator) -> Option<Vec<u8>> {
    const LENGTH_MAX: usize = 64;
    if separator == Separator::Line {
        return Some(Vec::new());
    }
    let rest = &text.window()[text.at..];
    let rest = &rest[rest.iter().position(|byte| !is_white_space(*byte))?..];
    let colon = memchr::memchr(b':', &rest[..rest.len().min(LENGTH_MAX)])?;
    (rest[0] == b'{').then(|| rest[..=colon].to_vec())
}

fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Reads and cuts off the next part; `None` if there is none, or no place to cut at.
fn next_part<R: Read>(
    text: &mut Text<R>,
    ahead: &mut Vec<u8>,
    separator: Separator,
    opening: &[u8],
    length: usize,
) -> Option<Part> {
    text.read_ahead(ahead, length);
    let end = match separator {
        Separator::Line => memchr::memrchr(b'\n', ahead)? + 1,
        // The rest of an array has an end, which no part has.
        Separator::Comma if ahead.len() < length => return None,
        Separator::Comma => last_comma(ahead, opening)? + 1,
    };
    let rest = ahead[end..].to_vec();
    let mut bytes = std::mem::replace(ahead, rest);
    bytes.truncate(end);
    bytes.resize(end + PADDING, 0);
    Some(Part { bytes, length: end })
}

/// The last comma behind which an item seems to begin.
fn last_comma(text: &[u8], opening: &[u8]) -> Option<usize> {
    const TRIES: usize = 64;
    let mut before = text.len();
    for _ in 0..TRIES {
        before = memmem::rfind(&text[..before], opening)?;
        match text[..before].iter().rposition(|byte| !is_white_space(*byte)) {
            Some(comma) if text[comma] == b',' => return Some(comma),
            _ => {}
        }
    }
    None
}

/// Makes items of a part, if it is good.
fn make(pieces: &mut Pieces, part: &mut Part, separator: Separator, id_field: &IdField, empty: Maker) -> Option<Made> {
    let Part { bytes, length } = part;
    let (bytes, length) = (&bytes[..], *length);
    let mut items = empty;
    items.reserve(length);
    let name = id_field.member().map(Name::new);
    match separator {
        Separator::Line => {
            let (mut at, mut line) = (0, 0);
            while at < length {
                let end = at + lines_end(&bytes[at..length])?;
                let passed = pieces.pass_lines(bytes, at..end, name, |structure, piece, value, lines| {
                    items.add(structure, piece, value, id_field, at + value.start, line + lines)
                });
                let passed = passed.ok()?;
                if passed.length != end - at {
                    return None;
                }
                line += passed.lines;
                at = end;
            }
        }
        Separator::Comma => {
            let (mut counted, mut line) = (0, 0);
            let passed = pieces.pass_elements(bytes, 0..length, name, |structure, piece, value, at| {
                let start = at + value.start;
                line += memchr::memchr_iter(b'\n', &bytes[counted..start]).count() as u64;
                counted = start;
                items.add(structure, piece, value, id_field, start, line)
            });
            if passed.ok()? != length {
                return None;
            }
        }
    }
    let text = &bytes[..length];
    Some(Made {
        items,
        end: Distance::of(text),
        history: Distance::of(&text[..length.saturating_sub(HISTORY)]),
    })
}

/// Where the items of a part stand: a place is an item's number in the part.
struct PartPlaces<'a> {
    /// What is before the part, and where that begins.
    history: (&'a [u8], Place),
    start: Place,
    bytes: &'a [u8],
    items: &'a Maker,
}

impl Places for PartPlaces<'_> {
    fn line(&mut self, place: u64) -> u64 {
        self.start.line + self.items.line(place as usize)
    }

    fn error(&self, place: u64, fault: Fault) -> DataError {
        let (history, from) = self.history;
        let text = Text::of(history, from, self.bytes);
        text.error_at(history.len() + self.items.start(place as usize), fault)
    }

    fn passed(&self) -> Option<u64> {
        Some(self.start.offset + self.bytes.len() as u64)
    }
}
