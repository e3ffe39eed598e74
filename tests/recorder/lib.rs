//! The recorder alone; see `Cargo.toml` for why.

#[path = "../../src/metrics/mod.rs"]
pub mod metrics;
