//! The one door through which the recorder reaches atomics and thread-locals.
//!
//! Under `--cfg loom` the same names are loom's, so that the model checker sees every access that the real program
//! makes. Nothing in the recorder names `std::sync::atomic` but through here.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    thread_local,
};

/// Loom's `thread_local!` does not know the form that needs no initialisation when the program runs.
#[cfg(loom)]
macro_rules! loom_thread_local {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const { $value:expr };)*) => {
        loom::thread_local! { $($(#[$attribute])* static $name: $type = $value;)* }
    };
}
#[cfg(loom)]
pub(crate) use loom_thread_local as thread_local;
