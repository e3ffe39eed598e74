//! The one door through which the recorder reaches atomics and thread-locals.
//!
//! Under `--cfg loom` the same names are loom's, so that the model checker sees every access that the real program
//! makes. Nothing in the recorder names `std::sync::atomic` but through here.

#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    thread_local,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    thread_local,
};
