//! When to look again: the kernel's word on a file and on the directories that lead to it, and a look at it now and then.
//!
//! The file is watched, for it may be written where its directory's watchers are not told: on the other side of a bind
//! mount, or by another name. The directories are watched, for a file is mostly replaced: by an editor's rename, or in a
//! ConfigMap volume by the swap of a symbolic link that stands above it. Both can fail, and neither is told of a
//! directory further up that is replaced, so the file is also polled by stat. Any of these only says "look": what counts
//! is what the path leads to, and `Settling` decides when that is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::Identity;
pub use super::settle::{Change, Extent, Shape, Standing};
use super::settle::{Settling, Sign};

/// How often what cannot be watched is tried again, or a directory that is not there is looked for.
const REARM: Duration = Duration::from_secs(1);

/// How often a kernel that has no watches left is asked again.
const RENOTIFY: Duration = Duration::from_secs(60);

/// How often a file is looked at that seems to be changing.
const CLOSE_LOOK: Duration = Duration::from_millis(250);

/// As many links as Linux follows in one path (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Whether the kernel tells when a file that was written is closed: inotify does, others do not.
const CLOSES_ARE_TOLD: bool = cfg!(target_os = "linux");

/// How changes are noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Means {
    /// Why the kernel does not tell of changes, if it does not.
    pub not_notified: Option<String>,
    /// How often the file is looked at.
    pub poll_interval: Option<Duration>,
}

/// What a look at the file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When it was looked at.
    pub at: SystemTime,
    /// When the file was modified, as its file system says; `None` if there is none.
    pub modified: Option<SystemTime>,
    /// For how long a change has been waited for that is not whole yet.
    pub unsettled: Option<Duration>,
}

/// Who is told of a file's changes, in the thread of its [`Watch`].
pub trait Observer: Send + 'static {
    /// It has changed, and can be read.
    fn changed(&self, change: Change);
    /// It was looked at.
    fn looked(&self, look: Look) {
        let _ = look;
    }
    /// Changes are noticed by these means from now on.
    fn noticing(&self, means: &Means) {
        let _ = means;
    }
}

impl<F: Fn(Change) + Send + 'static> Observer for F {
    fn changed(&self, change: Change) {
        self(change);
    }
}

/// Watches one file until it is dropped.
#[derive(Debug)]
pub struct Watch {
    reader: Reader,
    thread: Option<JoinHandle<()>>,
}

/// By which whoever reads the file tells its watch what it is like, and is told whether it can be read.
#[derive(Clone, Debug)]
pub struct Reader {
    messages: Sender<Message>,
    /// A [`Standing`] by its place. Relaxed throughout: nothing else is read by it.
    standing: Arc<AtomicU8>,
}

#[derive(Debug)]
enum Message {
    Event(notify::Result<notify::Event>),
    Shape(Shape),
    WasWhole(Option<Identity>),
    WasRewritten(Option<Identity>),
    Stop,
}

impl Reader {
    /// Whether the file can be read now, as far as is known.
    pub fn standing(&self) -> Standing {
        const ALL: [Standing; 3] = [Standing::Whole, Standing::Growing, Standing::Written];
        ALL[usize::from(self.standing.load(Ordering::Relaxed))]
    }

    /// What a beginning of the file is worth. Until this is told: nothing.
    pub fn shape(&self, shape: Shape) {
        self.send(Message::Shape(shape));
    }

    /// What was told without being sure, or as grown, was whole.
    pub fn was_whole(&self, change: Change) {
        self.send(Message::WasWhole(change.identity));
    }

    /// What was told as grown does not begin as it did.
    pub fn was_rewritten(&self, change: Change) {
        self.send(Message::WasRewritten(change.identity));
    }

    fn send(&self, message: Message) {
        // A watch that has ended needs no word.
        let _ = self.messages.send(message);
    }
}

impl Watch {
    /// Begins to watch what `path` leads to; `observer` is told of each change from now on.
    ///
    /// With a poll interval it is looked at that often too. What the kernel cannot watch is no error: see [`Means`].
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub fn start(path: &Path, poll_interval: Option<Duration>, observer: impl Observer) -> io::Result<Self> {
        // Events name absolute paths. Without a current directory only an absolute path leads anywhere.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (sender, messages) = channel();
        let reader = Reader {
            messages: sender,
            standing: Arc::default(),
        };
        let places = Places {
            path,
            events: reader.clone(),
            watcher: Err(None),
            tried: None,
            watched: BTreeMap::new(),
            names: BTreeSet::new(),
        };
        let mut watching = Watching {
            places,
            poll_interval,
            messages,
            observer,
            settling: Settling::new(None),
            shape: Shape::default(),
            means: None,
        };
        // Armed before it is looked at, so that no change falls between the two; and all of it before this returns.
        watching.arm();
        watching.settling = Settling::new(Identity::at(&watching.places.path));
        watching.tell_look();
        let thread = thread::Builder::new()
            .name("janus-watch".to_owned())
            .spawn(|| watching.run())?;
        Ok(Self {
            reader,
            thread: Some(thread),
        })
    }

    /// A handle for whoever reads the file.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.reader.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watching<O> {
    places: Places,
    poll_interval: Option<Duration>,
    messages: Receiver<Message>,
    observer: O,
    settling: Settling,
    shape: Shape,
    means: Option<Means>,
}

impl<O: Observer> Watching<O> {
    fn run(mut self) {
        loop {
            let message = match self.patience() {
                Some(patience) => self.messages.recv_timeout(patience),
                None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(Message::Event(event)) => {
                    let Some(sign) = self.places.sign(&event) else { continue };
                    self.look(sign);
                }
                Ok(Message::Shape(shape)) => self.shape = shape,
                Ok(Message::WasWhole(identity)) => self.settling.was_whole(identity),
                Ok(Message::WasRewritten(identity)) => self.settling.was_rewritten(identity, Instant::now()),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.look(Sign::Looked),
            }
            if let Some(change) = self.settling.hand_out(self.shape, Instant::now()) {
                self.observer.changed(change);
                self.tell_look();
            }
            let standing = self.settling.standing(self.shape);
            self.places.events.standing.store(standing as u8, Ordering::Relaxed);
        }
    }

    /// Looks at what is there now, because of `sign`.
    fn look(&mut self, sign: Sign) {
        // Armed before it is looked at, so that no change falls between the two.
        self.arm();
        let seen = Identity::at(&self.places.path);
        self.settling.note(sign, seen, Instant::now());
        self.tell_look();
    }

    fn arm(&mut self) {
        let means = Means {
            not_notified: self.places.arm().err(),
            poll_interval: self.poll_interval,
        };
        if self.means.as_ref() != Some(&means) {
            self.observer.noticing(&means);
            self.means = Some(means);
        }
    }

    fn tell_look(&self) {
        self.observer.looked(Look {
            at: SystemTime::now(),
            modified: self.settling.seen().map(|identity| identity.modified_at()),
            unsettled: self.settling.unsettled_since().map(|since| since.elapsed()),
        });
    }

    /// How long to wait before looking unasked.
    fn patience(&self) -> Option<Duration> {
        let due = self.settling.due(self.shape).map(|due| {
            let until = due.saturating_duration_since(Instant::now());
            until.min(CLOSE_LOOK)
        });
        let is_notified = self.means.as_ref().is_some_and(|means| means.not_notified.is_none());
        let rearm = (!is_notified).then_some(REARM);
        [due, rearm, self.poll_interval].into_iter().flatten().min()
    }
}

/// The file, and the directories in which something may happen to what its path leads to.
struct Places {
    path: PathBuf,
    events: Reader,
    /// What the kernel said, where it cannot watch.
    watcher: Result<RecommendedWatcher, Option<notify::Error>>,
    /// When the kernel was asked for a watcher.
    tried: Option<Instant>,
    /// What is watched, each with the device and inode that it led to.
    watched: BTreeMap<PathBuf, Option<(u64, u64)>>,
    /// The names in watched directories that lead to the file: links on the way, and its own.
    names: BTreeSet<PathBuf>,
}

impl Places {
    /// Watches the file and the directories that lead to it now, and nothing else. What is watched already is asked for
    /// again: it may have been made anew.
    fn arm(&mut self) -> Result<(), String> {
        let (mut wanted, names) = way_to(&self.path);
        self.names = names;
        wanted.insert(self.path.clone());
        self.ask_for_watcher();
        let watcher = match &mut self.watcher {
            Ok(watcher) => watcher,
            Err(error) => return Err(error.as_ref().map(ToString::to_string).unwrap_or_default()),
        };
        let kernel = |path: &Path| std::fs::metadata(path).ok().map(|all| Identity::of(&all).file());
        let wanted: BTreeMap<_, _> = wanted.into_iter().map(|path| (path.clone(), kernel(&path))).collect();
        let watched = std::mem::take(&mut self.watched);
        for (path, file) in &watched {
            if wanted.get(path) != Some(file) {
                // It may have been deleted, which ended the watch.
                let _ = watcher.unwatch(path);
            }
        }
        let mut result = Ok(());
        for path in wanted.keys() {
            if let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive) {
                // A file that is not there yet comes by its directory.
                if path != &self.path || !is_absence(&error) {
                    result = Err(format!("{}: {error}", path.display()));
                }
            }
        }
        self.watched = wanted;
        result
    }

    /// Asks the kernel for a watcher, and again now and then where there was none.
    fn ask_for_watcher(&mut self) {
        let is_due = self.tried.is_none_or(|tried| tried.elapsed() >= RENOTIFY);
        if self.watcher.is_err() && is_due {
            self.tried = Some(Instant::now());
            self.watched.clear();
            let events = self.events.clone();
            let send = move |event: notify::Result<notify::Event>| {
                // Our own reading is an access, too.
                let is_news = |event: &notify::Event| !event.kind.is_access() || is_close(&event.kind);
                if event.as_ref().map_or(true, is_news) {
                    events.send(Message::Event(event));
                }
            };
            self.watcher = notify::recommended_watcher(send).map_err(Some);
        }
    }

    /// What an event says of the file; `None` if it says nothing of it.
    fn sign(&self, event: &notify::Result<notify::Event>) -> Option<Sign> {
        let Ok(event) = event else { return Some(Sign::Lost) };
        if event.need_rescan() {
            return Some(Sign::Lost);
        }
        let is_ours = |path: &PathBuf| self.names.contains(path) || self.watched.contains_key(path);
        let path = event.paths.iter().find(|path| is_ours(path))?;
        let is_link = || path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        Some(match &event.kind {
            kind if is_close(kind) => Sign::Closed,
            EventKind::Access(_) => return None,
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Sign::Moved,
            EventKind::Create(_) if is_link() => Sign::Moved,
            EventKind::Create(_) if CLOSES_ARE_TOLD => Sign::Created,
            EventKind::Modify(ModifyKind::Data(_)) if CLOSES_ARE_TOLD => Sign::Written,
            _ => Sign::Looked,
        })
    }
}

fn is_close(kind: &EventKind) -> bool {
    *kind == EventKind::Access(AccessKind::Close(AccessMode::Write))
}

/// The directories of all links on the way to a file, and its own; and the names in them that the way goes by.
fn way_to(path: &Path) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
    let (mut directories, mut names) = (BTreeSet::new(), BTreeSet::from([path.to_owned()]));
    collect(path, LINKS_MAX, &mut directories, &mut names);
    (directories, names)
}

fn collect(path: &Path, links_left: usize, directories: &mut BTreeSet<PathBuf>, names: &mut BTreeSet<PathBuf>) {
    let parent_of = |path: &Path| match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from(Component::CurDir.as_os_str()),
    };
    let mut prefix = PathBuf::new();
    for component in path.components() {
        prefix.push(component);
        let Ok(target) = std::fs::read_link(&prefix) else {
            continue;
        };
        if links_left > 0 {
            directories.insert(parent_of(&prefix));
            names.insert(prefix.clone());
            let rest = path.strip_prefix(&prefix).unwrap_or(Path::new(""));
            let target = parent_of(&prefix).join(target);
            // Joining an empty path would add a slash.
            let target = if rest == Path::new("") {
                target
            } else {
                target.join(rest)
            };
            return collect(&target, links_left - 1, directories, names);
        }
    }
    directories.insert(parent_of(path));
    names.insert(path.to_owned());
}

/// Whether the kernel could watch, if only the file were there.
fn is_absence(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}
