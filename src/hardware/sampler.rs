//! The thread that reads the sensors.
//!
//! Owns the rhythm: a sample at every interval, a discovery every minute and when a sensor has gone. Sensors are read
//! on this one named thread and nowhere else, so that a read that hangs (a driver waiting for its firmware can) holds
//! up neither a worker nor a scrape nor the end of the program. What is then seen from outside is
//! `janus_hardware_last_sample_timestamp_seconds` standing still: the thread that hangs cannot say more, and nobody
//! else looks at the sensors.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use thiserror::Error;
use tracing::{debug, info, warn};

use super::{
    HardwareConfig, Mode,
    reading::Source,
    sensors::{Readings, Sensors},
    series::{FAMILIES, SeriesOfReadings},
    simulated,
    tree::{HostTree, Tree},
};
use crate::metrics::Registry;
use crate::metrics::collected::Samples;

/// The shortest interval between two samples: some drivers renew their value once a second
/// (kernel: `drivers/hwmon/coretemp.c`).
pub const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How long the list of sensors is used before the machine is looked over again.
pub const DISCOVERY_INTERVAL: Duration = Duration::from_secs(60);

/// The sampling thread's name, of at most the 15 bytes that Linux keeps of one.
pub const THREAD_NAME: &str = "janus-hardware";

/// Why the sampler could not be started.
#[derive(Debug, Error)]
pub enum SamplerError {
    /// The interval is below [`INTERVAL_MIN`].
    #[error("the interval between samples is {interval:?}; the least is {INTERVAL_MIN:?}")]
    IntervalTooShort {
        /// What was asked for.
        interval: Duration,
    },
    /// The thread could not be started.
    #[error("cannot start the thread {THREAD_NAME}: {0}")]
    Thread(#[from] io::Error),
}

/// When a sample is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Since the first sample was due, by a clock that never goes back.
    pub elapsed: Duration,
    /// Since the epoch, in seconds: what the timestamp metric says.
    pub unix_seconds: f64,
}

/// The running sampler. Dropping it ends the thread after the read it is at, without waiting for that read.
#[derive(Debug)]
pub struct Sampler {
    /// Dropped to tell the thread to end; `None` if there is no thread or its moments come from elsewhere.
    _stop: Option<Sender<()>>,
    first: Arc<FirstSample>,
}

impl Sampler {
    /// Starts the thread, which takes its first sample at once. With [`Mode::Off`] no thread is started and no series
    /// is published.
    ///
    /// # Errors
    /// When the interval is too short and when the system has no thread to give.
    pub fn start(config: HardwareConfig, registry: Arc<Registry>) -> Result<Self, SamplerError> {
        let HardwareConfig { interval, .. } = config;
        if interval < INTERVAL_MIN {
            return Err(SamplerError::IntervalTooShort { interval });
        }
        let (stop, stopped) = mpsc::channel();
        let sampler = Self::start_at(Ticks::new(interval, stopped), config, registry)?;
        Ok(Self {
            _stop: Some(stop),
            ..sampler
        })
    }

    /// Starts the thread with the moments of its samples given: one sample at each, and the end when there are no
    /// more. [`start`](Self::start) is this with the system's clocks.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start_at(
        moments: impl Iterator<Item = Moment> + Send + 'static,
        config: HardwareConfig,
        registry: Arc<Registry>,
    ) -> Result<Self, SamplerError> {
        let first = Arc::new(FirstSample::default());
        let tree: Box<dyn Tree> = match config.mode {
            Mode::Off => {
                first.set_taken();
                return Ok(Self { _stop: None, first });
            }
            Mode::Real => Box::new(HostTree::new(&config.sysfs_root, &config.procfs_root)),
            Mode::Simulated => {
                warn!("hardware sensors are simulated: no value of theirs was measured");
                Box::new(simulated::machine())
            }
        };
        let series = SeriesOfReadings::new(config.device_label, config.mode == Mode::Simulated);
        let published = Arc::<ArcSwap<Samples>>::default();
        let collected = Arc::clone(&published);
        let collect = move |samples: &mut Samples| {
            let published = collected.load();
            samples.extend(published.iter().map(|(id, value)| (id.clone(), *value)));
        };
        if let Err(error) = registry.collect(&FAMILIES, collect) {
            warn!(%error, "the hardware has no series");
        }
        let mut sampling = Sampling::new(tree, config.trust_vm, series, published);
        let taken = Arc::clone(&first);
        let sample = move || {
            for moment in moments {
                sampling.sample(moment);
                taken.set_taken();
            }
        };
        // Not joined, ever: a thread that hangs in a read would take the program's end with it.
        thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(sample)?;
        Ok(Self { _stop: None, first })
    }

    /// Waits until the first sample has been published, at most for `timeout`; whether it has been.
    #[must_use]
    pub fn wait_first(&self, timeout: Duration) -> bool {
        self.first.wait(timeout)
    }
}

/// Whether the first sample has been taken.
#[derive(Debug, Default)]
struct FirstSample {
    is_taken: Mutex<bool>,
    changed: Condvar,
}

impl FirstSample {
    fn set_taken(&self) {
        // Nothing panics while the lock is held; and a flag is whole at any time.
        *self.is_taken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn wait(&self, timeout: Duration) -> bool {
        let is_taken = self.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(is_taken, timeout, |is_taken| !*is_taken);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The moments of the system's clocks: the first at once, each further one an interval after the one before, until the
/// other end of `stopped` is dropped. A sample that takes longer than the interval delays the next and is not made up
/// for.
struct Ticks {
    interval: Duration,
    started: Instant,
    due: Duration,
    stopped: Receiver<()>,
}

impl Ticks {
    fn new(interval: Duration, stopped: Receiver<()>) -> Self {
        Self {
            interval,
            started: Instant::now(),
            due: Duration::ZERO,
            stopped,
        }
    }
}

impl Iterator for Ticks {
    type Item = Moment;

    fn next(&mut self) -> Option<Moment> {
        let wait = self.due.saturating_sub(self.started.elapsed());
        if !matches!(self.stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
            return None;
        }
        let elapsed = self.started.elapsed();
        self.due = elapsed + self.interval;
        // A clock before 1970 has no better name than the epoch.
        let unix_seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64();
        Some(Moment { elapsed, unix_seconds })
    }
}

/// What the thread does at each moment.
struct Sampling {
    tree: Box<dyn Tree>,
    trust_vm: bool,
    series: SeriesOfReadings,
    /// What scrapes collect until the next sample.
    published: Arc<ArcSwap<Samples>>,
    sensors: Sensors,
    discovered_at: Option<Duration>,
    is_up: [bool; Source::ALL.len()],
}

impl Sampling {
    fn new(tree: Box<dyn Tree>, trust_vm: bool, series: SeriesOfReadings, published: Arc<ArcSwap<Samples>>) -> Self {
        let sensors = Sensors::default();
        Self {
            tree,
            trust_vm,
            series,
            published,
            sensors,
            discovered_at: None,
            is_up: Default::default(),
        }
    }

    fn sample(&mut self, now: Moment) {
        let is_due = self
            .discovered_at
            .is_none_or(|at| now.elapsed.saturating_sub(at) >= DISCOVERY_INTERVAL);
        if is_due {
            self.discover(now);
        }
        let mut readings = self.sensors.read(&*self.tree);
        if readings.is_any_gone() && !is_due {
            self.discover(now);
            readings = self.sensors.read(&*self.tree);
        }
        self.report(&readings);
        let samples = self.series.after_sample(&readings, now.unix_seconds);
        self.published.store(Arc::new(samples));
    }

    fn discover(&mut self, now: Moment) {
        self.sensors = Sensors::discover(&*self.tree, self.trust_vm);
        if self.discovered_at.is_none() && self.sensors.is_temperature_withheld() {
            info!("CPU temperature is off: a virtual machine's is not to be trusted");
        }
        self.discovered_at = Some(now.elapsed);
    }

    /// Says in the log what changed; each failure itself only to who asks for it, for it may come at every sample.
    fn report(&mut self, readings: &Readings) {
        for failure in &readings.failures {
            debug!(%failure, "a sensor gave no value");
        }
        for (source, was_up) in Source::ALL.into_iter().zip(&mut self.is_up) {
            let is_up = readings.is_up(source);
            match (*was_up, is_up) {
                (false, true) => info!(source = source.as_str(), "sensors are read"),
                (true, false) => warn!(source = source.as_str(), "sensors have gone or cannot be read"),
                _ => {}
            }
            *was_up = is_up;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_an_interval_apart_until_they_are_stopped() {
        let interval = Duration::from_millis(2);
        let (stop, stopped) = mpsc::channel();
        let mut ticks = Ticks::new(interval, stopped);
        let elapsed: Vec<_> = ticks.by_ref().take(4).map(|moment| moment.elapsed).collect();
        assert!(
            elapsed.windows(2).all(|pair| pair[1] >= pair[0] + interval),
            "{elapsed:?}"
        );
        drop(stop);
        assert_eq!(ticks.next(), None);
    }

    #[test]
    fn a_stop_does_not_wait_for_the_interval() {
        let (stop, stopped) = mpsc::channel();
        let mut ticks = Ticks::new(Duration::from_secs(3600), stopped);
        assert!(
            ticks.next().is_some_and(|first| first.unix_seconds > 0.0),
            "the first is due at once"
        );
        drop(stop);
        assert_eq!(ticks.next(), None);
    }
}
