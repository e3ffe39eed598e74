//! Fixture machines, in memory and on the real file system.
//!
//! A content of the form `!EIO` is a fault: in memory a wrapper around the tree raises it; on the file system it is
//! made of what the kernel really offers, a link to `/proc/self/mem` for EIO and a FIFO without a writer for a read
//! that hangs.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use janus::hardware::{
    manifest::{Entry, Manifest},
    tree::{HostTree, Tree},
};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    io::Errno,
};
use tempfile::TempDir;

/// The fixture of this name, parsed.
pub(crate) fn manifest(name: &str) -> Manifest {
    let path = fixture_path(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Manifest::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of all fixtures, sorted.
pub(crate) fn fixture_names() -> Vec<String> {
    let directory = fixture_path("x").parent().expect("has a parent").to_owned();
    let entries = fs::read_dir(directory).expect("the fixtures are there");
    let stem = |path: PathBuf| {
        path.file_stem()
            .expect("has a name")
            .to_str()
            .expect("is UTF-8")
            .to_owned()
    };
    let mut names: Vec<_> = entries
        .map(|entry| stem(entry.expect("can be listed").path()))
        .collect();
    names.sort();
    names
}

fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/hardware/{name}.manifest"))
}

/// A machine as real files below a directory that is removed with the guard.
pub(crate) struct MachineDir {
    directory: TempDir,
}

impl MachineDir {
    /// Writes the first content of every file of the fixture `name`.
    pub(crate) fn of_fixture(name: &str) -> Self {
        let machine = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        };
        for (path, entry) in manifest(name).entries() {
            let path = machine.path(path);
            fs::create_dir_all(path.parent().expect("is below a directory")).expect("can be created");
            match entry {
                Entry::Link(target) => symlink(target, path).expect("can be linked"),
                Entry::File(contents) => match contents[0].as_str() {
                    // Offset 0 of a process is mapped nowhere: the kernel answers a read with EIO.
                    "!EIO" => symlink("/proc/self/mem", path).expect("can be linked"),
                    "!hang" => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO"),
                    content => fs::write(path, format!("{content}\n")).expect("can be written"),
                },
            }
        }
        machine
    }

    /// The real path of `sys/…` or `proc/…`.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn tree(&self) -> HostTree {
        HostTree::new(self.path("sys"), self.path("proc"))
    }
}

/// A tree whose contents `!EAGAIN` and the like are errors of reading.
pub(crate) struct Faulty<T>(pub(crate) T);

impl<T: Tree> Tree for Faulty<T> {
    fn read(&self, path: &str) -> io::Result<String> {
        let text = self.0.read(path)?;
        let errno = match text.trim() {
            "!EAGAIN" => Errno::AGAIN,
            "!EIO" => Errno::IO,
            "!ENODEV" => Errno::NODEV,
            _ => return Ok(text),
        };
        Err(io::Error::from_raw_os_error(errno.raw_os_error()))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.0.list(directory)
    }

    fn link_name(&self, path: &str) -> io::Result<String> {
        self.0.link_name(path)
    }
}

/// A tree that writes down which files were opened for reading.
pub(crate) struct Recording<T> {
    inner: T,
    opened: Arc<Mutex<Vec<String>>>,
}

impl<T> Recording<T> {
    pub(crate) fn new(inner: T) -> (Self, Arc<Mutex<Vec<String>>>) {
        let opened = Arc::default();
        (
            Self {
                inner,
                opened: Arc::clone(&opened),
            },
            opened,
        )
    }
}

impl<T: Tree> Tree for Recording<T> {
    fn read(&self, path: &str) -> io::Result<String> {
        self.opened
            .lock()
            .expect("no test panicked with it")
            .push(path.to_owned());
        self.inner.read(path)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.inner.list(directory)
    }

    fn link_name(&self, path: &str) -> io::Result<String> {
        self.inner.link_name(path)
    }
}
