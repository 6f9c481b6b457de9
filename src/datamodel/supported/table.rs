//! The tables: inflated on first use, looked up by path.

use std::collections::HashSet;
use std::io::Read as _;
use std::sync::OnceLock;

use flate2::read::DeflateDecoder;

use super::{Kind, Row, Secured};

/// A standard data model: its rows, sorted by path.
///
/// All three together are 11763 rows. Measured on an unoptimised build: once all were used they take 1.8 MB
/// of memory (1.1 MB of text, 0.5 MB of rows), and the first uses take 19 ms.
#[derive(Debug, Default)]
pub struct Supported {
    rows: Vec<Row>,
}

/// A table as it lies in the binary.
struct Builtin {
    deflated: &'static [u8],
    text: OnceLock<String>,
    table: OnceLock<Supported>,
}

static DEVICE_2: Builtin = Builtin::new(include_bytes!(concat!(env!("OUT_DIR"), "/device-2.deflated")));
static DEVICE_2_CWMP: Builtin =
    Builtin::new(include_bytes!(concat!(env!("OUT_DIR"), "/device-2-cwmp.deflated")));
static IGD_1: Builtin = Builtin::new(include_bytes!(concat!(env!("OUT_DIR"), "/igd-1.deflated")));

impl Builtin {
    const fn new(deflated: &'static [u8]) -> Self {
        Self { deflated, text: OnceLock::new(), table: OnceLock::new() }
    }

    fn table(&'static self) -> &'static Supported {
        self.table.get_or_init(|| {
            let text = self.text.get_or_init(|| {
                let mut text = String::new();
                // The bytes are our own and cannot fail; were they broken, what is missing would be unknown.
                let inflated = DeflateDecoder::new(self.deflated).read_to_string(&mut text);
                if inflated.is_err() {
                    text.clear();
                }
                text.shrink_to_fit();
                text
            });
            let mut rows: Vec<Row> = text.lines().filter_map(Row::parse).collect();
            rows.shrink_to_fit();
            Supported { rows }
        })
    }
}

impl Supported {
    /// Device:2 as USP has it (TR-181 2.19.1).
    pub fn device2() -> &'static Self {
        DEVICE_2.table()
    }

    /// What Device:2 has for CWMP alone (TR-181 2.19.1).
    pub fn device2_cwmp() -> &'static Self {
        DEVICE_2_CWMP.table()
    }

    /// InternetGatewayDevice:1 (TR-098 1.8).
    pub fn igd() -> &'static Self {
        IGD_1.table()
    }

    /// All rows, sorted by path in byte order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of a path in supported notation (`Device.WiFi.SSID.{i}.SSID`).
    pub fn find(&self, path: &str) -> Option<&Row> {
        let row = self.rows.get(self.first_from(path))?;
        (row.path == path).then_some(row)
    }

    /// The row of a path of the instantiated data model (`Device.WiFi.SSID.1.SSID`).
    pub fn of_instance(&self, instantiated: &str) -> Option<&Row> {
        self.find(&generic(instantiated))
    }

    /// What stands at or below an object, its arguments too, in byte order.
    pub fn below<'s>(&'s self, object: &'s str) -> impl Iterator<Item = &'s Row> {
        self.rows[self.first_from(object)..].iter().take_while(move |row| row.path.starts_with(object))
    }

    /// What stands directly in an object: parameters, commands, events and objects. A table stands in the
    /// object that holds it.
    pub fn children<'s>(&'s self, object: &'s str) -> impl Iterator<Item = &'s Row> {
        self.below(object).filter(move |row| is_direct(object, row.path))
    }

    /// The arguments of a command or event, with their names relative to it.
    pub fn arguments<'s>(&'s self, of: &'s str, kind: Kind) -> impl Iterator<Item = (&'s str, &'s Row)> {
        let below = self.below(of).filter(move |row| row.kind == kind);
        below.filter_map(move |row| Some((row.path[of.len()..].strip_prefix('|')?, row)))
    }

    fn first_from(&self, path: &str) -> usize {
        self.rows.partition_point(|row| row.path < path)
    }
}

/// What any of the standards says about a path of the instantiated data model of a CPE.
pub fn standard(instantiated: &str) -> Option<&'static Row> {
    let path = generic(instantiated);
    let tables = if path.starts_with("InternetGatewayDevice.") {
        [Some(Supported::igd()), None]
    } else {
        [Some(Supported::device2()), Some(Supported::device2_cwmp())]
    };
    tables.into_iter().flatten().find_map(|table| table.find(&path))
}

/// Whether the standard keeps a parameter of a CPE from some. Nearly every name belongs to no such parameter,
/// which is known at once.
pub fn secured(instantiated: &str) -> Option<Secured> {
    static NAMES: OnceLock<HashSet<&'static str>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let tables = [Supported::igd(), Supported::device2(), Supported::device2_cwmp()];
        let rows = tables.into_iter().flat_map(Supported::rows).filter(|row| row.secured().is_some());
        rows.map(|row| last_segment(row.path)).collect()
    });
    let may_be = names.contains(last_segment(instantiated));
    may_be.then(|| standard(instantiated)).flatten()?.secured()
}

/// Whether a value is kept from readers by the standard, or by its name should be: vendors' parameters are in no
/// standard.
pub fn is_secret(instantiated: &str) -> bool {
    secured(instantiated).is_some() || is_secret_name(last_segment(instantiated))
}

/// Whether what bears this name is a secret by its name alone: a password, a key.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}

fn last_segment(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

const SECRET: [&str; 7] = ["password", "passphrase", "secret", "presharedkey", "psk", "privatekey", "wepkey"];

/// A path of the instantiated data model in supported notation: every instance number is `{i}`.
pub fn generic(instantiated: &str) -> String {
    let mut path = String::with_capacity(instantiated.len());
    for segment in instantiated.split_inclusive('.') {
        match segment.strip_suffix('.') {
            Some(number) if is_number(number) => path.push_str("{i}."),
            _ => path.push_str(segment),
        }
    }
    path
}

/// Whether a path stands directly in an object, both in supported notation. An instance stands where its
/// table does: `Device.WiFi.SSID.{i}.` in `Device.WiFi.`.
pub fn is_direct(object: &str, path: &str) -> bool {
    let Some(rest) = path.strip_prefix(object) else { return false };
    let name = rest.strip_suffix(".{i}.").or_else(|| rest.strip_suffix('.')).unwrap_or(rest);
    !name.is_empty() && name != "{i}" && !name.contains(['.', '|'])
}

fn is_number(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::{Access, Default, Secured, Status};
    use super::*;
    use crate::datamodel::ValueType;

    fn all() -> [&'static Supported; 3] {
        [Supported::device2(), Supported::device2_cwmp(), Supported::igd()]
    }

    #[test]
    fn every_line_of_the_tables_is_a_row_and_sorted() {
        assert_eq!(all().map(|table| table.rows().len()), [8758, 1013, 1992]);
        for table in all() {
            let order = |row: &Row| (row.path, row.kind as u8);
            assert!(table.rows().is_sorted_by(|a, b| order(a) < order(b)), "unsorted or twice there");
        }
    }

    #[test]
    fn every_parameter_has_a_type_and_stands_in_an_object() {
        for table in all() {
            for row in table.rows().iter().filter(|row| row.kind == Kind::Param) {
                assert!(row.value_type().is_some(), "{}", row.path);
                let object = crate::datamodel::path::parent(row.path).unwrap();
                // What CWMP alone has may stand in an object of both.
                let known = table.find(object).or_else(|| Supported::device2().find(object));
                assert!(known.is_some_and(|row| row.kind == Kind::Object), "{}", row.path);
            }
        }
    }

    #[test]
    fn unique_keys_entries_and_enable_name_what_is_there() {
        let is_param = |path: String| standard(&path).is_some_and(|row| row.value_type().is_some());
        for row in all().into_iter().flat_map(Supported::rows) {
            for name in row.unique_keys().flat_map(|key| key.params).chain(row.enable()) {
                assert!(is_param(format!("{}{name}", row.path)), "{}{name}", row.path);
            }
            if let Some(name) = row.entries() {
                let parent = row.path.trim_end_matches("{i}.");
                let parent = crate::datamodel::path::parent(parent).unwrap();
                assert!(is_param(format!("{parent}{name}")), "{parent}{name}");
            }
        }
    }

    #[test]
    fn a_row_tells_what_the_standard_says() {
        let device2 = Supported::device2();
        let vlan = device2.find("Device.Bridging.Bridge.{i}.VLAN.{i}.").unwrap();
        let keys: Vec<_> = vlan.unique_keys().map(|key| (key.functional, key.params)).collect();
        assert_eq!(keys, [(false, vec!["Alias"]), (true, vec!["VLANID"])]);
        assert!(vlan.is_table() && vlan.access == Access::ReadWrite);
        assert_eq!((vlan.entries(), vlan.enable()), (Some("VLANNumberOfEntries"), Some("Enable")));
        let ssid = device2.of_instance("Device.WiFi.SSID.12.SSID").unwrap();
        assert_eq!((ssid.access, ssid.status), (Access::ReadWrite, Status::Current));
        assert_eq!(ssid.sizes().collect::<Vec<_>>(), ["32"]);
        let bands = device2.find("Device.WiFi.Radio.{i}.SupportedFrequencyBands").unwrap();
        assert_eq!((bands.value_type(), bands.is_list), (Some(ValueType::String), true));
        assert!(bands.enums().any(|band| band == "2.4GHz"));
        let passphrase = device2.of_instance("Device.WiFi.AccessPoint.1.Security.KeyPassphrase").unwrap();
        assert_eq!(passphrase.secured(), Some(Secured::Secured));
        for row in Supported::device2().rows() {
            assert_eq!(secured(row.path), row.secured(), "{}", row.path);
        }
        let enable = device2.of_instance("Device.Bridging.Bridge.1.VLAN.1.Enable").unwrap();
        assert_eq!(enable.default(), Some(Default::Object("false")));
        let ping = device2.find("Device.IP.Diagnostics.IPPing()").unwrap();
        assert!(ping.is_async() && !device2.find("Device.Reboot()").unwrap().is_async());
        let host = device2.find("Device.IP.Diagnostics.IPPing()|Host").unwrap();
        assert!(host.is_mandatory() && host.kind == Kind::Input);
    }

    #[test]
    fn arguments_are_named_relative_to_their_command() {
        let route = "Device.IP.Diagnostics.TraceRoute()";
        let outputs: Vec<_> =
            Supported::device2().arguments(route, Kind::Output).map(|(name, _)| name).collect();
        assert!(outputs.contains(&"RouteHops.{i}.Host") && outputs.contains(&"Status"));
        assert!(!outputs.contains(&"MaxHopCount"));
    }

    #[test]
    fn children_are_direct_and_a_table_stands_in_its_holder() {
        let wifi: BTreeSet<_> = Supported::device2().children("Device.WiFi.").map(|row| row.path).collect();
        assert!(wifi.contains("Device.WiFi.SSID.{i}.") && wifi.contains("Device.WiFi.RadioNumberOfEntries"));
        assert!(wifi.contains("Device.WiFi.Reset()") && !wifi.contains("Device.WiFi."));
        assert!(!wifi.contains("Device.WiFi.SSID.{i}.SSID") && !wifi.contains("Device.WiFi.SSID.{i}.Stats."));
    }

    #[test]
    fn what_a_cpe_has_is_known_whatever_its_root() {
        let known = |path| standard(path).and_then(Row::value_type);
        assert_eq!(known("Device.WiFi.SSID.1.Enable"), Some(ValueType::Boolean));
        let repetitions = "Device.IP.Diagnostics.IPPing.NumberOfRepetitions";
        assert_eq!(known(repetitions), Some(ValueType::UnsignedInt));
        let igd = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.2.Channel";
        assert_eq!(known(igd), Some(ValueType::UnsignedInt));
        assert_eq!(known("Device.X_ACME_Com.Thing"), None);
    }

    proptest! {
        #[test]
        fn every_row_is_found_by_its_path_and_with_numbers_put_in(
            table in 0_usize..3,
            at in any::<prop::sample::Index>(),
            numbers in prop::collection::vec(1_u32.., 8),
        ) {
            let rows = all()[table].rows();
            let row = &rows[at.index(rows.len())];
            prop_assert_eq!(all()[table].find(row.path).map(|found| found.path), Some(row.path));
            let mut instantiated = row.path.to_owned();
            for number in numbers {
                instantiated = instantiated.replacen("{i}", &number.to_string(), 1);
            }
            let has_left = instantiated.contains("{i}");
            prop_assert!(!has_left);
            prop_assert_eq!(all()[table].of_instance(&instantiated).map(|found| found.path), Some(row.path));
        }

        #[test]
        fn an_arbitrary_path_never_panics(path in "(Device|WiFi|SSID|1|\\{i\\}|\\.|\\||é|!){0,12}") {
            for table in all() {
                let _ = table.of_instance(&path);
                prop_assert!(table.below(&path).all(|row| row.path.starts_with(&path)));
                prop_assert!(table.children(&path).all(|row| row.path.len() > path.len()));
            }
        }
    }
}
