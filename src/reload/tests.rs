//! The reloader, with loads that are numbered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use super::*;
use crate::items::ParseOptions;
use crate::metrics::Format;
use crate::snapshot::Settings;
use crate::source::Location;

/// A reloader of `location`, whose loads are numbered from 0.
fn reloader(
    location: Location,
    registry: &Registry,
    at_load: impl Fn(usize) + Send + 'static,
) -> (Reloader, Publisher) {
    let compile = Settings {
        codings: Vec::new(),
        cache_control: "no-cache".to_owned(),
        version: "0",
        is_sample: false,
        base_path: String::new(),
    };
    let publisher = Publisher::new(Snapshot::pending(&compile));
    let loading = Loading {
        format: None,
        parse: ParseOptions::default(),
        compile,
    };
    let source = Source::new(location, u64::MAX);
    let mut reloader = Reloader::new(source, loading, Guards::default(), publisher.clone(), registry);
    let loads = AtomicUsize::new(0);
    reloader.loader = Box::new(move |source, loading, ask, opened| {
        // Relaxed: one thread loads.
        at_load(loads.fetch_add(1, Ordering::Relaxed));
        load(source, loading, &Ask { same: None, ..*ask }, opened)
    });
    (reloader, publisher)
}

#[test]
fn a_load_that_panics_is_a_failure_and_the_next_one_goes_on() {
    let registry = Registry::new();
    let at_load = |number| assert_ne!(number, 1, "the second load");
    let (mut reloader, publisher) = reloader(Location::Sample, &registry, at_load);
    let (triggers, triggered) = channel();
    reloader.load_first(&triggered).unwrap();
    let served = publisher.current();
    let reloads = reloader.handle(triggers);
    let thread = thread::spawn(move || reloader.run(&triggered));
    let reports = actix_rt::System::new().block_on(async {
        [
            reloads.reload(false).await.unwrap(),
            reloads.reload(false).await.unwrap(),
        ]
    });
    assert_eq!(reports[0].outcome, Outcome::Failure);
    let error = reports[0].error.as_ref().unwrap();
    assert!(error.to_string().contains("the second load"), "{error}");
    assert_eq!((error.exit_code(), error.is_bad_data()), (crate::exit::SOFTWARE, false));
    assert_eq!(reports[1].outcome, Outcome::Unchanged);
    assert!(Arc::ptr_eq(&publisher.current(), &served));
    let mut text = Vec::new();
    registry.render(Format::negotiate(None), &mut text);
    let text = String::from_utf8(text).unwrap();
    for series in [
        "janus_reloads_total{result=\"failure\"} 1",
        "janus_reloads_total{result=\"unchanged\"} 1",
        "janus_reload_in_progress_seconds 0",
    ] {
        assert!(text.contains(series), "{series} is not in {text}");
    }
    drop(reloads);
    thread.join().unwrap();
}

#[test]
fn a_first_load_that_panics_is_an_error() {
    let (mut reloader, _publisher) = reloader(Location::Sample, &Registry::new(), |_| panic!("at once"));
    let (_triggers, triggered) = channel();
    let error = reloader.load_first(&triggered).unwrap_err();
    assert_eq!(error.exit_code(), crate::exit::SOFTWARE);
}

#[test]
fn a_start_in_the_middle_of_a_write_waits_for_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    std::fs::write(&path, "[1,").unwrap();
    let (triggers, triggered) = channel();
    // When it has been found bad, its writer goes on. That the watch tells of that is shown elsewhere.
    let goes_on = {
        let (path, triggers) = (path.clone(), triggers.clone());
        move |number| {
            if number == 1 {
                std::fs::write(&path, "[1,2]").unwrap();
            } else {
                triggers.send(Trigger::Requested).unwrap();
            }
        }
    };
    let (mut reloader, publisher) = reloader(Location::File(path), &Registry::new(), goes_on);
    reloader.watch(None, triggers);
    reloader.load_first(&triggered).unwrap();
    assert_eq!(publisher.current().items_count(), 2);
}

#[test]
fn a_start_with_bad_data_that_nobody_writes_fails() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    std::fs::write(&path, "[1,").unwrap();
    let (triggers, triggered) = channel();
    let (mut reloader, _publisher) = reloader(Location::File(path), &Registry::new(), |_| {});
    reloader.watch(None, triggers);
    assert!(reloader.load_first(&triggered).unwrap_err().is_bad_data());
}
