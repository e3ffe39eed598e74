//! A sampler on a fixture machine, and the clock that it goes by.

use std::{
    fs,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use janus::{
    hardware::{
        HardwareConfig, Sampler,
        sampler::{Moment, THREAD_NAME},
    },
    metrics::{Format, Registry},
};

use crate::machine::MachineDir;

/// How long a thread that works may take before the test calls it stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// When the clock of these tests began, in seconds since the epoch.
const BEGAN: f64 = 1_700_000_000.0;

/// The samples of a registry's exposition whose line begins so.
pub(crate) fn exposed(registry: &Registry, prefix: &str) -> Vec<String> {
    let mut text = Vec::new();
    registry.render(Format::Text, &mut text);
    let text = String::from_utf8(text).expect("an exposition is UTF-8");
    // The registry counts its own refusals; they are no hardware.
    let samples = text
        .lines()
        .filter(|line| !line.starts_with(['#', '\n']) && !line.starts_with("janus_metrics_"));
    samples
        .filter(|line| line.starts_with(prefix))
        .map(str::to_owned)
        .collect()
}

/// The sensors of this machine, otherwise as by default.
pub(crate) fn config_of(machine: &MachineDir) -> HardwareConfig {
    HardwareConfig {
        sysfs_root: machine.path("sys"),
        procfs_root: machine.path("proc"),
        ..HardwareConfig::default()
    }
}

/// Moments that a test sends; it is told when the thread is done with the last and asks for the next.
struct Steps {
    asks: Sender<()>,
    moments: Receiver<Moment>,
}

impl Iterator for Steps {
    type Item = Moment;

    fn next(&mut self) -> Option<Moment> {
        assert_eq!(
            thread::current().name(),
            Some(THREAD_NAME),
            "only the named thread samples"
        );
        // The test may have ended: then there is no moment either.
        let _ = self.asks.send(());
        self.moments.recv().ok()
    }
}

/// The sampler, its machine and its clock.
pub(crate) struct Rig {
    pub(crate) machine: MachineDir,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) registry: Arc<Registry>,
    moments: Sender<Moment>,
    asked: Receiver<()>,
}

impl Rig {
    pub(crate) fn on(fixture: &str) -> Self {
        let machine = MachineDir::of_fixture(fixture);
        let registry = Arc::new(Registry::new());
        let (moments, received) = mpsc::channel();
        let (asks, asked) = mpsc::channel();
        let steps = Steps {
            asks,
            moments: received,
        };
        let sampler = Sampler::start_at(steps, config_of(&machine), Arc::clone(&registry)).expect("a thread");
        let rig = Self {
            machine,
            sampler: Some(sampler),
            registry,
            moments,
            asked,
        };
        rig.await_idle();
        rig
    }

    /// Takes one sample, so many seconds after the first was due.
    pub(crate) fn sample(&self, seconds: u32) {
        self.begin_sample(seconds);
        self.await_idle();
    }

    pub(crate) fn begin_sample(&self, seconds: u32) {
        let elapsed = Duration::from_secs(u64::from(seconds));
        let moment = Moment {
            elapsed,
            unix_seconds: BEGAN + f64::from(seconds),
        };
        self.moments.send(moment).expect("the thread runs");
    }

    pub(crate) fn await_idle(&self) {
        self.asked
            .recv_timeout(PATIENCE)
            .expect("the thread asks for the next moment");
    }

    /// Ends the moments, and waits until the thread has ended too.
    pub(crate) fn end(self) {
        let Self { moments, asked, .. } = self;
        drop(moments);
        assert_eq!(
            asked.recv_timeout(PATIENCE),
            Err(RecvTimeoutError::Disconnected),
            "the thread has ended"
        );
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.machine.path(path);
        fs::create_dir_all(path.parent().expect("is below a directory")).expect("can be created");
        fs::write(path, content).expect("can be written");
    }

    /// These are the exposed samples that begin so.
    pub(crate) fn check(&self, prefix: &str, expected: &[&str]) {
        assert_eq!(exposed(&self.registry, prefix), expected, "{prefix}");
    }
}
