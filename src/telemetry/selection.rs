//! What a profile's `Parameter` rows select, and under which names it is reported (R-BULK.9, R-BULK.10).

use crate::usp::path::{PathExpr, Segment};

/// One row: an alternative name, a reference, and whether it takes things out (R-BULK.10a).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Empty: parameters keep their paths.
    pub name: String,
    pub reference: PathExpr,
    pub exclude: bool,
}

impl Selection {
    /// The name under which a parameter that the reference names is reported; `None` if it is not named.
    /// Searches count as wildcards: what they found is decided by who resolved them.
    pub fn name_of(&self, param: &str) -> Option<String> {
        let mut rest = param;
        let mut wild = String::new();
        for segment in &self.reference.segments {
            let (head, tail) = rest.split_once('.')?;
            let number = || head.parse::<u32>().ok();
            match segment {
                Segment::Name(name) if name == head => {}
                Segment::Instance(wanted) if number() == Some(*wanted) => {}
                Segment::Wildcard | Segment::Search(_) => {
                    wild.push('.');
                    wild.push_str(&number()?.to_string());
                }
                _ => return None,
            }
            rest = tail;
        }
        match &self.reference.param {
            Some(wanted) if wanted != rest => None,
            _ if self.name.is_empty() => Some(param.to_owned()),
            Some(_) => Some(format!("{}{wild}", self.name)),
            None => Some(format!("{}{wild}.{rest}", self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, reference: &str, param: &str) -> Option<String> {
        let reference = PathExpr::parse(reference).unwrap();
        Selection { name: name.into(), reference, exclude: false }.name_of(param)
    }

    const BYTES: &str = "Device.WiFi.AccessPoint.3.AssociatedDevice.11.Stats.BytesSent";

    #[test]
    fn r_bulk_9_r_bulk_10_names_carry_what_wildcards_and_objects_leave_open() {
        let all = "Device.WiFi.AccessPoint.*.AssociatedDevice.*.Stats.BytesSent";
        assert_eq!(name("Sent", all, BYTES).as_deref(), Some("Sent.3.11"));
        let object = "Device.WiFi.AccessPoint.3.AssociatedDevice.11.Stats.";
        assert_eq!(name("AP", object, BYTES).as_deref(), Some("AP.BytesSent"));
        let both = "Device.WiFi.AccessPoint.*.AssociatedDevice.*.Stats.";
        assert_eq!(name("AP", both, BYTES).as_deref(), Some("AP.3.11.BytesSent"));
        assert_eq!(
            name("AP", "Device.WiFi.AccessPoint.", BYTES).as_deref(),
            Some("AP.3.AssociatedDevice.11.Stats.BytesSent")
        );
        assert_eq!(name("Sent", BYTES, BYTES).as_deref(), Some("Sent"));
        assert_eq!(name("", all, BYTES).as_deref(), Some(BYTES));
    }

    #[test]
    fn other_parameters_are_not_named() {
        for reference in [
            "Device.WiFi.AccessPoint.*.AssociatedDevice.*.Stats.BytesReceived",
            "Device.WiFi.AccessPoint.4.",
            "Device.WiFi.SSID.",
            "Device.WiFi.AccessPoint.*.AssociatedDevice.*.Stats.BytesSent.",
        ] {
            assert_eq!(name("x", reference, BYTES), None, "{reference}");
        }
    }
}
