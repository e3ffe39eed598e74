//! What the sampler says in the log when it starts.
//!
//! A program of its own with one test: whether a log call is heard is decided once for the whole process when the call
//! is first reached, and a test beside this one that starts a sampler could reach it while this one begins to listen.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use janus::{
    hardware::{HardwareConfig, Mode, Sampler},
    metrics::Registry,
};

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nothing panicked with it").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn only_a_simulation_warns_at_start_that_nothing_is_measured() {
    let machine = tempfile::tempdir().expect("a temporary directory");
    let check = |mode: Mode, expected: bool| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        let root = |name: &str| -> PathBuf { machine.path().join(name) };
        let config = HardwareConfig {
            mode,
            sysfs_root: root("sys"),
            procfs_root: root("proc"),
            ..HardwareConfig::default()
        };
        tracing::subscriber::with_default(subscriber, || {
            drop(Sampler::start(config, Arc::new(Registry::new())).expect("a thread"));
        });
        let log = String::from_utf8(log.0.lock().expect("nothing panicked with it").clone()).expect("is UTF-8");
        let warns = log.contains("WARN") && log.contains("hardware sensors are simulated");
        assert_eq!(warns, expected, "{mode:?}: {log:?}");
    };
    check(Mode::Simulated, true);
    check(Mode::Real, false);
    check(Mode::Off, false);
}
