//! JSON reports (RFC 8259; TR-369 A.6.2).

use serde_json::{Map, Number, Value as Json};

use crate::datamodel::ValueType;

use super::report::{Item, Report, Timestamp};

/// `Profile.{i}.JSONEncoding.`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonEncoding {
    pub layout: JsonLayout,
    pub timestamp: Timestamp,
}

/// `ReportFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonLayout {
    ObjectHierarchy,
    NameValuePair,
}

impl JsonLayout {
    pub fn name(self) -> &'static str {
        match self {
            Self::ObjectHierarchy => "ObjectHierarchy",
            Self::NameValuePair => "NameValuePair",
        }
    }
}

impl JsonEncoding {
    pub(super) fn encode(&self, reports: &[Report]) -> Vec<u8> {
        let reports = reports.iter().map(|report| Json::Object(self.report(report)));
        let whole = Map::from_iter([("Report".to_owned(), Json::Array(reports.collect()))]);
        // Text keys and finite numbers always have a JSON form.
        serde_json::to_vec(&Json::Object(whole)).unwrap_or_default()
    }

    fn report(&self, report: &Report) -> Map<String, Json> {
        let mut object = Map::new();
        if let Some(at) = self.timestamp.write(report.collected_at) {
            let at = at.parse::<u64>().map_or(Json::String(at), Json::from);
            object.insert("CollectionTime".into(), at);
        }
        for item in &report.items {
            match self.layout {
                JsonLayout::NameValuePair => {
                    object.insert(item.name.clone(), value(item));
                }
                JsonLayout::ObjectHierarchy => place(&mut object, &item.name, value(item)),
            }
        }
        object
    }
}

/// Puts a value where its path leads. Where a name is already a value it keeps its place, and what would
/// stand below it is put beside it under its whole name, so that nothing is lost.
fn place(object: &mut Map<String, Json>, path: &str, value: Json) {
    let mut at = object;
    let mut rest = path;
    while let Some((head, tail)) = rest.split_once('.') {
        if at.get(head).is_some_and(|known| !known.is_object()) {
            break;
        }
        let next = at.entry(head).or_insert_with(|| Json::Object(Map::new()));
        let Json::Object(next) = next else { return };
        (at, rest) = (next, tail);
    }
    at.insert(rest.to_owned(), value);
}

/// Numbers and booleans as such, where the device's text is one.
fn value(item: &Item) -> Json {
    let text = item.value.as_str();
    match item.value_type {
        ValueType::Boolean => match text {
            "true" | "1" => Json::Bool(true),
            "false" | "0" => Json::Bool(false),
            _ => Json::String(text.into()),
        },
        ValueType::Decimal => {
            let number = text.parse::<f64>().ok().and_then(Number::from_f64);
            number.map_or_else(|| Json::String(text.into()), Json::Number)
        }
        known if known.is_number() => {
            let number = text.parse::<i64>().map(Json::from).or_else(|_| text.parse::<u64>().map(Json::from));
            number.unwrap_or_else(|_| Json::String(text.into()))
        }
        _ => Json::String(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datamodel::WallTime;
    use proptest::prelude::*;

    fn item(name: &str, value: &str, value_type: ValueType) -> Item {
        Item { name: name.into(), value: value.into(), value_type, at: WallTime(0) }
    }

    fn encode(layout: JsonLayout, items: Vec<Item>) -> Json {
        let report = Report { collected_at: WallTime(1_364_529_149_000), items };
        let encoding = JsonEncoding { layout, timestamp: Timestamp::UnixEpoch };
        serde_json::from_slice(&encoding.encode(&[report])).unwrap()
    }

    #[test]
    fn tp469_10_1_values_have_the_types_that_the_standard_gives_them() {
        let items = vec![
            item("Device.A.1.Count", "25248", ValueType::UnsignedLong),
            item("Device.A.1.Up", "1", ValueType::Boolean),
            item("Device.A.1.Name", "7", ValueType::String),
        ];
        let said = encode(JsonLayout::ObjectHierarchy, items.clone());
        let wanted = serde_json::json!({"Report": [{
            "CollectionTime": 1_364_529_149,
            "Device": {"A": {"1": {"Count": 25248, "Up": true, "Name": "7"}}},
        }]});
        assert_eq!(said, wanted);
        let flat = encode(JsonLayout::NameValuePair, items);
        assert_eq!(flat["Report"][0]["Device.A.1.Up"], Json::Bool(true));
    }

    #[test]
    fn names_that_get_into_each_others_way_lose_nothing() {
        let items = vec![item("A", "x", ValueType::String), item("A.B", "y", ValueType::String)];
        let said = encode(JsonLayout::ObjectHierarchy, items);
        assert_eq!((&said["Report"][0]["A"], &said["Report"][0]["A.B"]), (&"x".into(), &"y".into()));
    }

    proptest! {
        #[test]
        fn arbitrary_names_and_values_give_json(
            items in prop::collection::vec(("[A-C.]{0,6}", any::<String>(), 1_u8..=10), 0..20),
        ) {
            let items = items.into_iter().filter_map(|(name, value, value_type)| {
                Some(item(&name, &value, ValueType::from_number(value_type)?))
            });
            let items: Vec<Item> = items.collect();
            prop_assert!(encode(JsonLayout::ObjectHierarchy, items)["Report"].is_array());
        }
    }
}
