//! The file tree that sensors are read from.
//!
//! Owns the one way to a file of sysfs or procfs: a path that begins with `sys/` or `proc/`, below a root that the
//! operator may move (a container sees the host's sysfs under another mount point). Every read and every listing is
//! bounded. It never writes, never follows a path that did not come from a listing or a constant, and knows nothing
//! of sensors.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::PathBuf,
};

/// Most bytes taken from one file. A sysfs attribute fits in a page
/// (kernel: `Documentation/filesystems/sysfs.rst`); of `cpuinfo`, which grows with the processors, the first block
/// is enough.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Most entries taken from one directory.
pub const LIST_ENTRIES_MAX: usize = 4096;

/// Where sensor files are read: the host's sysfs and procfs, or a machine described by a manifest.
pub trait Tree: Send {
    /// The text of the file at `path` (`sys/…` or `proc/…`), at most [`READ_BYTES_MAX`] of it.
    ///
    /// # Errors
    /// Whatever opening and reading the file gave: sensors answer with `EAGAIN`, `EIO`, `ENODATA` and `ENODEV`.
    fn read(&self, path: &str) -> io::Result<String>;

    /// The names in a directory, in order: shorter names first, so that `hwmon2` comes before `hwmon10`.
    ///
    /// # Errors
    /// When the directory is not there or cannot be read.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;

    /// The last component of what the symbolic link at `path` points to: `0000:00:18.3` for a chip's `device`.
    ///
    /// # Errors
    /// When there is no symbolic link at `path`.
    fn link_name(&self, path: &str) -> io::Result<String>;
}

/// The trees that the kernel mounts, each below a root of its own.
#[derive(Debug, Clone)]
pub struct HostTree {
    sysfs_root: PathBuf,
    procfs_root: PathBuf,
}

impl HostTree {
    /// The tree with sysfs at `sysfs_root` (usually `/sys`) and procfs at `procfs_root` (usually `/proc`).
    pub fn new(sysfs_root: impl Into<PathBuf>, procfs_root: impl Into<PathBuf>) -> Self {
        Self {
            sysfs_root: sysfs_root.into(),
            procfs_root: procfs_root.into(),
        }
    }

    fn locate(&self, path: &str) -> io::Result<PathBuf> {
        if let Some(below) = path.strip_prefix("sys/") {
            Ok(self.sysfs_root.join(below))
        } else if let Some(below) = path.strip_prefix("proc/") {
            Ok(self.procfs_root.join(below))
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a sensor path begins with sys/ or proc/",
            ))
        }
    }
}

impl Tree for HostTree {
    fn read(&self, path: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        File::open(self.locate(path)?)?
            .take(READ_BYTES_MAX as u64)
            .read_to_end(&mut bytes)?;
        // Lossy, because the bound may cut a character in two; what is not ASCII is no sensor value anyway.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.locate(directory)?)?.take(LIST_ENTRIES_MAX) {
            // The kernel's own names are ASCII; a name that is not UTF-8 belongs to nothing that is read here.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_by(|a, b| in_order(a, b));
        Ok(names)
    }

    fn link_name(&self, path: &str) -> io::Result<String> {
        let target = fs::read_link(self.locate(path)?)?;
        let name = target.file_name().and_then(|name| name.to_str());
        name.map(str::to_owned)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }
}

/// Orders numbered names by their number: shorter first, then by their bytes.
pub(super) fn in_order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_with(files: &[(&str, &[u8])]) -> (tempfile::TempDir, HostTree) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (path, bytes) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("is below a directory")).expect("can be created");
            fs::write(path, bytes).expect("can be written");
        }
        let tree = HostTree::new(directory.path().join("s"), directory.path().join("p"));
        (directory, tree)
    }

    #[test]
    fn each_root_has_its_own_place_and_nothing_else_is_reached() {
        let (_directory, tree) = tree_with(&[("s/name", b"in sysfs"), ("p/name", b"in procfs"), ("name", b"outside")]);
        let check = |path: &str, expected: Result<&str, io::ErrorKind>| {
            assert_eq!(tree.read(path).as_deref().map_err(io::Error::kind), expected, "{path}");
        };
        check("sys/name", Ok("in sysfs"));
        check("proc/name", Ok("in procfs"));
        check("sys/absent", Err(io::ErrorKind::NotFound));
        check("name", Err(io::ErrorKind::InvalidInput));
        check("system/name", Err(io::ErrorKind::InvalidInput));
    }

    #[test]
    fn a_read_is_bounded_and_never_fails_for_its_bytes() {
        let (_directory, tree) = tree_with(&[("s/long", &[b'7'; READ_BYTES_MAX + 1]), ("s/bytes", b"\xff1")]);
        assert_eq!(tree.read("sys/long").expect("can be read").len(), READ_BYTES_MAX);
        assert_eq!(tree.read("sys/bytes").expect("can be read"), "\u{fffd}1");
    }

    #[test]
    fn numbered_names_are_listed_by_number() {
        let names = ["s/hwmon10", "s/hwmon2", "s/hwmon1"].map(|path| (path, b"".as_slice()));
        let (_directory, tree) = tree_with(&names);
        assert_eq!(
            tree.list("sys/").expect("can be listed"),
            ["hwmon1", "hwmon2", "hwmon10"]
        );
    }
}
