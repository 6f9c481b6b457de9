//! Paths with `{i}` where instance numbers stand, and numbers where one fixed instance is meant.

/// A path of the supported data model, some of whose instances may be fixed
/// (`InternetGatewayDevice.LANDevice.1.Hosts.Host.{i}.`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Box<str>);

impl Template {
    pub fn new(path: &str) -> Self {
        Self(path.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for each instance of a table.
    pub fn is_each_instance(&self) -> bool {
        self.0.ends_with(EACH_INSTANCE)
    }

    /// The table of which it stands for each instance.
    pub fn table(&self) -> Option<Self> {
        let table = self.0.strip_suffix(EACH_INSTANCE)?;
        Some(Self::new(&format!("{table}.")))
    }

    /// The instance numbers of a path that it fits, in their order.
    pub fn bind<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut numbers = Vec::new();
        let mut given = path.split('.');
        for wanted in self.0.split('.') {
            let segment = given.next()?;
            if wanted == PLACE && is_instance(segment) {
                numbers.push(segment);
            } else if wanted != segment {
                return None;
            }
        }
        given.next().is_none().then_some(numbers)
    }

    /// The path with these instance numbers. Places beyond the last number stay as they are.
    pub fn fill(&self, numbers: &[&str]) -> String {
        let mut path = String::with_capacity(self.0.len() + 2 * numbers.len());
        let mut parts = self.0.split(PLACE);
        path.push_str(parts.next().unwrap_or(""));
        let mut numbers = numbers.iter();
        for part in parts {
            path.push_str(numbers.next().copied().unwrap_or(PLACE));
            path.push_str(part);
        }
        path
    }

    /// How many instance numbers it takes.
    #[cfg(test)]
    pub fn places(&self) -> usize {
        self.0.matches(PLACE).count()
    }
}

fn is_instance(segment: &str) -> bool {
    segment.bytes().all(|b| b.is_ascii_digit()) && segment.parse::<u32>().is_ok_and(|number| number > 0)
}

const PLACE: &str = "{i}";
const EACH_INSTANCE: &str = ".{i}.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_instance_fits_no_other_number() {
        let template = Template::new("I.LANDevice.1.Host.{i}.Name");
        assert_eq!(template.bind("I.LANDevice.1.Host.12.Name"), Some(vec!["12"]));
        assert_eq!(template.bind("I.LANDevice.2.Host.12.Name"), None);
        assert_eq!(template.bind("I.LANDevice.1.Host.0.Name"), None);
        assert_eq!(template.bind("I.LANDevice.1.Host.x.Name"), None);
        assert_eq!(template.bind("I.LANDevice.1.Host.12.Name.More"), None);
        assert_eq!(template.bind("I.LANDevice.1.Host.12."), None);
    }

    #[test]
    fn numbers_are_put_in_in_their_order() {
        let template = Template::new("D.T.{i}.U.{i}.");
        assert_eq!(template.fill(&["3", "14"]), "D.T.3.U.14.");
        assert_eq!(template.table().map(|table| table.fill(&["3"])), Some("D.T.3.U.".to_owned()));
    }
}
