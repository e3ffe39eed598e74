//! A machine's sensor files, written down as text.
//!
//! Owns the format of the fixture machines and of the simulated one, and serves such a machine as a [`Tree`], so that
//! the reader cannot tell it from sysfs. One line describes one file:
//!
//! ```text
//! # a comment
//! sys/class/hwmon/hwmon0 -> ../../devices/platform/coretemp.0/hwmon/hwmon0
//! sys/devices/platform/coretemp.0/hwmon/hwmon0/name: coretemp
//! sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_input: 45000 | 46000
//! ```
//!
//! `path: content` is a file (`\n` in it is a line break; a last line break is added), `path -> target` a symbolic
//! link relative to its directory, as sysfs has them. Several contents between ` | ` are given in turn, one at each
//! read, and then from the first again. Directories are what paths imply. It never touches the file system.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use thiserror::Error;

use super::tree::{Tree, in_order};

/// Most symbolic links followed on the way to one file; the kernel's own limit (`path_resolution(7)`).
const LINKS_FOLLOWED_MAX: usize = 40;

/// What stands at a path.
#[derive(Debug)]
pub enum Entry {
    /// A file and its contents, given in turn.
    File(Vec<String>),
    /// A symbolic link and its target, relative to the link's directory.
    Link(String),
}

/// A line that is not of the manifest's form.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("line {line}: neither `path: content` nor `path -> target`: {text:?}")]
pub struct ManifestError {
    /// The line's number, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

/// A machine: its files and links, and how often each file was read.
#[derive(Debug, Default)]
pub struct Manifest {
    entries: BTreeMap<String, Entry>,
    /// The reads of each file so far, by which the next content is chosen.
    reads: BTreeMap<String, AtomicUsize>,
}

impl Manifest {
    /// Parses a manifest; a path given twice keeps its last line.
    ///
    /// # Errors
    /// The first line that is neither a file, a link, a comment nor empty.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut manifest = Self::default();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (path, entry) = parse_line(line).ok_or_else(|| ManifestError {
                line: index + 1,
                text: line.to_owned(),
            })?;
            manifest.reads.insert(path.to_owned(), AtomicUsize::new(0));
            manifest.entries.insert(path.to_owned(), entry);
        }
        Ok(manifest)
    }

    /// Every path with what stands there, in order of the paths.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The path with every link on it followed, the last component too if `follow_last`.
    fn resolve(&self, path: &str, follow_last: bool) -> io::Result<String> {
        let mut pending: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut resolved: Vec<String> = Vec::new();
        let mut followed = 0;
        while let Some(component) = pending.pop() {
            match component.as_str() {
                "" | "." => {}
                ".." => drop(resolved.pop()),
                _ => {
                    resolved.push(component);
                    let is_last = pending.is_empty();
                    if let Some(Entry::Link(target)) = self.entries.get(&resolved.join("/"))
                        && (follow_last || !is_last)
                    {
                        followed += 1;
                        if followed > LINKS_FOLLOWED_MAX {
                            return Err(io::Error::from(io::ErrorKind::InvalidInput));
                        }
                        resolved.pop();
                        pending.extend(target.rsplit('/').map(str::to_owned));
                    }
                }
            }
        }
        Ok(resolved.join("/"))
    }
}

impl Tree for Manifest {
    fn read(&self, path: &str) -> io::Result<String> {
        let path = self.resolve(path, true)?;
        let Some(Entry::File(contents)) = self.entries.get(&path) else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        // Relaxed: one thread reads a tree; the atomic is there only because reading takes `&self`.
        let turn = self.reads[&path].fetch_add(1, Ordering::Relaxed);
        Ok(format!("{}\n", contents[turn % contents.len()]))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let prefix = format!("{}/", self.resolve(directory, true)?);
        let below = self.entries.keys().filter_map(|path| path.strip_prefix(&prefix));
        let names: BTreeSet<&str> = below.filter_map(|path| path.split('/').next()).collect();
        if names.is_empty() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_by(|a, b| in_order(a, b));
        Ok(names)
    }

    fn link_name(&self, path: &str) -> io::Result<String> {
        match self.entries.get(&self.resolve(path, false)?) {
            Some(Entry::Link(target)) => Ok(target.rsplit('/').next().unwrap_or(target).to_owned()),
            Some(Entry::File(_)) => Err(io::Error::from(io::ErrorKind::InvalidInput)),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

fn parse_line(line: &str) -> Option<(&str, Entry)> {
    // PCI and SCSI addresses have colons of their own, so that only a colon before a blank (or at the end) divides.
    let file = line
        .split_once(": ")
        .or_else(|| line.strip_suffix(':').map(|path| (path, "")));
    let (path, entry) = match (file, line.split_once(" -> ")) {
        (Some((path, contents)), None) => (path, Entry::File(contents.split(" | ").map(unescape).collect())),
        (None, Some((path, target))) if !target.is_empty() => (path, Entry::Link(target.to_owned())),
        _ => return None,
    };
    let is_path = |path: &str| {
        path.split('/')
            .all(|name| !matches!(name, "" | "." | "..") && !name.contains(' '))
    };
    is_path(path).then_some((path, entry))
}

fn unescape(content: &str) -> String {
    content.trim().replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MACHINE: &str = "
        # a comment
        sys/class/hwmon/hwmon0 -> ../../devices/pci0000:00/0000:00:18.3/hwmon/hwmon0
        sys/devices/pci0000:00/0000:00:18.3/hwmon/hwmon0/name: k10temp
        sys/devices/pci0000:00/0000:00:18.3/hwmon/hwmon0/device -> ../../../0000:00:18.3
        sys/devices/pci0000:00/0000:00:18.3/hwmon/hwmon0/temp1_input: 1 | 2\\n3
        sys/empty:
        sys/loop -> loop
    ";

    #[test]
    fn files_are_reached_through_links() {
        let machine = Manifest::parse(MACHINE).expect("is a manifest");
        let check = |path: &str, expected: Result<&str, io::ErrorKind>| {
            assert_eq!(
                machine.read(path).as_deref().map_err(io::Error::kind),
                expected,
                "{path}"
            );
        };
        check("sys/class/hwmon/hwmon0/name", Ok("k10temp\n"));
        check("sys/class/hwmon/hwmon0/device/hwmon/hwmon0/name", Ok("k10temp\n"));
        check("sys/empty", Ok("\n"));
        check("sys/absent", Err(io::ErrorKind::NotFound));
        check("sys/class/hwmon/hwmon0", Err(io::ErrorKind::NotFound));
        check("sys/loop", Err(io::ErrorKind::InvalidInput));
    }

    #[test]
    fn contents_are_given_in_turn() {
        let machine = Manifest::parse(MACHINE).expect("is a manifest");
        let read = || machine.read("sys/class/hwmon/hwmon0/temp1_input").expect("can be read");
        assert_eq!([read(), read(), read()], ["1\n", "2\n3\n", "1\n"]);
    }

    #[test]
    fn directories_and_links_are_told() {
        let machine = Manifest::parse(MACHINE).expect("is a manifest");
        assert_eq!(
            machine.list("sys/class/hwmon/hwmon0").expect("a directory"),
            ["name", "device", "temp1_input"]
        );
        assert_eq!(
            machine.list("sys").expect("a directory"),
            ["loop", "class", "empty", "devices"]
        );
        assert_eq!(
            machine.list("sys/empty").map_err(|error| error.kind()),
            Err(io::ErrorKind::NotFound)
        );
        assert_eq!(
            machine.link_name("sys/class/hwmon/hwmon0/device").expect("a link"),
            "0000:00:18.3"
        );
        assert!(machine.link_name("sys/empty").is_err());
    }

    #[test]
    fn a_bad_line_is_named() {
        let check = |text: &str, line: usize| {
            let error = Manifest::parse(text).expect_err("is no manifest");
            assert_eq!(error.line, line, "{text:?}");
        };
        check("sys/name: x\n\nneither", 3);
        check("sys/../name: x", 1);
        check("/sys/name: x", 1);
        check("a path: x", 1);
        check("link -> ", 1);
        check(": x", 1);
    }

    proptest! {
        #[test]
        fn any_text_is_a_manifest_or_an_error_that_names_its_line(
            text in "(.*\n|[a-z/.]{0,9}(: | -> )[a-z/. |]{0,9}\n){0,5}"
        ) {
            match Manifest::parse(&text) {
                Ok(machine) => {
                    // Behind a link that stands above it a file may be out of reach.
                    let has_link = machine.entries().any(|(_, entry)| matches!(entry, Entry::Link(_)));
                    for (path, _) in machine.entries() {
                        prop_assert!(machine.read(path).is_ok() || has_link, "{path}");
                    }
                }
                Err(error) => {
                    let line = text.lines().nth(error.line - 1).map(str::trim);
                    prop_assert_eq!(line, Some(error.text.as_str()));
                }
            }
        }
    }
}
