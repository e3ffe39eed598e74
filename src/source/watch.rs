//! When to look again: the kernel's word on the directories that lead to a file, and a poll where it has none.
//!
//! Directories are watched and not the file, for a file is mostly replaced: by an editor's rename, or in a ConfigMap
//! volume by the swap of a symbolic link that stands above it. An event only says "look": the file counts as changed
//! when what its path leads to is not what it was.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::Identity;

/// Writers mostly write more than once: a change counts when it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(100);

/// A file that is never quiet for long is looked at all the same.
const UNQUIET_MAX: Duration = Duration::from_secs(1);

/// How often a directory that is not there is looked for.
const REARM: Duration = Duration::from_secs(1);

/// As many links as Linux follows in one path (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Why changes cannot be noticed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The kernel has no watches left, or the file system none at all.
    #[error(
        "{path}: cannot be watched: {error}; --poll-interval looks at it now and then instead \
         (sysctl fs.inotify.max_user_instances and fs.inotify.max_user_watches bound the kernel's watches)"
    )]
    Notify {
        /// The file.
        path: String,
        /// What the kernel says.
        error: notify::Error,
    },
    /// There is no thread to be had.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// Watches one file until it is dropped.
#[derive(Debug)]
pub struct Watch {
    sender: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    Look,
    Stop,
}

impl Watch {
    /// Begins to watch what `path` leads to; `changed` is called, in a thread of its own, after each change from now on.
    ///
    /// With a poll interval it is looked at that often too, and a kernel that cannot watch is no error.
    ///
    /// # Errors
    ///
    /// If the kernel cannot watch and there is no poll interval.
    pub fn start(
        path: &Path,
        poll_interval: Option<Duration>,
        changed: impl Fn() + Send + 'static,
    ) -> Result<Self, WatchError> {
        let (sender, messages) = channel();
        let look = {
            let sender = sender.clone();
            move |event: notify::Result<notify::Event>| {
                // Our own reading is an access, too. An error (lost events, say) is a reason to look.
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    // A watch that is being dropped listens no more.
                    let _ = sender.send(Message::Look);
                }
            }
        };
        let fail = |error| WatchError::Notify {
            path: path.display().to_string(),
            error,
        };
        let watcher = match notify::recommended_watcher(look) {
            Ok(watcher) => Some(watcher),
            Err(_) if poll_interval.is_some() => None,
            Err(error) => return Err(fail(error)),
        };
        let identity = Identity::at(path);
        let mut directories = Directories {
            path: path.to_owned(),
            watcher,
            watched: BTreeSet::new(),
        };
        let is_armed = match directories.arm() {
            Err(error) if poll_interval.is_none() && !is_absence(&error) => return Err(fail(error)),
            result => result.is_ok(),
        };
        let watching = Watching {
            directories,
            is_armed,
            poll_interval,
            identity,
            messages,
            changed,
        };
        let thread = thread::Builder::new()
            .name("janus-watch".to_owned())
            .spawn(|| watching.run());
        Ok(Self {
            sender,
            thread: Some(thread.map_err(WatchError::Thread)?),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A thread that has ended needs no word.
        let _ = self.sender.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watching<F> {
    directories: Directories,
    /// Whether all of them are watched; one that is not there is looked for again.
    is_armed: bool,
    poll_interval: Option<Duration>,
    identity: Option<Identity>,
    messages: Receiver<Message>,
    changed: F,
}

impl<F: Fn()> Watching<F> {
    fn run(mut self) {
        // When it became unquiet, and when it was last.
        let mut unquiet: Option<(Instant, Instant)> = None;
        loop {
            let message = match self.patience(unquiet) {
                Some(patience) => self.messages.recv_timeout(patience),
                None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match message {
                Ok(Message::Look) => {
                    let now = Instant::now();
                    unquiet = Some((unquiet.map_or(now, |(first, _)| first), now));
                    if now - unquiet.map_or(now, |(first, _)| first) < UNQUIET_MAX {
                        continue;
                    }
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            unquiet = None;
            // Armed before it is looked at, so that no change falls between the two.
            self.is_armed = self.directories.arm().is_ok();
            let identity = Identity::at(&self.directories.path);
            if identity != self.identity {
                self.identity = identity;
                (self.changed)();
            }
        }
    }

    /// How long to wait before looking unasked.
    fn patience(&self, unquiet: Option<(Instant, Instant)>) -> Option<Duration> {
        let now = Instant::now();
        let quiet = unquiet.map(|(first, last)| {
            (last + QUIET)
                .saturating_duration_since(now)
                .min((first + UNQUIET_MAX).saturating_duration_since(now))
        });
        let rearm = (!self.is_armed).then_some(REARM);
        [quiet, rearm, self.poll_interval].into_iter().flatten().min()
    }
}

/// The directories in which something may happen to what a path leads to.
struct Directories {
    path: PathBuf,
    /// `None` where the kernel cannot watch.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Directories {
    /// Watches the directories that lead to the file now, and no others. Those that are watched already are asked for
    /// again: one may have been made anew.
    fn arm(&mut self) -> notify::Result<()> {
        let Some(watcher) = &mut self.watcher else {
            return Ok(());
        };
        let mut wanted = BTreeSet::new();
        collect(&self.path, LINKS_MAX, &mut wanted);
        for gone in self.watched.difference(&wanted) {
            // It may have been deleted, which ended the watch.
            let _ = watcher.unwatch(gone);
        }
        let result = wanted
            .iter()
            .try_for_each(|directory| watcher.watch(directory, RecursiveMode::NonRecursive));
        self.watched = wanted;
        result
    }
}

/// Collects the directories of all links on the way to a file, and its own.
fn collect(path: &Path, links_left: usize, directories: &mut BTreeSet<PathBuf>) {
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
            let rest = path.strip_prefix(&prefix).unwrap_or(Path::new(""));
            let target = parent_of(&prefix).join(target);
            // Joining an empty path would add a slash.
            let target = if rest == Path::new("") {
                target
            } else {
                target.join(rest)
            };
            return collect(&target, links_left - 1, directories);
        }
    }
    directories.insert(parent_of(path));
}

/// Whether the kernel could watch, if only the directory were there.
fn is_absence(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}
