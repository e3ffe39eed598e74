//! Writes generated items to standard output, to try the server on: `cargo run --release --example generate 1000000`.

use std::io::Write;

#[path = "../benches/support/generate.rs"]
mod generate;

const SEED: u64 = 1;

fn main() -> std::io::Result<()> {
    let count = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(1_000);
    std::io::stdout().lock().write_all(&generate::ndjson(SEED, count))
}
