//! The pointer code with real threads: shards that change hands, registries that go, a thread's last moments.
//!
//! Miri runs these, and then a use of freed memory or a data race is an error, not luck.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use super::cell::{CellRef, FIRST_CHUNK};
use super::shard::Cells;
use super::sync::Ordering;
use super::table::{Full, Table};
use super::{Counter, Format, Registry};

fn add(cells: &Arc<Cells>, at: CellRef<1>, n: u64) {
    cells.write(at, |row| {
        row.add(0, n, Ordering::Relaxed);
    });
}

#[test]
fn a_thread_takes_the_shard_of_one_that_ended_and_its_values() {
    let cells = Arc::new(Cells::new());
    let at = cells.allocate_one().unwrap();
    for _ in 0..5 {
        let cells = Arc::clone(&cells);
        thread::spawn(move || add(&cells, at, 2)).join().unwrap();
    }
    assert_eq!((cells.sum_one(at), cells.shard_count()), (10, 1));
}

#[test]
fn threads_that_record_at_one_time_have_a_shard_each() {
    let cells = Arc::new(Cells::new());
    let at = cells.allocate_one().unwrap();
    thread::scope(|scope| {
        let (ready, wait) = mpsc::channel::<()>();
        let (done, all_done) = mpsc::channel();
        let waits = Arc::new(parking_lot::Mutex::new(wait));
        for _ in 0..3 {
            let (cells, done, waits) = (&cells, done.clone(), Arc::clone(&waits));
            scope.spawn(move || {
                add(cells, at, 1);
                done.send(()).unwrap();
                // Ends when the sender is dropped, which is after all three have recorded.
                let _ = waits.lock().recv();
            });
        }
        all_done.iter().take(3).for_each(drop);
        drop(ready);
    });
    assert_eq!((cells.sum_one(at), cells.shard_count()), (3, 3));
}

#[test]
fn one_thread_writes_to_many_registries_by_turns() {
    let all: Vec<_> = (0..4)
        .map(|_| {
            let cells = Arc::new(Cells::new());
            let at = cells.allocate_one().unwrap();
            (cells, at)
        })
        .collect();
    for round in 0..3 {
        for (n, (cells, at)) in all.iter().enumerate() {
            add(cells, *at, n as u64 + round);
        }
    }
    for (n, (cells, at)) in all.iter().enumerate() {
        assert_eq!((cells.sum_one(*at), cells.shard_count()), (3 * n as u64 + 3, 1));
    }
}

#[test]
fn registries_come_and_go_while_the_thread_stays() {
    for n in 1..20 {
        let cells = Arc::new(Cells::new());
        let at = cells.allocate_one().unwrap();
        add(&cells, at, n);
        assert_eq!(
            cells.sum_one(at),
            n,
            "a new registry at an old one's address starts at 0"
        );
    }
}

#[test]
fn a_thread_may_outlive_the_registry_or_drop_it_at_its_end() {
    let registry = Registry::with_max_series(32);
    let counter = registry.counter("c_total", &[]).unwrap();
    let (go, wait) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        counter.increment(1);
        let _ = wait.recv();
        counter.increment(1);
    });
    drop(registry);
    drop(go);
    thread.join().unwrap();
}

/// Records when the thread's locals are destroyed, and hands the result to nobody: the counter has it.
struct Last(Counter);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.increment(100);
    }
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

#[test]
fn what_a_thread_records_in_its_last_moments_counts() {
    let registry = Registry::with_max_series(32);
    let counter = registry.counter("c_total", &[]).unwrap();
    for record_before in [true, false] {
        let counter = counter.clone();
        thread::spawn(move || {
            // In one thread the destructor that records runs before the shard is given back, in the other after.
            if record_before {
                counter.increment(1);
            }
            LAST.with(|last| *last.borrow_mut() = Some(Last(counter.clone())));
            counter.increment(1);
        })
        .join()
        .unwrap();
    }
    let mut out = Vec::new();
    registry.render(Format::Text, &mut out);
    assert!(String::from_utf8(out).unwrap().contains("\nc_total 203\n"));
}

#[test]
fn cells_of_every_chunk_are_apart() {
    let cells = Arc::new(Cells::new());
    // Into the third chunk; single cells and blocks by turns.
    let mut singles = Vec::new();
    let mut blocks = Vec::new();
    for _ in 0..(FIRST_CHUNK * 4 / 256) {
        singles.push(cells.allocate_one().unwrap());
        blocks.push(cells.allocate_block().unwrap());
    }
    for (n, at) in singles.iter().enumerate() {
        add(&cells, *at, n as u64 + 1);
    }
    for at in &blocks {
        cells.write(*at, |row| {
            row.add(0, 7, Ordering::Relaxed);
            row.add(255, 9, Ordering::Relaxed);
        });
    }
    let mut totals = Vec::new();
    cells.sum_into(&mut totals);
    for (n, at) in singles.iter().enumerate() {
        assert_eq!(totals[at.number()], n as u64 + 1);
    }
    for at in &blocks {
        assert_eq!((totals[at.number()], totals[at.number() + 255]), (7, 9));
    }
    let written: u64 = (1..=singles.len() as u64).sum::<u64>() + 16 * blocks.len() as u64;
    assert_eq!(totals.iter().sum::<u64>(), written, "nothing was written twice");
}

#[test]
fn cells_end_and_say_so() {
    let cells = Cells::new();
    let blocks = std::iter::from_fn(|| cells.allocate_block()).count();
    assert_eq!(blocks, FIRST_CHUNK * ((1 << 12) - 1) / 256);
    assert_eq!(cells.allocate_one(), None);
}

#[test]
fn a_table_finds_what_collides_and_refuses_what_is_too_much() {
    let table = Table::new(3);
    let insert = |name: &'static str| table.get_or_insert(7, |known| *known == name, || Ok(name));
    assert_eq!(insert("a"), Ok(&"a"));
    assert_eq!(insert("b"), Ok(&"b"));
    assert_eq!(table.get_or_insert(7, |known| *known == "x", || Err(Full)), Err(Full));
    assert_eq!(insert("c"), Ok(&"c"), "the failed one took no place");
    assert_eq!(insert("d"), Err(Full));
    assert_eq!(insert("b"), Ok(&"b"));
    assert_eq!(table.get(7, |known| *known == "d"), None);
    assert_eq!((table.len(), table.iter().count()), (3, 3));
}

#[test]
fn threads_that_register_the_same_series_share_it() {
    let registry = Registry::with_max_series(32);
    let names: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for name in &names {
                    registry.counter("c_total", &[("n", name)]).unwrap().increment(1);
                }
            });
        }
    });
    let mut out = Vec::new();
    registry.render(Format::Text, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("c_total{") && line.ends_with(" 3"))
            .count(),
        8,
        "{text}"
    );
}
