//! Sources: real files of every kind, and changes as editors and Kubernetes make them.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use janus::source::watch::Watch;
use janus::source::{Extent, Location, Source, SourceError};

const LIMIT: u64 = 1 << 20;

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn file(directory: &tempfile::TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let mut input = Source::new(Location::File(path.to_owned()), LIMIT).open()?;
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(SourceError::from_io)?;
    input.finish()?;
    Ok(bytes)
}

#[test]
fn compression_is_told_by_the_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[\"Åland\"]\n".repeat(1_000).into_bytes();
    let skippable = [&b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"[..], &zstd(&text)].concat();
    let (half, rest) = text.split_at(777);
    for (name, content) in [
        ("plain.json", text.clone()),
        ("a.json.gz", gzip(&text)),
        ("b.json.zst", zstd(&text)),
        ("unnamed", gzip(&text)),
        ("skippable.json.zst", skippable),
        ("members.json.gz", [gzip(half), gzip(rest)].concat()),
        ("frames.json.zst", [zstd(half), zstd(rest)].concat()),
    ] {
        let path = file(&directory, name, &content);
        assert_eq!(read(&path).unwrap(), text, "{name}");
    }
}

#[test]
fn damaged_data_is_never_a_short_success() {
    let directory = tempfile::tempdir().unwrap();
    let text: Vec<u8> = (0..20_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    for (name, whole) in [("a.gz", gzip(&text)), ("b.zst", zstd(&text))] {
        for length in [5, whole.len() / 2, whole.len() - 1] {
            let error = read(&file(&directory, name, &whole[..length])).unwrap_err();
            assert!(
                matches!(error, SourceError::Damaged { .. }) && error.is_bad_data(),
                "{name} of {length}: {error}"
            );
        }
        let error = read(&file(&directory, name, &[&whole[..], b"trailing"].concat())).unwrap_err();
        assert!(matches!(error, SourceError::Damaged { .. }), "{name} and more: {error}");
        let error = read(&file(&directory, name, b"[1]")).unwrap_err();
        assert!(
            matches!(error, SourceError::NotCompressed { .. }),
            "{name} that is none: {error}"
        );
    }
}

#[test]
fn the_limit_holds_after_decompression() {
    let directory = tempfile::tempdir().unwrap();
    let bomb = vec![b' '; LIMIT as usize + 1];
    for (name, content) in [
        ("a.json", bomb.clone()),
        ("a.json.gz", gzip(&bomb)),
        ("a.json.zst", zstd(&bomb)),
    ] {
        let error = read(&file(&directory, name, &content)).unwrap_err();
        assert!(
            matches!(error, SourceError::TooLarge { bytes_max: LIMIT, .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("--max-data-bytes"));
    }
    assert_eq!(
        read(&file(&directory, "b.json", &bomb[1..])).unwrap().len(),
        LIMIT as usize
    );
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        read(&directory.path().join("missing.json")),
        Err(SourceError::NotFound { .. })
    ));
    assert!(matches!(
        read(directory.path()),
        Err(SourceError::NotAFile {
            what: "a directory",
            ..
        })
    ));
    let fifo = directory.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(matches!(
        read(&fifo),
        Err(SourceError::NotAFile {
            what: "a pipe or device",
            ..
        })
    ));
    assert!(matches!(
        read(Path::new("/dev/zero")),
        Err(SourceError::NotAFile { .. })
    ));
    symlink("nowhere", directory.path().join("dangling")).unwrap();
    assert!(matches!(
        read(&directory.path().join("dangling")),
        Err(SourceError::NotFound { .. })
    ));
}

#[test]
fn the_extension_is_that_of_the_data() {
    for (name, extension) in [
        ("a.json", Some("json")),
        ("a.JSON", Some("json")),
        ("a.ndjson.gz", Some("ndjson")),
        ("a.b.csv.zst", Some("csv")),
        ("a.gz", None),
        ("a", None),
        (".gz", None),
    ] {
        let source = Source::new(Location::File(name.into()), LIMIT);
        assert_eq!(source.extension().as_deref(), extension, "{name}");
    }
    assert_eq!(
        Source::new(Location::Sample, LIMIT).extension().as_deref(),
        Some("json")
    );
    assert_eq!(Source::new(Location::Stdin, LIMIT).extension(), None);
}

#[test]
fn a_revision_is_that_of_the_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "a.json", b"[1]");
    let source = Source::new(Location::File(path.clone()), LIMIT);
    let read_revision = || {
        let mut input = source.open().unwrap();
        std::io::copy(&mut input, &mut std::io::sink()).unwrap();
        input.finish().unwrap()
    };
    let first = read_revision();
    std::fs::write(&path, b"[2]").unwrap();
    assert_ne!(read_revision(), first);
    std::fs::write(&path, b"[1]").unwrap();
    assert_eq!(read_revision(), first);
}

#[test]
fn what_has_grown_is_read_as_far_as_it_was_and_begins_as_it_did() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "a.ndjson", b"1\n2\n");
    let source = Source::new(Location::File(path.clone()), LIMIT);
    let read_grown = |known| {
        let mut input = source.open_extent(Extent::Grown, known)?;
        append(&path, b"and more meanwhile\n");
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(SourceError::from_io)?;
        Ok::<_, SourceError>((bytes, input.finish()?))
    };
    let (bytes, known) = read_grown(None).unwrap();
    assert_eq!(bytes, b"1\n2\n");
    let (bytes, longer) = read_grown(Some(known)).unwrap();
    assert_eq!(bytes, b"1\n2\nand more meanwhile\n");
    assert_ne!(longer, known);
    // Written anew, and longer than before: nothing of it counts.
    std::fs::write(&path, b"1\n3\nand more than that, and more, and more\n").unwrap();
    assert!(matches!(read_grown(Some(known)), Err(SourceError::Rewritten { .. })));
    // Written anew, and not yet as long.
    std::fs::write(&path, b"1\n").unwrap();
    assert!(matches!(read_grown(Some(known)), Err(SourceError::Rewritten { .. })));
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn a_file_is_refused_by_its_size_before_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "sparse.json", b"");
    // Reading it would take hours.
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(8 << 40)
        .unwrap();
    let source = Source::new(Location::File(path), LIMIT);
    assert!(matches!(source.open(), Err(SourceError::TooLarge { .. })));
}

#[test]
fn a_read_is_given_up_when_the_file_changes_under_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "a.json", b"[");
    let length: u64 = 8 << 30;
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length)
        .unwrap();
    let mut input = Source::new(Location::File(path.clone()), u64::MAX).open().unwrap();
    let mut chunk = vec![0; 1 << 20];
    input.read_exact(&mut chunk).unwrap();
    std::fs::write(path.with_extension("new"), b"[2]").unwrap();
    std::fs::rename(path.with_extension("new"), &path).unwrap();
    let mut read = 0;
    let error = loop {
        match input.read(&mut chunk) {
            Ok(length) => read += length as u64,
            Err(error) => break SourceError::from_io(error),
        }
    };
    assert!(matches!(error, SourceError::Changed { .. }), "{error}");
    assert!(
        read < length / 64,
        "{read} bytes were read of what is not there any more"
    );
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "a.json", b"[1]");
    let change: [fn(&Path); 3] = [
        |path| append(path, b" "),
        |path| {
            std::fs::write(path.with_extension("new"), b"[2]").unwrap();
            std::fs::rename(path.with_extension("new"), path).unwrap();
        },
        |path| std::fs::remove_file(path).unwrap(),
    ];
    for change in change {
        std::fs::write(&path, b"[1]").unwrap();
        let mut input = Source::new(Location::File(path.clone()), LIMIT).open().unwrap();
        std::io::copy(&mut input, &mut std::io::sink()).unwrap();
        change(&path);
        assert!(matches!(input.finish(), Err(SourceError::Changed { .. })));
    }
}

#[test]
fn the_first_bytes_can_be_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "a.gz", &gzip(b"[1, 2]"));
    let mut input = Source::new(Location::File(path), LIMIT).open().unwrap();
    assert_eq!(input.peek(2).unwrap(), b"[1");
    let mut all = String::new();
    input.read_to_string(&mut all).unwrap();
    assert_eq!(all, "[1, 2]");
}

/// A watch whose calls can be waited for.
fn watch(path: &Path, poll_interval: Option<Duration>) -> (Watch, Receiver<()>) {
    let (sender, calls) = channel();
    let watch = Watch::start(path, poll_interval, move |_| sender.send(()).unwrap()).unwrap();
    (watch, calls)
}

#[track_caller]
fn wait(calls: &Receiver<()>) {
    calls.recv_timeout(PATIENCE).expect("the change is noticed");
}

/// After a change that counts no more calls than one are on their way: what came before it made none.
#[track_caller]
fn check_silence(calls: &Receiver<()>) {
    assert_eq!(
        calls.recv_timeout(Duration::from_millis(300)),
        Err(RecvTimeoutError::Timeout)
    );
}

#[test]
fn writes_in_place_and_renames_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "a.json", b"[1]");
    let (_watch, calls) = watch(&path, None);
    std::fs::write(&path, b"[2]").unwrap();
    wait(&calls);
    std::fs::write(directory.path().join("a.json.swp"), b"[3]").unwrap();
    std::fs::rename(directory.path().join("a.json.swp"), &path).unwrap();
    wait(&calls);
    std::fs::remove_file(&path).unwrap();
    wait(&calls);
    std::fs::write(&path, b"[4]").unwrap();
    wait(&calls);
    // Reading is no change, and neither is another file.
    std::fs::read(&path).unwrap();
    std::fs::write(directory.path().join("other.json"), b"[5]").unwrap();
    check_silence(&calls);
}

#[test]
fn the_swap_of_a_config_map_is_noticed() {
    // As the kubelet's atomic writer does it: a new directory, a new link, and a rename over the old link.
    let volume = tempfile::tempdir().unwrap();
    let root = volume.path();
    let publish = |name: &str, content: &[u8]| {
        std::fs::create_dir(root.join(name)).unwrap();
        std::fs::write(root.join(name).join("items.json"), content).unwrap();
        symlink(name, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    publish("..2026_01", b"[1]");
    symlink("..data/items.json", root.join("items.json")).unwrap();
    let path = root.join("items.json");
    let (_watch, calls) = watch(&path, None);
    for (old, new) in [("..2026_01", "..2026_02"), ("..2026_02", "..2026_03")] {
        publish(new, b"[2]");
        std::fs::remove_dir_all(root.join(old)).unwrap();
        wait(&calls);
    }
    // What stands behind the links is watched, too.
    std::fs::write(root.join("..2026_03/items.json"), b"[33]").unwrap();
    wait(&calls);
}

#[test]
fn links_on_the_way_are_watched() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for version in ["v1", "v2"] {
        std::fs::create_dir(root.join(version)).unwrap();
        std::fs::write(root.join(version).join("a.json"), version).unwrap();
    }
    symlink("v1", root.join("current")).unwrap();
    let (_watch, calls) = watch(&root.join("current/a.json"), None);
    symlink("v2", root.join("next")).unwrap();
    std::fs::rename(root.join("next"), root.join("current")).unwrap();
    wait(&calls);
}

#[test]
fn a_directory_that_comes_back_is_watched_again() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("a.json");
    std::fs::write(&path, b"[1]").unwrap();
    let (_watch, calls) = watch(&path, None);
    std::fs::remove_dir_all(&inner).unwrap();
    wait(&calls);
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(&path, b"[2]").unwrap();
    wait(&calls);
    while calls.recv_timeout(Duration::from_millis(300)).is_ok() {}
    std::fs::write(&path, b"[33]").unwrap();
    wait(&calls);
}

#[test]
fn a_directory_that_comes_late_is_watched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later/a.json");
    let (_watch, calls) = watch(&path, None);
    std::fs::create_dir(directory.path().join("later")).unwrap();
    std::fs::write(&path, b"[1]").unwrap();
    wait(&calls);
}

#[test]
fn a_file_that_is_never_quiet_is_looked_at_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "a.json", b"[1]");
    let (_watch, calls) = watch(&path, None);
    let mut number = 0_u64;
    while calls.try_recv().is_err() {
        number += 1;
        std::fs::write(&path, number.to_string()).unwrap();
    }
    assert!(number > 1);
}

#[test]
fn polling_notices_without_the_kernel() {
    let directory = tempfile::tempdir().unwrap();
    // A directory that is not there yet cannot be watched.
    let path = directory.path().join("later/a.json");
    let (_watch, calls) = watch(&path, Some(Duration::from_millis(100)));
    std::fs::create_dir(directory.path().join("later")).unwrap();
    std::fs::write(&path, b"[1]").unwrap();
    wait(&calls);
}
