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
    reading::{SensorError, read_text},
    tree::{Tree, in_order},
};

const HWMON: &str = "sys/class/hwmon";
const THERMAL: &str = "sys/class/thermal";

/// What a processor's sensor can say, in degrees Celsius; what lies outside is a broken or absent sensor.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<f64> = -40.0..=150.0;

/// Types of thermal zones that measure a processor, by the most specific kind first; only zones of the first kind found
/// are used. The device trees of the kernel (`arch/arm64/boot/dts`) name them.
const ZONES: [Zones; 7] = [
    Zones::Named("x86_pkg_temp"),
    Zones::Named("cpu-thermal"),
    Zones::Named("cpu_thermal"),
    // Rockchip's RK3588 (`rockchip/rk3588-base.dtsi`): the sensor near the middle of the chip.
    Zones::Named("package-thermal"),
    // Qualcomm's chips (`qcom/sdm845.dtsi`, `qcom/sc8280xp.dtsi`, `qcom/x1e80100.dtsi`): one zone a core, or more of them.
    Zones::Cores,
    // Rockchip's and other vendors' own kernels.
    Zones::Named("soc-thermal"),
    Zones::Named("soc"),
];

/// A kind of thermal zone.
#[derive(Debug, Clone, Copy)]
enum Zones {
    /// Each of this type is a package.
    Named(&'static str),
    /// Those of the cores and of what is around them make one package, which is as hot as the hottest.
    Cores,
}

/// Whether a zone of this type is of a core or of a cluster of them: `cpu0-thermal`, `cpu-1-2-thermal`,
/// `cpu0-0-top-thermal`, `cpuss1-thermal`.
fn is_core_zone(kind: &str) -> bool {
    let number = |text: &str| text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
    kind.strip_suffix("-thermal")
        .and_then(|kind| kind.strip_prefix("cpuss").or_else(|| kind.strip_prefix("cpu")))
        .is_some_and(number)
}

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
    /// Of several the highest counts.
    inputs: Vec<String>,
    fault: Option<String>,
}

impl TemperatureSensor {
    /// Reads the sensor once.
    ///
    /// # Errors
    /// When no file can be read, when one is no number, when the chip reports a fault, and when a value is out of
    /// -40 to 150 °C. Of several files one that gives a value is enough.
    pub fn read(&self, tree: &dyn Tree) -> Result<PackageTemperature, SensorError> {
        if let Some(path) = &self.fault
            && read_text(tree, path)? != "0"
        {
            return Err(SensorError::Fault { path: path.clone() });
        }
        let mut highest = None;
        let mut failure = None;
        for path in &self.inputs {
            match read_celsius(tree, path) {
                Ok(celsius) => highest = Some(highest.map_or(celsius, |highest: f64| highest.max(celsius))),
                Err(error) => failure = Some(error),
            }
        }
        match (highest, failure) {
            (Some(celsius), _) => Ok(PackageTemperature {
                package: self.package.clone(),
                celsius,
            }),
            (None, Some(error)) => Err(error),
            (None, None) => unreachable!("a sensor has a file"),
        }
    }
}

fn read_celsius(tree: &dyn Tree, path: &str) -> Result<f64, SensorError> {
    let path = path.to_owned();
    let text = read_text(tree, &path)?;
    match parse_millidegrees(&text) {
        None => Err(SensorError::Malformed { path, text }),
        Some(celsius) if !PLAUSIBLE_CELSIUS.contains(&celsius) => Err(SensorError::OutOfRange { path, celsius }),
        Some(celsius) => Ok(celsius),
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
    /// Ampere Altra, by its own management processor (`drivers/hwmon/smpro-hwmon.c`): one chip a socket.
    Smpro,
    /// Ampere Altra and eMAG, and APM's X-Gene before them, by ACPI (`drivers/hwmon/xgene-hwmon.c`): one chip a socket.
    Xgene,
}

impl Driver {
    const ALL: [Self; 6] = [
        Self::Coretemp,
        Self::K10temp,
        Self::Zenpower,
        Self::Smpro,
        Self::Xgene,
        Self::CpuThermal,
    ];

    fn from_chip_name(name: &str) -> Option<Self> {
        match name {
            "coretemp" => Some(Self::Coretemp),
            "k10temp" => Some(Self::K10temp),
            "zenpower" => Some(Self::Zenpower),
            "cpu_thermal" => Some(Self::CpuThermal),
            "smpro_hwmon" => Some(Self::Smpro),
            "apm_xgene" => Some(Self::Xgene),
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
        // Beside it the chip has temperatures of voltage regulators and memory.
        Driver::Smpro => (label("temp1")?.ends_with("SoC").then_some("temp1")?, rank.to_string()),
        Driver::Xgene => ("temp1", rank.to_string()),
    };
    let has = |suffix: &str| files.contains(&format!("{channel}_{suffix}"));
    let path = |suffix: &str| format!("{}/{channel}_{suffix}", chip.directory);
    has("input").then(|| TemperatureSensor {
        package,
        inputs: vec![path("input")],
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
    let of_kind = |kind: Zones| -> Vec<TemperatureSensor> {
        let is_one = |found: &str| match kind {
            Zones::Named(wanted) => found == wanted,
            Zones::Cores => is_core_zone(found),
        };
        let inputs = typed
            .iter()
            .filter(|(found, _)| is_one(found))
            .map(|(_, directory)| format!("{directory}/temp"));
        let sensor = |(rank, inputs): (usize, Vec<String>)| TemperatureSensor {
            package: rank.to_string(),
            inputs,
            fault: None,
        };
        match kind {
            Zones::Named(_) => inputs.map(|input| vec![input]).enumerate().map(sensor).collect(),
            Zones::Cores => {
                let all: Vec<String> = inputs.collect();
                (!all.is_empty()).then(|| sensor((0, all))).into_iter().collect()
            }
        }
    };
    ZONES
        .into_iter()
        .map(of_kind)
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
    fn zones_of_cores_are_told_from_others() {
        for kind in [
            "cpu0-thermal",
            "cpu-0-1-thermal",
            "cpu0-0-top-thermal",
            "cpu11-thermal",
            "cpuss0-thermal",
            "cpuss-1-thermal",
        ] {
            assert!(is_core_zone(kind), "{kind}");
        }
        for kind in [
            "cpu-thermal",
            "cpu",
            "cpu0",
            "gpuss0-thermal",
            "gpu-thermal",
            "aoss0-thermal",
            "ddr-thermal",
            "cpufreq-thermal",
            "xo-thermal",
        ] {
            assert!(!is_core_zone(kind), "{kind}");
        }
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
