//! What the stages of Janus cost in instructions, which unlike time are the same on every run.
//!
//! Each bench is run once under callgrind. What it needs is made, and run once, before the counting begins; it is
//! given for good, so that no bench counts the freeing of it.

use gungraun::prelude::*;
use gungraun::{Callgrind, main};

mod data;
mod recorder;
mod requests;

use data::loading;
use recorder::recording;
use requests::answering;

// The one of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = [loading, recording, answering]
);
