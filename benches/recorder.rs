//! The recorder beside its peers: what one record costs, with one thread and with two, and what a scrape costs.
//!
//! The subjects of a measurement take turns, round after round, so that a busy machine is busy for all of them; the
//! table at the end has the median over the rounds and the ratio to Janus. `cargo bench --bench recorder`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use janus::metrics::{Format, Recorder, Registry};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

const ROUNDS: usize = 7;
/// Criterion asks for few where the start of the threads takes most of the time; their first steps are not the matter.
const LEAST_ITERATIONS: u64 = 1 << 18;
const BOUNDS: [f64; 15] = [
    5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

/// Counts allocations, to say of a scrape that it makes none.
struct CountingAllocator;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[allow(unsafe_code)] // The trait is unsafe; both calls are handed on as they came.
// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Nanoseconds of one operation, by measurement and subject, one value a round.
#[derive(Default)]
struct Table(BTreeMap<(String, usize, String), Vec<f64>>);

impl Table {
    fn print(&self) {
        let median = |rounds: &[f64]| {
            let mut rounds = rounds.to_vec();
            rounds.sort_by(f64::total_cmp);
            rounds[rounds.len() / 2]
        };
        println!("\n| operation | subject | median ns | least ns | ratio to janus, median of the rounds |");
        println!("|---|---|---|---|---|");
        for ((operation, order, subject), rounds) in &self.0 {
            let janus = self
                .0
                .iter()
                .find(|((other, first, _), _)| other == operation && *first == 0);
            let janus = janus.expect("the first subject of every measurement is Janus").1;
            let ratios: Vec<f64> = rounds.iter().zip(janus).map(|(theirs, ours)| theirs / ours).collect();
            let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
            let ratio = if *order == 0 {
                "1".to_owned()
            } else {
                format!("{:.2}", median(&ratios))
            };
            println!(
                "| {operation} | {subject} | {:.2} | {least:.2} | {ratio} |",
                median(rounds)
            );
        }
    }
}

type Subject<'a> = (&'static str, &'a (dyn Fn(u64) + Sync));

/// Runs every subject by turns; a subject is a function that does `iterations` operations.
fn measure(criterion: &mut Criterion, table: &mut Table, operation: &str, threads: usize, subjects: &[Subject<'_>]) {
    let operation = format!("{operation}, {threads} thread{}", if threads == 1 { "" } else { "s" });
    for round in 0..ROUNDS {
        for (order, (name, subject)) in subjects.iter().enumerate() {
            let mut total = (Duration::ZERO, 0);
            criterion.bench_function(&format!("{operation}/{name}/{round}"), |bencher| {
                bencher.iter_custom(|iterations| {
                    let done = iterations.max(LEAST_ITERATIONS);
                    let elapsed = time(threads, || subject(done));
                    total = (total.0 + elapsed, total.1 + done);
                    elapsed.mul_f64(iterations as f64 / done as f64)
                });
            });
            if total.1 == 0 {
                // Filtered out on the command line.
                continue;
            }
            let ns = total.0.as_nanos() as f64 / total.1 as f64;
            table
                .0
                .entry((operation.clone(), order, (*name).to_owned()))
                .or_default()
                .push(ns);
        }
    }
}

/// The longest time of `threads` threads that all start at one moment.
fn time(threads: usize, work: impl Fn() + Sync) -> Duration {
    let start = Barrier::new(threads);
    let run = || {
        start.wait();
        cpu_time_of(&work)
    };
    if threads == 1 {
        return run();
    }
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no subject panics"))
            .max()
            .unwrap_or_default()
    })
}

/// Processor time of this thread. Unlike the clock on the wall it does not count what other programs did meanwhile;
/// it counts waiting for a cache line, but not sleeping for a lock, which favours the peers that have one.
fn cpu_time_of(work: impl Fn()) -> Duration {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(
            time.tv_sec.unsigned_abs(),
            u32::try_from(time.tv_nsec).expect("less than a second"),
        )
    };
    let begin = now();
    work();
    now() - begin
}

/// Does the operation, whose result is not optimised away.
fn each<R>(iterations: u64, operation: impl Fn(u64) -> R) {
    (0..iterations).for_each(|n| {
        black_box(operation(n));
    });
}

fn counters(criterion: &mut Criterion, table: &mut Table) {
    let registry = Arc::new(Registry::new());
    let janus = registry.counter("c_total", &[]).unwrap();
    let ours = Recorder::new(Arc::clone(&registry));
    let facade = metrics::with_local_recorder(&ours, || metrics::counter!("facade_total"));
    let exporter: PrometheusRecorder = PrometheusBuilder::new().build_recorder();
    let theirs = metrics::with_local_recorder(&exporter, || metrics::counter!("facade_total"));
    let client = prometheus_client::metrics::counter::Counter::<u64>::default();
    let fast = fastmetrics::metrics::counter::Counter::<u64>::default();
    let metriken = metriken::Counter::new();
    for threads in [1, 2] {
        measure(
            criterion,
            table,
            "counter",
            threads,
            &[
                ("janus", &|n| each(n, |_| black_box(&janus).increment(1))),
                ("janus through the facade", &|n| {
                    each(n, |_| black_box(&facade).increment(1))
                }),
                ("metrics-exporter-prometheus", &|n| {
                    each(n, |_| black_box(&theirs).increment(1))
                }),
                ("prometheus-client", &|n| each(n, |_| black_box(&client).inc())),
                ("metriken", &|n| each(n, |_| black_box(&metriken).increment())),
                ("fastmetrics", &|n| each(n, |_| black_box(&fast).inc())),
            ],
        );
        measure(
            criterion,
            table,
            "counter by macro",
            threads,
            &[
                ("janus", &|n| {
                    metrics::with_local_recorder(&ours, || {
                        each(n, |_| metrics::counter!("m_total", "k" => "v").increment(1))
                    })
                }),
                ("metrics-exporter-prometheus", &|n| {
                    metrics::with_local_recorder(&exporter, || {
                        each(n, |_| metrics::counter!("m_total", "k" => "v").increment(1));
                    });
                }),
            ],
        );
    }
    assert!(text(&registry).contains("\nc_total "), "what was measured is exposed");
}

fn gauges(criterion: &mut Criterion, table: &mut Table) {
    let registry = Arc::new(Registry::new());
    let janus = registry.gauge("g", &[]).unwrap();
    let ours = Recorder::new(Arc::clone(&registry));
    let facade = metrics::with_local_recorder(&ours, || metrics::gauge!("facade"));
    let exporter: PrometheusRecorder = PrometheusBuilder::new().build_recorder();
    let theirs = metrics::with_local_recorder(&exporter, || metrics::gauge!("facade"));
    let client = prometheus_client::metrics::gauge::Gauge::<f64, AtomicU64>::default();
    let fast = fastmetrics::metrics::gauge::Gauge::<f64>::default();
    let metriken = metriken::Gauge::new();
    for threads in [1, 2] {
        measure(
            criterion,
            table,
            "gauge set",
            threads,
            &[
                ("janus", &|n| each(n, |i| black_box(&janus).set(i as f64))),
                ("janus through the facade", &|n| {
                    each(n, |i| black_box(&facade).set(i as f64))
                }),
                ("metrics-exporter-prometheus", &|n| {
                    each(n, |i| black_box(&theirs).set(i as f64))
                }),
                ("prometheus-client", &|n| each(n, |i| black_box(&client).set(i as f64))),
                ("metriken", &|n| each(n, |i| black_box(&metriken).set(i as i64))),
                ("fastmetrics", &|n| each(n, |i| black_box(&fast).set(i as f64))),
            ],
        );
    }
}

fn histograms(criterion: &mut Criterion, table: &mut Table) {
    let registry = Arc::new(Registry::new());
    let janus = registry.histogram("h_seconds", &[]).unwrap();
    let ours = Recorder::new(Arc::clone(&registry));
    let facade = metrics::with_local_recorder(&ours, || metrics::histogram!("facade_seconds"));
    let client = prometheus_client::metrics::histogram::Histogram::new(BOUNDS);
    let fast = fastmetrics::metrics::histogram::Histogram::new(BOUNDS);
    let metriken = metriken::AtomicCounterHistogram::new(3, 40);
    // Latencies over five orders of magnitude in an order that no branch predictor knows.
    let mut state = 1u64;
    let ns: Vec<u64> = (0..4096)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (2f64.powf(10.0 + 17.0 * (state >> 11) as f64 / (1u64 << 53) as f64)) as u64
        })
        .collect();
    let seconds: Vec<f64> = ns.iter().map(|ns| *ns as f64 / 1e9).collect();
    let (ns, seconds) = (|i: u64| ns[i as usize & 4095], |i: u64| seconds[i as usize & 4095]);
    for threads in [1, 2] {
        // The exporter keeps every observation until it is scraped or swept, so a bounded number goes into a fresh
        // one, and the making of it is a small part of the time.
        let exporter = |n: u64| {
            let mut left = n;
            while left > 0 {
                let recorder = PrometheusBuilder::new()
                    .set_buckets(&BOUNDS)
                    .expect("there are bounds")
                    .build_recorder();
                let theirs = metrics::with_local_recorder(&recorder, || metrics::histogram!("h_seconds"));
                let some = left.min(1 << 17);
                each(some, |i| black_box(&theirs).record(seconds(i)));
                left -= some;
            }
        };
        measure(
            criterion,
            table,
            "histogram",
            threads,
            &[
                ("janus, nanoseconds", &|n| {
                    each(n, |i| black_box(&janus).record_ns(ns(i)))
                }),
                ("janus, seconds", &|n| each(n, |i| black_box(&janus).record(seconds(i)))),
                ("janus through the facade", &|n| {
                    each(n, |i| black_box(&facade).record(seconds(i)))
                }),
                ("metrics-exporter-prometheus", &exporter),
                ("prometheus-client", &|n| {
                    each(n, |i| black_box(&client).observe(seconds(i)))
                }),
                ("metriken", &|n| each(n, |i| black_box(&metriken).increment(ns(i)))),
                ("fastmetrics", &|n| each(n, |i| black_box(&fast).observe(seconds(i)))),
            ],
        );
    }
}

/// Labels of prometheus-client and fastmetrics in the scrape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Labels([(&'static str, String); 1]);

impl prometheus_client::encoding::EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

impl fastmetrics::raw::LabelSetSchema for Labels {
    fn names() -> Option<&'static [&'static str]> {
        Some(&["n"])
    }
}

impl fastmetrics::encoder::EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut dyn fastmetrics::encoder::LabelSetEncoder) -> fastmetrics::error::Result<()> {
        self.0.encode(encoder)
    }
}

/// A scrape of as many counters as there are lines, recorded to by two threads.
fn scrapes(criterion: &mut Criterion, table: &mut Table, lines: usize) {
    let registry = Arc::new(Registry::new());
    let exporter = PrometheusBuilder::new().build_recorder();
    let handle = exporter.handle();
    let client_family =
        prometheus_client::metrics::family::Family::<Labels, prometheus_client::metrics::counter::Counter>::default();
    let mut client = prometheus_client::registry::Registry::default();
    client.register("c", "Help", client_family.clone());
    let fast_family = fastmetrics::metrics::family::Family::<Labels, fastmetrics::metrics::counter::Counter>::default();
    let mut fast = fastmetrics::registry::Registry::default();
    fast.register("c", "Help", fast_family.clone())
        .expect("the name is free");
    let fill = || {
        for n in 0..lines {
            let (label, amount) = (n.to_string(), 1_000 * n as u64 + 1);
            registry.counter("c_total", &[("n", &label)]).unwrap().increment(amount);
            metrics::with_local_recorder(&exporter, || {
                metrics::counter!("c_total", "n" => label.clone()).increment(amount);
            });
            client_family
                .get_or_create(&Labels([("n", label.clone())]))
                .inc_by(amount);
            fast_family.with_or_new(&Labels([("n", label)]), |counter| counter.inc_by(amount));
        }
    };
    fill();
    thread::scope(|scope| scope.spawn(fill).join().expect("registration does not panic"));
    let ours = std::cell::RefCell::new(Vec::new());
    let janus = |format: Format| {
        let mut ours = ours.borrow_mut();
        ours.clear();
        registry.render(format, &mut ours);
        ours.len()
    };
    let client_text = || {
        let mut out = String::new();
        prometheus_client::encoding::text::encode(&mut out, &client).expect("memory takes it");
        out.len()
    };
    let fast_text = || {
        let mut out = String::new();
        let profile = fastmetrics::format::text::TextProfile::default();
        fastmetrics::format::text::encode(&mut out, &fast, profile).expect("memory takes it");
        out.len()
    };
    [Format::Text, Format::OpenMetrics, Format::Protobuf]
        .into_iter()
        .for_each(|format| {
            janus(format);
        });
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    janus(Format::Text);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    println!("allocations of one scrape of {lines} lines: {allocations}");
    let subjects: [(&str, &dyn Fn() -> usize); 6] = [
        ("janus, text", &|| janus(Format::Text)),
        ("janus, OpenMetrics", &|| janus(Format::OpenMetrics)),
        ("janus, protobuf", &|| janus(Format::Protobuf)),
        ("metrics-exporter-prometheus", &|| handle.render().len()),
        ("prometheus-client", &client_text),
        ("fastmetrics", &fast_text),
    ];
    let operation = format!("scrape of {lines} lines");
    for round in 0..ROUNDS {
        for (order, (name, scrape)) in subjects.iter().enumerate() {
            assert!(scrape() > lines * 10, "{name} writes every line");
            let mut total = (Duration::ZERO, 0);
            criterion.bench_function(&format!("{operation}/{name}/{round}"), |bencher| {
                bencher.iter_custom(|iterations| {
                    let elapsed = cpu_time_of(|| {
                        for _ in 0..iterations {
                            black_box(scrape());
                        }
                    });
                    total = (total.0 + elapsed, total.1 + iterations);
                    elapsed
                });
            });
            if total.1 == 0 {
                // Filtered out on the command line.
                continue;
            }
            let ns = total.0.as_nanos() as f64 / total.1 as f64;
            table
                .0
                .entry((operation.clone(), order, (*name).to_owned()))
                .or_default()
                .push(ns);
        }
    }
}

fn text(registry: &Registry) -> String {
    let mut out = Vec::new();
    registry.render(Format::Text, &mut out);
    String::from_utf8(out).expect("the text format is UTF-8")
}

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(10)
        .nresamples(1001)
        .warm_up_time(Duration::from_millis(20))
        .measurement_time(Duration::from_millis(100))
        .configure_from_args();
    let mut table = Table::default();
    counters(&mut criterion, &mut table);
    gauges(&mut criterion, &mut table);
    histograms(&mut criterion, &mut table);
    for lines in [100, 10_000] {
        scrapes(&mut criterion, &mut table, lines);
    }
    criterion.final_summary();
    table.print();
}
