//! The stored form of a firmware's model: a format byte, then deflated lines, one for each name: the name, a
//! tab, `w` where writable, `v` where it varies, and the number of a type where one was seen. Lines with an
//! asterisk for the flags tell who walked a branch.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::ValueType;
use super::blob::{BlobError, deflate, inflate};
use super::firmware::{Common, Firmware};

impl Firmware {
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        let names: BTreeSet<_> = self.names.keys().chain(self.types.keys()).collect();
        for name in names {
            let common = self.names.get(name);
            let flags = common.map_or("-", |common| match (common.writable, common.varies) {
                (true, true) => "wv",
                (true, false) => "w",
                (false, true) => "v",
                (false, false) => "",
            });
            let value_type = self.types.get(name).map_or(0, |known| *known as u8);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}\t{flags}\t{value_type}");
        }
        for (branch, walkers) in &self.walkers {
            for walker in walkers {
                let _ = writeln!(text, "{branch}\t*\t{walker}");
            }
        }
        deflate(FORMAT, text.as_bytes())
    }

    pub fn decode(blob: &[u8]) -> Result<Self, BlobError> {
        let (format, deflated) = blob.split_first().ok_or(BlobError::Cut)?;
        if *format != FORMAT {
            return Err(BlobError::Format(*format, FORMAT));
        }
        let mut firmware = Self::default();
        for line in inflate(deflated)?.lines() {
            firmware.read(line).ok_or_else(|| BlobError::Line(line.chars().take(80).collect()))?;
        }
        Ok(firmware)
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let mut fields = line.split('\t');
        let (name, flags, value_type) = (fields.next()?, fields.next()?, fields.next()?);
        if flags == "*" {
            self.walkers.entry(name.into()).or_default().insert(value_type.parse().ok()?);
            return Some(());
        }
        if flags != "-" {
            let common = Common { writable: flags.contains('w'), varies: flags.contains('v') };
            self.names.insert(name.into(), common);
        }
        if let Some(known) = ValueType::from_number(value_type.parse().ok()?) {
            self.types.insert(name.into(), known);
        }
        Some(())
    }
}

/// Version of this form.
const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_model_comes_back_from_its_blob() {
        let names = [("Device.X.T.1.A", true), ("Device.X.T.2.B", false), ("Device.X.C", false)];
        let mut model = Firmware::of_walk("Device.X.", 7, names.into_iter());
        model.note_type("Device.X.C", ValueType::Boolean);
        model.note_type("Device.Y.Z", ValueType::Int);
        assert_eq!(Firmware::decode(&model.encode()), Ok(model));
        assert_eq!(Firmware::decode(&[9, 1]), Err(BlobError::Format(9, FORMAT)));
    }

    proptest! {
        #[test]
        fn arbitrary_blobs_never_panic(blob in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Firmware::decode(&blob);
            let _ = Firmware::decode(&[&[FORMAT], &blob[..]].concat());
        }
    }
}
