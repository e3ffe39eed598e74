//! Faults that are collected in place of ending with the first.

use std::sync::Arc;

use parking_lot::Mutex;

use super::error::DataError;

/// Collects faults, up to a number of them. Clones are of the same list.
#[derive(Clone, Debug)]
pub struct Collector {
    faults: Arc<Mutex<Vec<DataError>>>,
    max: usize,
}

impl Collector {
    pub(super) fn new(max: usize) -> Self {
        Self {
            faults: Arc::default(),
            max,
        }
    }

    /// Takes a fault in.
    ///
    /// # Errors
    ///
    /// The fault, if there are as many as are asked for: then there is no reason to read on.
    pub(super) fn collect(&self, fault: DataError) -> Result<(), DataError> {
        let mut faults = self.faults.lock();
        if faults.len() < self.max && !faults.contains(&fault) {
            faults.push(fault.clone());
        }
        if faults.len() < self.max { Ok(()) } else { Err(fault) }
    }

    /// What has been collected, in the order of the data.
    pub(super) fn faults(&self) -> Vec<DataError> {
        let mut faults = std::mem::take(&mut *self.faults.lock());
        faults.sort_by_key(|fault| (fault.line(), fault.column()));
        faults
    }
}
