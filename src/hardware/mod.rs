//! Hardware sensors: read, never made up.

pub mod cpu_temperature;
pub mod disk_errors;
pub mod manifest;
pub mod sensors;
pub mod tree;
