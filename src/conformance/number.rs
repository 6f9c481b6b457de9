//! Numbers of TP-469 and choices among them.

use std::fmt;
use std::str::FromStr;

/// The number of a check: section and place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u16, pub u16);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Which checks to run: `1.3`, `2.*` or `2`, separated by commas; by default all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(Vec<(u16, Option<u16>)>);

impl Selection {
    /// Whether a check is wanted.
    pub fn wants(&self, number: Number) -> bool {
        let named = |(section, place): &(u16, Option<u16>)| {
            *section == number.0 && place.is_none_or(|place| place == number.1)
        };
        self.0.is_empty() || self.0.iter().any(named)
    }

    /// Whether a check is asked for by its own number.
    pub fn names(&self, number: Number) -> bool {
        self.0.contains(&(number.0, Some(number.1)))
    }
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |item: &str| format!("'{item}' is no number of a check, such as 1.3, 2.* or 2");
        let mut wanted = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (section, place) = item.split_once('.').unwrap_or((item, "*"));
            let section = section.parse().map_err(|_| wrong(item))?;
            let place = match place {
                "*" => None,
                place => Some(place.parse().map_err(|_| wrong(item))?),
            };
            wanted.push((section, place));
        }
        Ok(Self(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_names_checks_and_whole_sections() {
        let selection: Selection = "1.3, 2.*,11".parse().unwrap();
        let wanted = [Number(1, 3), Number(2, 9), Number(11, 1)];
        assert!(wanted.into_iter().all(|number| selection.wants(number)));
        assert!(!selection.wants(Number(1, 30)) && !selection.wants(Number(3, 1)));
        assert!(selection.names(Number(1, 3)) && !selection.names(Number(2, 9)));
        assert!(Selection::default().wants(Number(9, 9)));
        assert!("1.x".parse::<Selection>().is_err());
    }

    #[test]
    fn numbers_are_in_the_order_of_the_plan() {
        assert!(Number(1, 9) < Number(1, 10) && Number(1, 107) < Number(2, 1));
    }
}
