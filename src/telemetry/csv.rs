//! CSV reports (RFC 4180, R-BULK.11 to R-BULK.13).

use std::collections::BTreeSet;

use super::report::{Report, Timestamp};

/// `Profile.{i}.CSVEncoding.`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvEncoding {
    pub field_separator: String,
    pub row_separator: String,
    pub escape: String,
    pub layout: CsvLayout,
    pub timestamp: Timestamp,
}

/// `ReportFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CsvLayout {
    ParameterPerRow,
    ParameterPerColumn,
}

impl CsvLayout {
    pub fn name(self) -> &'static str {
        match self {
            Self::ParameterPerRow => "ParameterPerRow",
            Self::ParameterPerColumn => "ParameterPerColumn",
        }
    }
}

impl CsvEncoding {
    pub(super) fn encode(&self, reports: &[Report]) -> Vec<u8> {
        let mut out = String::new();
        match self.layout {
            CsvLayout::ParameterPerRow => self.rows(reports, &mut out),
            CsvLayout::ParameterPerColumn => self.columns(reports, &mut out),
        }
        out.into_bytes()
    }

    fn rows(&self, reports: &[Report], out: &mut String) {
        let stamp = self.timestamp != Timestamp::None;
        let header = ["ReportTimestamp", "ParameterName", "ParameterValue", "ParameterType"];
        self.row(header.iter().skip(usize::from(!stamp)).copied(), out);
        for report in reports {
            for item in &report.items {
                let base = item.value_type.xsd();
                let base = base.rsplit_once(':').map_or(base, |(_, base)| base);
                let at = self.timestamp.write(item.at);
                let fields = [item.name.as_str(), item.value.as_str(), base];
                self.row(at.as_deref().into_iter().chain(fields), out);
            }
        }
    }

    /// A column for each name that is in any of the reports, a row for each report.
    fn columns(&self, reports: &[Report], out: &mut String) {
        let mut known = BTreeSet::new();
        let items = reports.iter().flat_map(|report| &report.items);
        let names: Vec<&str> =
            items.map(|item| item.name.as_str()).filter(|name| known.insert(*name)).collect();
        let stamp = (self.timestamp != Timestamp::None).then_some("ReportTimestamp");
        self.row(stamp.into_iter().chain(names.iter().copied()), out);
        for report in reports {
            let at = self.timestamp.write(report.collected_at);
            let by_name: std::collections::BTreeMap<&str, &str> =
                report.items.iter().map(|item| (item.name.as_str(), item.value.as_str())).collect();
            let values = names.iter().map(|name| by_name.get(name).copied().unwrap_or(""));
            self.row(at.as_deref().into_iter().chain(values), out);
        }
    }

    fn row<'f>(&self, fields: impl Iterator<Item = &'f str>, out: &mut String) {
        for (index, field) in fields.enumerate() {
            if index > 0 {
                out.push_str(&self.field_separator);
            }
            self.field(field, out);
        }
        out.push_str(&self.row_separator);
    }

    /// What holds a separator, the escape or a line end is quoted, the escape within doubled. A field that a
    /// spreadsheet would take for a formula stays as it is: the report is for machines.
    fn field(&self, field: &str, out: &mut String) {
        let holds = |text: &str| !text.is_empty() && field.contains(text);
        let quoted = holds(&self.field_separator)
            || holds(&self.row_separator)
            || holds(&self.escape)
            || field.contains(['\r', '\n']);
        if !quoted || self.escape.is_empty() {
            return out.push_str(field);
        }
        out.push_str(&self.escape);
        out.push_str(&field.replace(&self.escape, &self.escape.repeat(2)));
        out.push_str(&self.escape);
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Item;
    use super::*;
    use crate::datamodel::{ValueType, WallTime};

    fn encoding(layout: CsvLayout, timestamp: Timestamp) -> CsvEncoding {
        let (field_separator, row_separator, escape) = (",".into(), "\r\n".into(), "\"".into());
        CsvEncoding { field_separator, row_separator, escape, layout, timestamp }
    }

    fn item(name: &str, value: &str) -> Item {
        let at = WallTime(1_364_529_149_000);
        Item { name: name.into(), value: value.into(), value_type: ValueType::UnsignedLong, at }
    }

    fn report(seconds: u64, items: Vec<Item>) -> Report {
        Report { collected_at: WallTime(seconds * 1_000), items }
    }

    #[test]
    fn r_bulk_12_r_bulk_13_a_row_has_name_value_and_base_type() {
        let reports = [report(1, vec![item("Device.A.B", "25"), item("C", "say \"x\", y")])];
        let text = encoding(CsvLayout::ParameterPerRow, Timestamp::UnixEpoch).encode(&reports);
        let wanted = "ReportTimestamp,ParameterName,ParameterValue,ParameterType\r\n\
                      1364529149,Device.A.B,25,unsignedLong\r\n\
                      1364529149,C,\"say \"\"x\"\", y\",unsignedLong\r\n";
        assert_eq!(String::from_utf8(text).unwrap(), wanted);
    }

    #[test]
    fn tp469_10_7_reports_that_failed_before_are_rows_of_the_same_table() {
        let reports = [report(1, vec![item("A", "1")]), report(2, vec![item("B", "2"), item("A", "3")])];
        let text = encoding(CsvLayout::ParameterPerColumn, Timestamp::UnixEpoch).encode(&reports);
        assert_eq!(String::from_utf8(text).unwrap(), "ReportTimestamp,A,B\r\n1,1,\r\n2,3,2\r\n");
        let text = encoding(CsvLayout::ParameterPerColumn, Timestamp::None).encode(&reports[..1]);
        assert_eq!(String::from_utf8(text).unwrap(), "A\r\n1\r\n");
    }
}
