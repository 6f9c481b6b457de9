//! Ten thousand devices that have been discovered, written into a store as the gateway keeps them.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use dragoman::datamodel::{Instantiated, Source, Value, ValueType, WallTime};
use dragoman::durable::{Change, Kind};
use dragoman::identity::{DeviceId, EndpointId};
use dragoman::store::{Embedded, EmbeddedConfig, Store};

pub fn serial(device: usize) -> String {
    format!("{device:08}")
}

pub fn endpoint(device: usize) -> EndpointId {
    id(device).endpoint_id()
}

fn id(device: usize) -> DeviceId {
    DeviceId {
        manufacturer: "Example Networks".into(),
        oui: "00256D".into(),
        product_class: "HG100".into(),
        serial_number: serial(device),
    }
}

/// Writes so many devices; they have met `controller`.
pub async fn write(file: &Path, count: usize, controller: &str) {
    let store = Embedded::open(&EmbeddedConfig { file: file.to_owned(), key_file: None }).expect("a store");
    let bodies: Vec<Bytes> = (0..VARIANTS).map(hosts).collect();
    for first in (0..count).step_by(GROUP) {
        let store = &store;
        let commits = (first..count.min(first + GROUP)).map(|device| {
            let mut changes = device_info(device);
            changes.push(Change::put(Kind::Device, "", stored(device, controller)));
            changes.push(Change::put(Kind::Shadow, "Hosts", bodies[device % VARIANTS].clone()));
            let endpoint = endpoint(device);
            async move { store.commit(&endpoint, changes).await.expect("a commit") }
        });
        futures_util::future::join_all(commits).await;
    }
}

fn stored(device: usize, controller: &str) -> Vec<u8> {
    let entry = serde_json::json!({
        "format": 1,
        "device": id(device),
        "root": "Device.",
        "discovery_left": [],
        "onboarded": [controller],
        "software_version": "4.12.1",
        "booted_at": 0,
    });
    serde_json::to_vec(&entry).expect("plain data")
}

/// What the requests ask for, and the root.
fn device_info(device: usize) -> Vec<Change> {
    let mut shadow = Instantiated::default();
    let mut set = |leaf: &str, text: &str| {
        shadow.set_value(&format!("Device.DeviceInfo.{leaf}"), value(text, ValueType::String));
    };
    set("SerialNumber", &serial(device));
    for (leaf, text) in INFO {
        set(leaf, text);
    }
    let tops = shadow.take_dirty().into_iter();
    tops.map(|top| Change::put(Kind::Shadow, top.clone(), shadow.encode_top(&top))).collect()
}

/// The bulk of a device's model: from 500 to 3,000 parameters in all, as the variant has it.
fn hosts(variant: usize) -> Bytes {
    let mut shadow = Instantiated::default();
    let parameters = LEAST + (MOST - LEAST) * variant / (VARIANTS - 1);
    for index in 0..parameters - INFO.len() - 1 {
        let (host, leaf) = (index / 8 + 1, ["PhysAddress", "IPAddress", "HostName", "Active"][index % 4]);
        let leaf = if index % 8 < 4 { leaf.to_owned() } else { format!("X_00256D_{leaf}Before") };
        let text = format!("value {variant} of {index}");
        shadow.set_value(&format!("Device.Hosts.Host.{host}.{leaf}"), value(&text, ValueType::String));
    }
    shadow.encode_top("Hosts").into()
}

fn value(text: &str, value_type: ValueType) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let at = WallTime(u64::try_from(now.as_millis()).expect("a year that is near"));
    Value { text: text.into(), value_type: Some(value_type), at, source: Source::Read }
}

/// Parameters of a device, from the smallest to the largest.
pub const LEAST: usize = 500;
pub const MOST: usize = 3_000;
/// Different models; devices have them in turn.
const VARIANTS: usize = 32;
/// Commits under way at a time.
const GROUP: usize = 512;
const INFO: [(&str, &str); 7] = [
    ("Manufacturer", "Example Networks"),
    ("ManufacturerOUI", "00256D"),
    ("ModelName", "HG100"),
    ("ProductClass", "HG100"),
    ("HardwareVersion", "HG100 Rev. C"),
    ("SoftwareVersion", "4.12.1"),
    ("ProvisioningCode", "RES.FTTH.100"),
];
