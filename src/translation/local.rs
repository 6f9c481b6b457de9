//! What plans may do to the objects that the gateway itself holds for a device: `Device.LocalAgent.`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::datamodel::supported::generic;
use crate::datamodel::{Instantiated, ValueType, path};
use crate::usp::ErrorCode;

/// Why a change to a local object is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub why: String,
}

impl Refusal {
    pub fn new(code: ErrorCode, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

/// An object of the gateway's own, in supported notation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnObject {
    pub path: String,
    /// Whether controllers add and delete its instances.
    pub creatable: bool,
    pub params: Vec<OwnParam>,
}

/// One of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnParam {
    pub name: String,
    pub writable: bool,
    pub value_type: ValueType,
    /// Whether nobody is told when it changes.
    pub quiet: bool,
}

/// The gateway's own objects of one device. Changes take effect at once; who carries them out makes them
/// durable before anybody is told.
pub trait Local {
    fn model(&self) -> &Instantiated;
    /// All objects that there can be.
    fn supported(&self) -> Cow<'static, [OwnObject]>;
    /// The commands that are carried out without the CPE, in supported notation.
    fn commands(&self) -> &'static [&'static str];
    /// The events that are sent.
    fn events(&self) -> &'static [&'static str];
    /// Whether this parameter of an existing object may be given this value.
    fn check_set(&self, param: &str, value: &str) -> Result<(), Refusal>;
    /// Sets what was checked.
    fn set(&mut self, param: &str, value: &str);
    /// Whether an object may be added to this table, before its settings are looked at.
    fn check_add(&self, table: &str) -> Result<(), Refusal>;
    /// Whether a new object of this table may have this setting.
    fn check_setting(&self, table: &str, param: &str, value: &str) -> Result<(), Refusal>;
    /// Adds an object with settings that were checked; returns its path.
    fn add(&mut self, table: &str, settings: &[(&str, &str)]) -> Result<String, Refusal>;
    /// Whether this instance may be deleted.
    fn check_delete(&self, instance: &str) -> Result<(), Refusal>;
    fn delete(&mut self, instance: &str);
    /// The unique keys of an instance and their values.
    fn unique_keys(&self, instance: &str) -> BTreeMap<String, String>;
}

/// Whether a path is the gateway's own.
pub fn is_local(path: &str) -> bool {
    OWN.iter().any(|object| path.starts_with(object))
}

/// Whether a path is the gateway's own on this device, whose local objects these are: beside what it holds for
/// every device, what it holds where the CPE has none.
pub fn is_own(path: &str, local: &Instantiated) -> bool {
    is_local(path)
        || (FIRMWARE.iter().any(|beginning| path.starts_with(beginning)) && local.has_object(FIRMWARE_IMAGES))
}

/// The top-level objects that the gateway holds for every device.
const OWN: [&str; 4] = ["Device.BulkData.", "Device.LocalAgent.", "Device.MQTT.", "Device.STOMP."];
/// The table that the gateway holds for devices that have none.
pub const FIRMWARE_IMAGES: &str = "Device.DeviceInfo.FirmwareImage.";
/// How what belongs to it begins.
const FIRMWARE: [&str; 4] = [
    FIRMWARE_IMAGES,
    "Device.DeviceInfo.FirmwareImageNumberOfEntries",
    "Device.DeviceInfo.ActiveFirmwareImage",
    "Device.DeviceInfo.BootFirmwareImage",
];

/// Objects that are there and refuse every change: for plans that are about the CPE alone.
#[derive(Default)]
pub struct Fixed(pub Instantiated);

impl Local for Fixed {
    fn model(&self) -> &Instantiated {
        &self.0
    }

    fn supported(&self) -> Cow<'static, [OwnObject]> {
        let mut objects = BTreeMap::new();
        for (name, param) in self.0.params_below("") {
            let general = generic(path::parent(name).unwrap_or(""));
            let object = objects.entry(general.clone()).or_insert_with(|| OwnObject {
                path: general,
                creatable: false,
                params: Vec::new(),
            });
            let (name, writable) = (path::name(name).to_owned(), param.writable);
            object.params.push(OwnParam { name, writable, value_type: ValueType::String, quiet: false });
        }
        objects.into_values().collect()
    }

    fn commands(&self) -> &'static [&'static str] {
        &[]
    }

    fn events(&self) -> &'static [&'static str] {
        &["Device.Boot!", "Device.LocalAgent.Periodic!"]
    }

    fn check_set(&self, _: &str, _: &str) -> Result<(), Refusal> {
        Err(Refusal::new(ErrorCode::NON_WRITEABLE_PARAMETER, "fixed"))
    }

    fn set(&mut self, _: &str, _: &str) {}

    fn check_add(&self, _: &str) -> Result<(), Refusal> {
        Err(Refusal::new(ErrorCode::NON_CREATABLE_OBJECT, "fixed"))
    }

    fn check_setting(&self, _: &str, _: &str, _: &str) -> Result<(), Refusal> {
        self.check_add("")
    }

    fn add(&mut self, table: &str, _: &[(&str, &str)]) -> Result<String, Refusal> {
        self.check_add(table).map(|()| String::new())
    }

    fn check_delete(&self, _: &str) -> Result<(), Refusal> {
        self.check_add("")
    }

    fn delete(&mut self, _: &str) {}

    fn unique_keys(&self, _: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}
