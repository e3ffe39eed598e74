//! A machine that is not there, for demonstrations.
//!
//! Owns the machine that `--hardware simulated` shows: a manifest compiled into the program, read by the same reader
//! as a real sysfs. It is never a fallback: only the operator's own word brings it, and each of its series says
//! `simulated="true"`.

use super::manifest::Manifest;

/// The simulated machine.
///
/// # Panics
/// Never: the manifest is a part of the program, and a test parses it.
#[must_use]
pub fn machine() -> Manifest {
    Manifest::parse(include_str!("simulated.manifest")).expect("the compiled-in manifest is a manifest")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::{reading::Source, sensors::Sensors};

    #[test]
    fn every_source_is_up_and_temperatures_move_within_reason() {
        let machine = machine();
        let sensors = Sensors::discover(&machine, false);
        let mut seen = Vec::new();
        for _ in 0..20 {
            let readings = sensors.read(&machine);
            assert!(
                Source::ALL.into_iter().all(|source| readings.is_up(source)),
                "{readings:?}"
            );
            assert!(readings.failures.is_empty(), "{readings:?}");
            seen.extend(readings.hottest_celsius());
        }
        assert!(seen.iter().all(|celsius| (45.0..=55.0).contains(celsius)), "{seen:?}");
        assert!(seen.windows(2).any(|pair| pair[0] != pair[1]), "{seen:?}");
    }
}
