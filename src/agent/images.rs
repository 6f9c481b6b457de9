//! The firmware images of a device: the one that runs, and one that the gateway keeps for it where the CPE has
//! a single bank. What `Device.DeviceInfo.FirmwareImage.` shows is made of this; the files are with the stage.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::durable::{Change, Entry, Kind};
use crate::translation::FIRMWARE_IMAGES;

/// What is durable of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Images {
    format: u32,
    /// The number of the row whose image runs: 1 or 2.
    active: u32,
    banks: [Bank; 2],
    /// The images that the device needs: the stage keeps no others.
    holds: BTreeSet<String>,
}

/// One row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bank {
    pub status: Status,
    pub name: String,
    /// Known once it has run.
    pub version: String,
    pub image: Option<Staged>,
    pub failure: String,
}

/// An image in the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// What the stage calls it.
    pub image: String,
    /// In bytes.
    pub size: u64,
}

/// As TR-181 names them, but for `Active`, which follows from which row runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    #[default]
    NoImage,
    Downloading,
    Validating,
    Available,
    DownloadFailed,
    ValidationFailed,
    ActivationFailed,
}

impl Default for Images {
    fn default() -> Self {
        Self { format: FORMAT, active: 1, banks: <_>::default(), holds: BTreeSet::new() }
    }
}

impl Images {
    /// What was stored, if anything was.
    pub fn restore(entries: &[Entry]) -> Option<Self> {
        let entry = entries.iter().find(|entry| entry.kind == Kind::Images)?;
        let images: Self = serde_json::from_slice(&entry.value).ok()?;
        (images.format == FORMAT && matches!(images.active, 1 | 2)).then_some(images)
    }

    pub fn change(&self) -> Change {
        Change::put(Kind::Images, "", serde_json::to_vec(self).unwrap_or_default())
    }

    pub fn is_active(&self, bank: u32) -> bool {
        self.active == bank
    }

    /// The row of a number; `None` of those that are the CPE's own.
    pub fn bank(&mut self, number: u32) -> Option<&mut Bank> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.banks.get_mut(index)
    }

    /// What the image of a row is called.
    pub fn name_of(&self, number: u32) -> Option<String> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        Some(self.banks.get(index)?.name.clone())
    }

    /// The image of this row runs from now on. What ran before is gone from the device; where the stage has it
    /// still it can be activated again.
    pub fn activate(&mut self, number: u32, version: &str) {
        if self.active != number
            && let Some(before) = self.bank(self.active)
        {
            before.status = if before.image.is_some() { Status::Available } else { Status::NoImage };
            if before.image.is_none() {
                (before.name, before.version) = <_>::default();
            }
        }
        if let Some(bank) = self.bank(number) {
            bank.status = Status::Available;
            bank.version = version.to_owned();
            bank.failure.clear();
            self.active = number;
        }
    }

    /// The device runs this version, whoever saw to it. Another than it ran is none of the images here.
    pub fn runs(&mut self, version: &str) {
        let number = self.active;
        if let Some(bank) = self.bank(number).filter(|bank| bank.version != version) {
            *bank = Bank { version: version.to_owned(), ..Bank::default() };
        }
    }

    /// Whether the stage keeps anything for the device.
    pub fn holds_any(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Notes which images are needed: those of the rows, and `more`. Returns all of them.
    pub fn hold(&mut self, more: impl Iterator<Item = String>) -> BTreeSet<String> {
        let rows = self.banks.iter().filter_map(|bank| Some(bank.image.as_ref()?.image.clone()));
        self.holds = rows.chain(more).collect();
        self.holds.clone()
    }

    /// What the rows show, by whole names.
    pub fn shown(&self) -> Vec<(String, String)> {
        let mut shown = Vec::with_capacity(12);
        for (number, bank) in (1..).zip(&self.banks) {
            let active = self.is_active(number);
            let status = if active { "Active".to_owned() } else { format!("{:?}", bank.status) };
            // TR-181: of an image that is not there, or not whole, nothing is told.
            let whole = active || matches!(bank.status, Status::Available | Status::ActivationFailed);
            let name = if bank.name.is_empty() { &bank.version } else { &bank.name };
            let told = |text: &String| if whole { text.clone() } else { String::new() };
            for (param, value) in [
                ("Status", status),
                ("Available", whole.to_string()),
                ("Name", told(name)),
                ("Version", told(&bank.version)),
                ("BootFailureLog", bank.failure.clone()),
            ] {
                shown.push((format!("{FIRMWARE_IMAGES}{number}.{param}"), value));
            }
        }
        let active = format!("{FIRMWARE_IMAGES}{}", self.active);
        shown.push(("Device.DeviceInfo.ActiveFirmwareImage".into(), active.clone()));
        shown.push(("Device.DeviceInfo.BootFirmwareImage".into(), active));
        shown
    }
}

/// The images in the stage that a stored device needs.
pub fn held_images(entries: &[Entry]) -> BTreeSet<String> {
    Images::restore(entries).map(|images| images.holds).unwrap_or_default()
}

/// Version of the stored form.
const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn value(images: &Images, name: &str) -> String {
        let shown = images.shown().into_iter();
        shown.filter(|(param, _)| param.ends_with(name)).map(|(_, value)| value).next().unwrap()
    }

    #[test]
    fn the_image_that_ran_before_can_be_activated_again_only_where_the_gateway_has_it() {
        let mut images = Images::default();
        images.runs("1.0");
        assert_eq!(value(&images, "FirmwareImage.1.Version"), "1.0");
        assert_eq!(value(&images, "FirmwareImage.2.Status"), "NoImage");
        let staged = |image: &str| Some(Staged { image: image.into(), size: 1 });
        let second =
            Bank { status: Status::Available, name: "b".into(), image: staged("b"), ..<_>::default() };
        *images.bank(2).unwrap() = second;
        images.activate(2, "2.0");
        assert_eq!(value(&images, "ActiveFirmwareImage"), "Device.DeviceInfo.FirmwareImage.2");
        assert_eq!(value(&images, "FirmwareImage.1.Status"), "NoImage");
        assert_eq!(value(&images, "FirmwareImage.1.Name"), "");
        *images.bank(1).unwrap() = Bank { status: Status::Available, image: staged("a"), ..<_>::default() };
        images.activate(1, "3.0");
        assert_eq!(value(&images, "FirmwareImage.2.Status"), "Available");
        assert_eq!(value(&images, "FirmwareImage.2.Version"), "2.0");
        assert_eq!(images.hold(std::iter::empty()).len(), 2);
        // The ACS has given it another one.
        images.runs("4.0");
        assert_eq!(images.hold(std::iter::empty()).len(), 1);
    }

    #[test]
    fn tr_181_an_image_that_is_not_whole_has_no_name() {
        let mut images = Images::default();
        for status in [Status::Downloading, Status::DownloadFailed, Status::ValidationFailed] {
            *images.bank(2).unwrap() = Bank { status, name: "x".into(), ..Bank::default() };
            assert_eq!(value(&images, "FirmwareImage.2.Name"), "");
            assert_eq!(value(&images, "FirmwareImage.2.Available"), "false");
        }
    }

    #[test]
    fn what_is_stored_comes_back_and_an_unknown_form_is_not_guessed_at() {
        let mut images = Images::default();
        images.activate(2, "2.0");
        let Change::Put(entry) = images.change() else { panic!("no entry") };
        assert_eq!(Images::restore(std::slice::from_ref(&entry)), Some(images));
        let other = Entry { value: r#"{"format":2}"#.into(), ..entry };
        assert_eq!(Images::restore(&[other]), None);
    }
}
