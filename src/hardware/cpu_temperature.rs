//! Temperatures of the processor packages.
//!
//! Owns the knowledge which hwmon chips and thermal zones measure a processor, and which of their inputs is the
//! package. Files come from a [`Tree`]. Of every other chip nothing but `name` is opened: to read a temperature of an
//! NVMe drive is an admin command on the drive, and of a SATA drive (`drivetemp`) a SMART command, either of which can
//! hold up its I/O.
//!
//! Kernel documents: `Documentation/hwmon/sysfs-interface.rst` (file names, units, `tempN_fault`),
//! `Documentation/hwmon/coretemp.rst`, `Documentation/hwmon/k10temp.rst`,
//! `Documentation/driver-api/thermal/sysfs-api.rst` (`type`, `temp`).

use super::{
    sensors::{SensorError, read_text},
    tree::{Tree, in_order},
};

const HWMON: &str = "sys/class/hwmon";
const THERMAL: &str = "sys/class/thermal";

/// What a processor's sensor can say, in degrees Celsius; what lies outside is a broken or absent sensor.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<f64> = -40.0..=150.0;

/// Thermal zones that measure a processor, the most specific first; only zones of the first type found are used.
const ZONE_TYPES: [&str; 4] = ["x86_pkg_temp", "cpu-thermal", "cpu_thermal", "soc"];

/// The temperature of one package.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageTemperature {
    /// The package's number: the kernel's where the driver tells it, otherwise its rank on the bus.
    pub package: String,
    /// Degrees Celsius.
    pub celsius: f64,
}

/// A file that holds the temperature of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemperatureSensor {
    package: String,
    input: String,
    fault: Option<String>,
}

impl TemperatureSensor {
    /// Reads the sensor once.
    ///
    /// # Errors
    /// When the file cannot be read or is no number, when the chip reports a fault, and when the value is out of
    /// -40 to 150 °C.
    pub fn read(&self, tree: &dyn Tree) -> Result<PackageTemperature, SensorError> {
        if let Some(path) = &self.fault
            && read_text(tree, path)? != "0"
        {
            return Err(SensorError::Fault { path: path.clone() });
        }
        let path = &self.input;
        let text = read_text(tree, path)?;
        let Some(celsius) = parse_millidegrees(&text) else {
            return Err(SensorError::Malformed {
                path: path.clone(),
                text,
            });
        };
        if !PLAUSIBLE_CELSIUS.contains(&celsius) {
            return Err(SensorError::OutOfRange {
                path: path.clone(),
                celsius,
            });
        }
        Ok(PackageTemperature {
            package: self.package.clone(),
            celsius,
        })
    }
}

/// The hwmon drivers that measure a processor. The first that has a package sensor is used: two of them on one machine
/// would be two views of the same silicon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Driver {
    /// Intel: one chip a package.
    Coretemp,
    /// AMD and Hygon: one chip a node, which is a package since Zen 2.
    K10temp,
    /// The out-of-tree driver for AMD Zen, labelled as `k10temp`.
    Zenpower,
    /// A thermal zone of a system on chip that registered itself with hwmon, as on a Raspberry Pi.
    CpuThermal,
}

impl Driver {
    const ALL: [Self; 4] = [Self::Coretemp, Self::K10temp, Self::Zenpower, Self::CpuThermal];

    fn from_chip_name(name: &str) -> Option<Self> {
        match name {
            "coretemp" => Some(Self::Coretemp),
            "k10temp" => Some(Self::K10temp),
            "zenpower" => Some(Self::Zenpower),
            "cpu_thermal" => Some(Self::CpuThermal),
            _ => None,
        }
    }
}

/// A chip of one of the known drivers.
struct Chip {
    driver: Driver,
    directory: String,
    /// The address of the device behind the chip. `hwmonN` counts in the order in which drivers were loaded, which
    /// differs from boot to boot; the bus address does not.
    address: String,
}

/// Finds the sensors of all packages: hwmon chips, else thermal zones.
#[must_use]
pub fn discover(tree: &dyn Tree) -> Vec<TemperatureSensor> {
    let chips = chips(tree);
    let of_driver = |driver| {
        let chips = chips.iter().filter(move |chip| chip.driver == driver);
        chips
            .enumerate()
            .filter_map(|(rank, chip)| package_sensor(tree, chip, rank))
            .collect::<Vec<_>>()
    };
    let found = Driver::ALL
        .into_iter()
        .map(of_driver)
        .find(|sensors| !sensors.is_empty());
    found.unwrap_or_else(|| thermal_zones(tree))
}

/// Whether the processor says that it is a guest's (the `hypervisor` flag of `cpuinfo`, CPUID.1:ECX bit 31).
///
/// A guest's reads of the thermal registers give zero, and the driver subtracts what it reads from the critical
/// limit: a temperature that looks like a processor on fire.
#[must_use]
pub fn is_virtual_machine(tree: &dyn Tree) -> bool {
    tree.read("proc/cpuinfo")
        .is_ok_and(|cpuinfo| has_hypervisor_flag(&cpuinfo))
}

fn has_hypervisor_flag(cpuinfo: &str) -> bool {
    let fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let flags = fields
        .filter(|(name, _)| name.trim() == "flags")
        .map(|(_, flags)| flags);
    flags
        .flat_map(str::split_ascii_whitespace)
        .any(|flag| flag == "hypervisor")
}

/// `tempN_input` and a zone's `temp` are millidegrees Celsius, as a signed decimal integer.
fn parse_millidegrees(text: &str) -> Option<f64> {
    text.parse::<i32>()
        .ok()
        .map(|millidegrees| f64::from(millidegrees) / 1000.0)
}

fn chips(tree: &dyn Tree) -> Vec<Chip> {
    let mut chips = Vec::new();
    for hwmon in tree.list(HWMON).unwrap_or_default() {
        let directory = format!("{HWMON}/{hwmon}");
        let name = read_text(tree, &format!("{directory}/name")).unwrap_or_default();
        if let Some(driver) = Driver::from_chip_name(&name) {
            let address = tree.link_name(&format!("{directory}/device")).unwrap_or(hwmon);
            chips.push(Chip {
                driver,
                directory,
                address,
            });
        }
    }
    chips.sort_by(|a, b| in_order(&a.address, &b.address));
    chips
}

fn package_sensor(tree: &dyn Tree, chip: &Chip, rank: usize) -> Option<TemperatureSensor> {
    let files = tree.list(&chip.directory).ok()?;
    let label = |channel: &str| {
        let file = format!("{channel}_label");
        if files.contains(&file) {
            read_text(tree, &format!("{}/{file}", chip.directory)).ok()
        } else {
            None
        }
    };
    let (channel, package) = match chip.driver {
        Driver::Coretemp => {
            // The driver puts the package at temp1 and nowhere else; on processors that have no package sensor,
            // temp1 is not there. Older kernels say "Physical id".
            let label = label("temp1")?;
            let id = label
                .strip_prefix("Package id ")
                .or_else(|| label.strip_prefix("Physical id "))?;
            ("temp1", id.to_owned())
        }
        Driver::K10temp | Driver::Zenpower => {
            // Tctl is what the fan control goes by; on some processors it is set above the die temperature by an
            // offset, and then the driver shows Tdie too. Families before Zen have no labels: temp1 is their Tctl.
            let channels = files.iter().filter_map(|file| file.strip_suffix("_input"));
            let labels: Vec<_> = channels
                .filter_map(|channel| Some((channel, label(channel)?)))
                .collect();
            let labelled = |wanted: &str| {
                labels
                    .iter()
                    .find(|(_, label)| label == wanted)
                    .map(|(channel, _)| *channel)
            };
            let unlabelled = labels.is_empty().then_some("temp1");
            (
                labelled("Tdie").or_else(|| labelled("Tctl")).or(unlabelled)?,
                rank.to_string(),
            )
        }
        Driver::CpuThermal => ("temp1", rank.to_string()),
    };
    let has = |suffix: &str| files.contains(&format!("{channel}_{suffix}"));
    let path = |suffix: &str| format!("{}/{channel}_{suffix}", chip.directory);
    has("input").then(|| TemperatureSensor {
        package,
        input: path("input"),
        fault: has("fault").then(|| path("fault")),
    })
}

fn thermal_zones(tree: &dyn Tree) -> Vec<TemperatureSensor> {
    let names = tree.list(THERMAL).unwrap_or_default();
    let zones = names.into_iter().filter(|name| name.starts_with("thermal_zone"));
    let typed: Vec<_> = zones
        .map(|zone| format!("{THERMAL}/{zone}"))
        .filter_map(|directory| Some((read_text(tree, &format!("{directory}/type")).ok()?, directory)))
        .collect();
    let of_type = |wanted: &str| -> Vec<TemperatureSensor> {
        let directories = typed
            .iter()
            .filter(|(kind, _)| kind == wanted)
            .map(|(_, directory)| directory);
        let sensor = |(rank, directory): (usize, &String)| TemperatureSensor {
            package: rank.to_string(),
            input: format!("{directory}/temp"),
            fault: None,
        };
        directories.enumerate().map(sensor).collect()
    };
    ZONE_TYPES
        .into_iter()
        .map(of_type)
        .find(|sensors| !sensors.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn millidegrees_are_signed_decimal_integers() {
        let check = |text: &str, expected: Option<f64>| assert_eq!(parse_millidegrees(text), expected, "{text:?}");
        check("45125", Some(45.125));
        check("-5000", Some(-5.0));
        check("0", Some(0.0));
        check("", None);
        check("45.1", None);
        check("N/A", None);
        check("0x1f", None);
        check("99999999999999999999", None);
    }

    #[test]
    fn only_the_whole_flag_makes_a_virtual_machine() {
        let check = |cpuinfo: &str, expected: bool| assert_eq!(has_hypervisor_flag(cpuinfo), expected, "{cpuinfo:?}");
        check("flags\t\t: fpu hypervisor lahf_lm\n", true);
        check("processor\t: 0\nflags\t\t: fpu lahf_lm\n", false);
        check("flags\t\t: fpu nohypervisor hypervisors\n", false);
        check("model name\t: hypervisor\nflags\t\t: fpu\n", false);
        check("", false);
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_nothing(text in ".*") {
            match (parse_millidegrees(&text), text.parse::<i32>()) {
                (Some(celsius), Ok(millidegrees)) => {
                    prop_assert_eq!((celsius * 1000.0).round(), f64::from(millidegrees));
                }
                (None, Err(_)) => {}
                (parsed, expected) => prop_assert!(false, "{:?} against {:?}", parsed, expected),
            }
        }

        #[test]
        fn any_cpuinfo_is_looked_at_without_a_panic(cpuinfo in "(flags[ \t]*:( (fpu|hypervisor|x))*\n|.*\n){0,8}") {
            prop_assert!(!has_hypervisor_flag(&cpuinfo) || cpuinfo.contains("hypervisor"));
        }
    }
}
