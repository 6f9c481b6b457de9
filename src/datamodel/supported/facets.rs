//! Whether a text is a value that a row of the standard allows: its type, then lengths, ranges and
//! enumerations (TR-106 3.2). For objects that the gateway holds itself; what a CPE takes, the CPE decides.

use thiserror::Error;

use crate::datamodel::{ValueType, WallTime};

use super::row::Row;

/// Why a text is no value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Misfit {
    #[error("is no value of type {0}")]
    Type(&'static str),
    #[error("is not one of {0}")]
    Enumeration(String),
    #[error("has a length outside of {0}")]
    Length(String),
    #[error("is outside of the range {0}")]
    Range(String),
}

impl Row {
    /// Checks a whole value; of a list each item, where the empty text is the empty list.
    pub fn check(&self, text: &str) -> Result<(), Misfit> {
        if !self.is_list {
            return self.check_item(text);
        }
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.into_iter().try_for_each(|item| self.check_item(item))
    }

    fn check_item(&self, text: &str) -> Result<(), Misfit> {
        let item_type = self.item_type.unwrap_or(ValueType::String);
        if !is_of(item_type, text) {
            return Err(Misfit::Type(item_type.xsd()));
        }
        self.check_length(item_type, text)?;
        self.check_range(text)?;
        let mut allowed = self.enums().peekable();
        if allowed.peek().is_some() && !allowed.any(|known| known == text) {
            return Err(Misfit::Enumeration(self.enums().collect::<Vec<_>>().join(", ")));
        }
        Ok(())
    }

    fn check_length(&self, item_type: ValueType, text: &str) -> Result<(), Misfit> {
        let length = match item_type {
            ValueType::HexBinary => text.len() / 2,
            ValueType::Base64 => text.trim_end_matches('=').len() * 3 / 4,
            _ => text.chars().count(),
        };
        let length = i128::try_from(length).unwrap_or(i128::MAX);
        let mut sizes = self.sizes().peekable();
        let fits = sizes.peek().is_none() || sizes.any(|size| bounds(size, "0").holds(length));
        if fits { Ok(()) } else { Err(Misfit::Length(self.sizes().collect::<Vec<_>>().join(", "))) }
    }

    fn check_range(&self, text: &str) -> Result<(), Misfit> {
        // Ranges of decimals are not used by anything that is checked here.
        let Ok(number) = text.parse::<i128>() else { return Ok(()) };
        let mut ranges = self.ranges().peekable();
        let fits = ranges.peek().is_none() || ranges.any(|range| bounds(range, "").holds(number));
        if fits { Ok(()) } else { Err(Misfit::Range(self.ranges().collect::<Vec<_>>().join(", "))) }
    }
}

/// Stricter than what is taken from CPEs: a value that the gateway is to work with must mean something.
fn is_of(value_type: ValueType, text: &str) -> bool {
    match value_type {
        // The unknown time, and times before 1970, have no WallTime.
        ValueType::DateTime => WallTime::parse(text).is_some() || text.starts_with("0001-01-01T00:00:00"),
        ValueType::Base64 => {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
        }
        known => known.accepts(text),
    }
}

struct Bounds {
    least: i128,
    most: i128,
    step: i128,
}

impl Bounds {
    fn holds(&self, number: i128) -> bool {
        (self.least..=self.most).contains(&number) && (number - self.least) % self.step == 0
    }
}

/// `min:max/step`, where each may be missing; one number alone is the most, with `least` at the other end.
fn bounds(facet: &str, least: &str) -> Bounds {
    let (range, step) = facet.split_once('/').unwrap_or((facet, ""));
    let (from, to) = range.split_once(':').unwrap_or((least, range));
    let number = |text: &str, other: i128| text.parse().unwrap_or(other);
    let step = number(step, 1).max(1);
    Bounds {
        least: number(from, if step > 1 { 0 } else { i128::MIN / 2 }),
        most: number(to, i128::MAX / 2),
        step,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Supported;
    use super::*;

    fn check(path: &str, text: &str) -> Result<(), Misfit> {
        Supported::device2().find(&format!("Device.LocalAgent.{path}")).unwrap().check(text)
    }

    #[test]
    fn types_are_told_apart_from_values() {
        let controller = "Controller.{i}.";
        let wait = format!("{controller}USPNotifRetryMinimumWaitInterval");
        assert_eq!(check(&wait, "70000"), Err(Misfit::Range("1:65535".into())));
        assert_eq!(check(&wait, "often"), Err(Misfit::Type("xsd:unsignedInt")));
        assert_eq!(check(&wait, "5"), Ok(()));
        assert_eq!(
            check(&format!("{controller}PeriodicNotifTime"), "soon"),
            Err(Misfit::Type("xsd:dateTime"))
        );
        assert_eq!(check(&format!("{controller}PeriodicNotifTime"), "0001-01-01T00:00:00Z"), Ok(()));
        let size = format!("{controller}E2ESession.MaxUSPRecordSize");
        assert_eq!((check(&size, "0"), check(&size, "512")), (Ok(()), Ok(())));
        assert!(check(&size, "100").is_err());
    }

    #[test]
    fn lengths_and_enumerations_bind_each_item_of_a_list() {
        let permission = "ControllerTrust.Role.{i}.Permission.{i}.Param";
        assert_eq!(
            (check(permission, "r--n"), check(permission, "rw")),
            (Ok(()), Err(Misfit::Length("4:4".into())))
        );
        assert!(check("Subscription.{i}.NotifType", "Nothing").is_err());
        assert_eq!(check("Subscription.{i}.ID", ""), Err(Misfit::Length("1:64".into())));
        assert_eq!(check("Subscription.{i}.ReferenceList", ""), Ok(()));
        let long = "x".repeat(257);
        assert!(check("Subscription.{i}.ReferenceList", &format!("Device.A.,{long}")).is_err());
    }
}
