//! The lock-free parts under loom, which runs each model in every order that the memory model allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering as StdOrdering};

use loom::thread;

use super::cell::{CellRef, Numbering, Row, wide_sum};
use super::shard::Cells;
use super::sync::{AtomicU64, Ordering};
use super::table::{Full, Table};

fn cells() -> (Arc<Cells>, CellRef<1>) {
    let cells = Arc::new(Cells::new());
    let at = cells.allocate_one().expect("the first cell is there");
    (cells, at)
}

fn add(cells: &Arc<Cells>, at: CellRef<1>, n: u64) {
    cells.write(at, |row| {
        row.add(0, n, Ordering::Relaxed);
    });
}

fn total(cells: &Cells, at: CellRef<1>) -> u64 {
    let mut totals = Vec::new();
    cells.sum_into(&mut totals);
    totals[at.number()]
}

/// Runs `write` in two threads and a scraper in a third; every sum that it reads must be one that can have been.
///
/// The main thread writes and the scraper is spawned: loom looks for other orders from an access back to the last
/// one that it conflicts with, and forgets a foreign load behind which the same thread loads before it stores.
fn scrape_while(write: fn(&Arc<Cells>, CellRef<1>, u64)) -> Arc<Cells> {
    let (cells, at) = cells();
    let other = {
        let cells = Arc::clone(&cells);
        thread::spawn(move || write(&cells, at, 10))
    };
    let scraper = {
        let cells = Arc::clone(&cells);
        thread::spawn(move || [total(&cells, at), total(&cells, at)])
    };
    write(&cells, at, 1);
    let [first, second] = scraper.join().unwrap();
    assert!(first <= second, "{first} then {second}");
    assert!(
        [0, 1, 10, 11].contains(&first) && [0, 1, 10, 11].contains(&second),
        "{first} then {second}"
    );
    other.join().unwrap();
    assert_eq!(total(&cells, at), 11);
    cells
}

/// Shards and chunks are published while the scraper walks them.
#[test]
fn two_writers_and_a_scraper() {
    loom::model(|| {
        scrape_while(add);
    });
}

/// Threads that can own no shard race to make the chunk of the shared one.
#[test]
fn a_shared_chunk_is_published_once() {
    loom::model(|| {
        scrape_while(|cells, at, n| {
            cells.write_shared(at, |row| {
                row.add(0, n, Ordering::Relaxed);
            });
        });
    });
}

/// A thread that ends gives its shard to the next, which adds to the values that it finds.
#[test]
fn a_shard_changes_hands() {
    static HANDED_OVER: AtomicUsize = AtomicUsize::new(0);
    loom::model(|| {
        let (cells, at) = cells();
        let writers = [1, 10].map(|n| {
            let cells = Arc::clone(&cells);
            thread::spawn(move || add(&cells, at, n))
        });
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(total(&cells, at), 11);
        HANDED_OVER.fetch_add(usize::from(cells.shard_count() == 1), StdOrdering::Relaxed);
    });
    assert!(
        HANDED_OVER.load(StdOrdering::Relaxed) > 0,
        "in some order one thread takes the other's shard"
    );
}

/// Of threads that race to register one name, all get the same entry; another name in the same slot finds a place.
///
/// The entries' content is atomic for loom's sake: it notices when such a thing is read before it was published.
#[test]
fn racing_registration_has_one_winner() {
    loom::model(|| {
        let table = Arc::new(Table::new(4));
        let register = |name: u64, made_by: u64| {
            let table = Arc::clone(&table);
            move || {
                let is = |entry: &[AtomicU64; 2]| entry[0].load(Ordering::Relaxed) == name;
                let make = || Ok([AtomicU64::new(name), AtomicU64::new(made_by)]);
                let entry = table.get_or_insert(0, is, make).unwrap();
                assert!(
                    table.get(0, is).is_some_and(|found| std::ptr::eq(found, entry)),
                    "registered is found"
                );
                entry[1].load(Ordering::Relaxed)
            }
        };
        let threads = [thread::spawn(register(1, 1)), thread::spawn(register(2, 2))];
        let here = register(1, 3)();
        let [same, other] = threads.map(|thread| thread.join().unwrap());
        assert!(here == same && (here == 1 || here == 3), "{here} and {same}");
        assert_eq!(other, 2);
        assert_eq!((table.len(), table.iter().count()), (2, 2));
    });
}

/// Who sees the count of a table finds that many entries, which the scrape's cache relies on.
#[test]
fn counted_entries_are_found() {
    loom::model(|| {
        let table = Arc::new(Table::new(2));
        let scraper = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let counted = table.len();
                assert!(table.iter().count() >= counted);
            })
        };
        for name in 0..2 {
            table.get_or_insert(0, |entry| *entry == name, || Ok(name)).unwrap();
        }
        scraper.join().unwrap();
        assert_eq!(table.get_or_insert(0, |entry| *entry == 9, || Ok(9)), Err(Full));
    });
}

/// No cell is given out twice.
#[test]
fn cells_are_given_out_once() {
    loom::model(|| {
        let numbering = Arc::new(Numbering::new());
        let other = {
            let numbering = Arc::clone(&numbering);
            thread::spawn(move || (numbering.one().unwrap().number(), numbering.block().unwrap().number()))
        };
        let mine = numbering.one().unwrap().number();
        let (one, block) = other.join().unwrap();
        assert_ne!(mine, one);
        assert!(![mine, one].iter().any(|single| (block..block + 2).contains(single)));
        assert!(numbering.end() >= block + 2);
    });
}

/// A reader of a wide sum sees a value that it had at some moment, though two cells are written one after the other.
/// The top bit of the low cell rises in the first model and falls in the second.
#[test]
fn a_wide_sum_is_never_torn() {
    const HALF: u64 = 1 << 63;
    for (flips, low) in [(0, HALF - 2), (1, u64::MAX - 1)] {
        loom::model(move || {
            let cells = Arc::new([AtomicU64::new(low), AtomicU64::new(flips)]);
            let start = wide_sum(&cells[0], &cells[1]);
            let reader = {
                let cells = Arc::clone(&cells);
                thread::spawn(move || [(); 2].map(|()| wide_sum(&cells[0], &cells[1]) - start))
            };
            [1, 2, 4].into_iter().for_each(|n| Row::own(&cells).add_wide(0, n));
            let [first, second] = reader.join().unwrap();
            assert!(first <= second, "{first} then {second}");
            assert!(
                [0, 1, 3, 7].contains(&first) && [0, 1, 3, 7].contains(&second),
                "{first} then {second}"
            );
            assert_eq!(wide_sum(&cells[0], &cells[1]) - start, 7);
        });
    }
}
