//! `Device.BulkData.Profile.{i}.`: what is collected, when, and where the reports go.

use crate::agent::ways::LinkKey;
use crate::datamodel::{WallTime, path};
use crate::telemetry::{
    CsvEncoding, CsvLayout, Encoding, JsonEncoding, JsonLayout, Schedule, Selection, Timestamp,
};
use crate::usp::Retry;
use crate::usp::path::PathExpr;

use super::local_agent::LocalAgent;
use super::tree::{Tree, as_object};

/// A profile that is enabled and complete.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Profile {
    pub instance: u32,
    /// The row of the controller that made it: by its rights data is collected.
    pub controller: String,
    pub schedule: Schedule,
    pub selections: Vec<Selection>,
    pub encoding: Encoding,
    /// Reports of earlier intervals to keep; `None`: as many as there is room for.
    pub retained: Option<usize>,
    pub delivery: Delivery,
}

#[derive(Debug, Clone)]
pub(in crate::agent) enum Delivery {
    /// `Protocol` USPEventNotif: as `Push!` events.
    Push,
    Http(Http),
    Mqtt(Mqtt),
}

/// `Profile.{i}.MQTT.`
#[derive(Debug, Clone)]
pub(in crate::agent) struct Mqtt {
    pub link: LinkKey,
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
}

/// `Profile.{i}.HTTP.`
#[derive(Debug, Clone)]
pub(in crate::agent) struct Http {
    pub url: String,
    pub method: &'static str,
    pub gzip: bool,
    pub date: bool,
    pub credentials: Option<(String, String)>,
    /// The waits of retries, where there are any.
    pub retry: Option<Retry>,
    /// Names and references of what goes into the query.
    pub uri_parameters: Vec<(String, String)>,
}

impl Profile {
    /// The references whose values the query needs.
    pub fn uri_references(&self) -> impl Iterator<Item = &str> {
        let parameters = match &self.delivery {
            Delivery::Http(http) => http.uri_parameters.as_slice(),
            Delivery::Push | Delivery::Mqtt(_) => &[],
        };
        parameters.iter().map(|(_, reference)| reference.as_str())
    }

    /// Reads a row; `None` for one that is disabled or lacks something.
    fn read(tree: &Tree, instance: u32) -> Option<Self> {
        let row = format!("{PROFILES}{instance}.");
        if !tree.is(&format!("{row}Enable")) {
            return None;
        }
        let value = |name: &str| tree.value(&format!("{row}{name}"));
        let schedule = Schedule {
            interval: tree.number(&format!("{row}ReportingInterval"))?,
            reference: value("TimeReference").and_then(WallTime::parse),
        };
        let delivery = match value("Protocol")? {
            "USPEventNotif" => Delivery::Push,
            "HTTP" => Delivery::Http(Http::read(tree, &row)?),
            "MQTT" => Delivery::Mqtt(Mqtt::read(tree, &row)?),
            _ => return None,
        };
        Some(Self {
            instance,
            controller: value("Controller")?.to_owned(),
            schedule,
            selections: selections(tree, &row),
            encoding: encoding(tree, &row)?,
            retained: value("NumberOfRetainedFailedReports")?.parse().ok(),
            delivery,
        })
    }
}

impl Http {
    fn read(tree: &Tree, row: &str) -> Option<Self> {
        let value = |name: &str| tree.value(&format!("{row}HTTP.{name}"));
        let number = |name: &str| tree.number(&format!("{row}HTTP.{name}"));
        let url = value("URL").filter(|url| !url.is_empty())?;
        let usual = Retry::default();
        let retry = Retry {
            minimum: number("RetryMinimumWaitInterval").unwrap_or(usual.minimum),
            multiplier: number("RetryIntervalMultiplier").unwrap_or(usual.multiplier),
        };
        let user = value("Username").filter(|user| !user.is_empty());
        let parameters = tree.rows(&format!("{row}HTTP.RequestURIParameter.")).into_iter();
        let parameters = parameters.filter_map(|row| {
            let value = |name: &str| tree.value(&format!("{row}{name}"));
            Some((value("Name")?.to_owned(), value("Reference")?.to_owned()))
        });
        Some(Self {
            url: url.to_owned(),
            method: if value("Method") == Some("PUT") { "PUT" } else { "POST" },
            gzip: value("Compression") == Some("GZIP"),
            date: tree.is(&format!("{row}HTTP.UseDateHeader")),
            credentials: user.map(|user| (user.to_owned(), value("Password").unwrap_or("").to_owned())),
            retry: tree.is(&format!("{row}HTTP.RetryEnable")).then_some(retry),
            uri_parameters: parameters.collect(),
        })
    }
}

impl Mqtt {
    fn read(tree: &Tree, row: &str) -> Option<Self> {
        let value = |name: &str| tree.value(&format!("{row}MQTT.{name}"));
        let client = path::instance(&as_object(value("Reference").filter(|client| !client.is_empty())?))?;
        Some(Self {
            link: LinkKey::Mqtt(client),
            topic: value("PublishTopic").filter(|topic| !topic.is_empty())?.to_owned(),
            qos: value("PublishQoS")?.parse().ok()?,
            retain: tree.is(&format!("{row}MQTT.PublishRetain")),
        })
    }
}

impl LocalAgent {
    /// The profiles that are enabled, if bulk data collection is.
    pub fn profiles(&self) -> Vec<Profile> {
        if !self.tree.is("Device.BulkData.Enable") {
            return Vec::new();
        }
        let rows = self.tree.model.instances(PROFILES).into_iter();
        rows.filter_map(|instance| Profile::read(&self.tree, instance)).collect()
    }

    pub fn profile(&self, instance: u32) -> Option<Profile> {
        self.tree.is("Device.BulkData.Enable").then(|| Profile::read(&self.tree, instance))?
    }
}

fn selections(tree: &Tree, row: &str) -> Vec<Selection> {
    let rows = tree.rows(&format!("{row}Parameter.")).into_iter();
    let read = rows.filter_map(|row| {
        Some(Selection {
            name: tree.value(&format!("{row}Name"))?.to_owned(),
            reference: PathExpr::parse(tree.value(&format!("{row}Reference"))?).ok()?,
            exclude: tree.is(&format!("{row}Exclude")),
        })
    });
    read.collect()
}

fn encoding(tree: &Tree, row: &str) -> Option<Encoding> {
    let value = |name: &str| tree.value(&format!("{row}{name}"));
    Some(match value("EncodingType")? {
        "JSON" => Encoding::Json(JsonEncoding {
            layout: match value("JSONEncoding.ReportFormat")? {
                "NameValuePair" => JsonLayout::NameValuePair,
                _ => JsonLayout::ObjectHierarchy,
            },
            timestamp: Timestamp::parse(value("JSONEncoding.ReportTimestamp")?)?,
        }),
        "CSV" => Encoding::Csv(CsvEncoding {
            field_separator: value("CSVEncoding.FieldSeparator")?.to_owned(),
            row_separator: value("CSVEncoding.RowSeparator")?.to_owned(),
            escape: value("CSVEncoding.EscapeCharacter")?.to_owned(),
            layout: match value("CSVEncoding.ReportFormat")? {
                "ParameterPerRow" => CsvLayout::ParameterPerRow,
                _ => CsvLayout::ParameterPerColumn,
            },
            timestamp: Timestamp::parse(value("CSVEncoding.RowTimestamp")?)?,
        }),
        _ => return None,
    })
}

pub(super) const PROFILES: &str = "Device.BulkData.Profile.";
