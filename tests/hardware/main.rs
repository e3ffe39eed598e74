//! The sensors, read from machines that are written down as manifests.
//!
//! Linux only, as sysfs is: the tests use FIFOs, inotify and `/proc/self/mem`.
#![cfg(target_os = "linux")]

mod machine;
mod opens;
mod readings;
mod rig;
mod sampler;
