//! What is held for each item over the data, by the ledger and by the kernel. Prints a table; asserts nothing about time.

use std::io::{self, Read};

use janus::items::{Format, ParseOptions, parse};

#[global_allocator]
static ALLOCATOR: janus::allocator::Allocator = janus::allocator::Allocator;

/// Small items, one a line, made while they are read, so that no source is in memory.
struct Items {
    next: usize,
    count: usize,
    line: Vec<u8>,
    at: usize,
}

impl Read for Items {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = 0;
        while length < buffer.len() {
            if self.at == self.line.len() {
                if self.next == self.count {
                    break;
                }
                self.line = format!("{{\"id\":{},\"on\":true}}\n", self.next).into_bytes();
                (self.next, self.at) = (self.next + 1, 0);
            }
            let rest = &self.line[self.at..];
            let taken = rest.len().min(buffer.len() - length);
            buffer[length..length + taken].copy_from_slice(&rest[..taken]);
            (length, self.at) = (length + taken, self.at + taken);
        }
        Ok(length)
    }
}

/// Memory of this process that is its own, in bytes.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

fn main() {
    println!("|     items | bytes an item | over the data, by the ledger | by the kernel |");
    println!("|----------:|--------------:|-----------------------------:|--------------:|");
    for count in [1_000, 100_000, 1_000_000, 5_000_000] {
        let options = ParseOptions::default();
        let before = resident();
        let items = Items {
            next: 0,
            count,
            line: Vec::new(),
            at: 0,
        };
        let collection = parse(Format::Ndjson, items, &options).expect("the items are good");
        assert_eq!(collection.len(), count);
        janus::allocator::give_back();
        let data = collection.arena().len() as u64;
        let an_item = |bytes: u64| bytes as f64 / count as f64;
        let over = an_item(options.ledger.total() - data);
        let by_kernel = before.zip(resident()).map(|(before, after)| {
            let held = after.saturating_sub(before).saturating_sub(data);
            format!("{:.1}", an_item(held))
        });
        println!(
            "| {count:>9} | {:>13.1} | {over:>28.1} | {:>13} |",
            an_item(data),
            by_kernel.as_deref().unwrap_or("unknown"),
        );
        assert!(count < 1_000_000 || over <= 24.0, "more than 24 bytes an item");
    }
}
