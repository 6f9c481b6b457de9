//! What bulk data reports must be like (TR-369 Annex A): their headers, their encoding, the names in them.

use crate::conformance::check::{Stop, Verdict};
use crate::conformance::expect::{ensure, fail};

/// How a report is encoded; for CSV, with what separates fields and rows, and the escape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Csv { field: String, row: String, escape: String },
}

/// What the names of a report must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This one alone.
    One(&'static str),
    /// At least two of boot parameters by a wildcard.
    Enabled,
    /// At least one, all of controllers.
    Controllers,
    /// These, all of which begin so.
    All(&'static str, Vec<String>),
}

impl Encoding {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Csv { .. } => "CSV",
        }
    }

    /// R-BULK.7, R-BULK.8a, R-BULK.11.
    pub fn check_media_type(&self, text: Option<&str>) -> Verdict {
        let Some(text) = text else { return fail("there is no content type (R-BULK.7)") };
        let mut parts = text.split(';').map(str::trim);
        let wanted = match self {
            Self::Json => "application/json",
            Self::Csv { .. } => "text/csv",
        };
        let kind = parts.next().unwrap_or("");
        ensure(kind.eq_ignore_ascii_case(wanted), || {
            format!("the content type is {text:?}, not {wanted} (R-BULK.7)")
        })?;
        let given: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let has = |name: &str, fits: &dyn Fn(&str) -> bool| {
            given.iter().any(|(key, value)| {
                key.trim().eq_ignore_ascii_case(name) && fits(value.trim().trim_matches('"'))
            })
        };
        ensure(has("charset", &|value| !value.is_empty()), || {
            format!("the content type {text:?} names no charset (R-BULK.7)")
        })?;
        let header = *self == Self::Json || has("header", &|value| value.eq_ignore_ascii_case("present"));
        ensure(header, || format!("the content type {text:?} does not tell of the header line (R-BULK.11)"))
    }

    /// R-BULK.8: the header names the format that the profile has.
    pub fn check_format(&self, text: Option<&str>, profile: &str) -> Verdict {
        let Some(text) = text else { return fail("there is no header BBF-Report-Format (R-BULK.8)") };
        let format = text.trim().trim_matches('"');
        ensure(format == profile, || {
            format!("BBF-Report-Format is {text:?}, where the profile has {profile:?} (R-BULK.8)")
        })
    }

    /// The names of what a report tells.
    pub fn names(&self, body: &[u8]) -> Result<Vec<String>, Stop> {
        let Ok(text) = std::str::from_utf8(body) else { return fail("the report is no UTF-8") };
        match self {
            Self::Json => match serde_json::from_str(text) {
                Ok(report) => json_names(&report),
                Err(error) => fail(format!("the report is no JSON: {error}: {text:?}")),
            },
            Self::Csv { field, row, escape } => {
                let rows = rows(text, [field, row, escape]).map_err(|why| {
                    Stop::Fail(format!("the report is no CSV as the profile has it: {why}: {text:?}"))
                })?;
                csv_names(&rows)
            }
        }
    }
}

impl Wanted {
    pub fn check(&self, names: &[String]) -> Verdict {
        let fits = match self {
            Self::One(name) => names == [*name],
            Self::Enabled => {
                let all = names.iter().all(|name| is_below("Enabled", 2, name));
                all && names.len() >= 2
            }
            Self::Controllers => {
                !names.is_empty() && names.iter().all(|name| is_below("Controller", 1, name))
            }
            Self::All(first, wanted) => {
                let missing: Vec<&String> = wanted.iter().filter(|name| !names.contains(name)).collect();
                ensure(missing.is_empty(), || format!("the report does not tell {missing:?}"))?;
                names.iter().all(|name| name.strip_prefix(first).is_some_and(|rest| rest.starts_with('.')))
            }
        };
        ensure(fits, || format!("the names in the report are not those asked for: {names:?}"))
    }
}

/// R-BULK.1: the device is named in the query.
pub(super) fn check_query(query: &[(String, String)]) -> Verdict {
    let has = |wanted: &str| query.iter().any(|(name, value)| name == wanted && !value.is_empty());
    ensure(has("eid") || ["oui", "pc", "sn"].into_iter().all(has), || {
        format!("neither oui, pc and sn nor eid are in the query {query:?} (R-BULK.1)")
    })
}

/// Whether a name in a report begins so, followed by as many instance numbers.
fn is_below(first: &str, numbers: usize, name: &str) -> bool {
    let mut parts = name.split('.');
    parts.next() == Some(first)
        && parts.by_ref().take(numbers).filter(|part| part.parse::<u32>().is_ok()).count() == numbers
}

/// Of either format of JSON.
fn json_names(report: &serde_json::Value) -> Result<Vec<String>, Stop> {
    let Some(told) = report["Report"].as_array().filter(|told| !told.is_empty()) else {
        return fail(format!("the report has no member Report with reports in it: {report}"));
    };
    let mut names = Vec::new();
    let told = told.iter().filter_map(serde_json::Value::as_object);
    for (name, value) in told.flatten().filter(|(name, _)| *name != "CollectionTime") {
        gather(name, value, &mut names);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn gather(at: &str, value: &serde_json::Value, names: &mut Vec<String>) {
    match value.as_object() {
        Some(below) => below.iter().for_each(|(name, value)| gather(&format!("{at}.{name}"), value, names)),
        None => names.push(at.to_owned()),
    }
}

/// Of either format of CSV: a column for each name, or a row (R-BULK.12).
fn csv_names(rows: &[Vec<String>]) -> Result<Vec<String>, Stop> {
    let Some((header, rows)) = rows.split_first() else { return fail("there is no header line (R-BULK.11)") };
    ensure(!rows.is_empty(), || "there are no rows after the header line".to_owned())?;
    if let Some(row) = rows.iter().find(|row| row.len() != header.len()) {
        return fail(format!("the row {row:?} has not as many fields as the header line {header:?}"));
    }
    let columns: Vec<&str> =
        header.iter().map(String::as_str).filter(|name| *name != "ReportTimestamp").collect();
    let Some(at) = header.iter().position(|name| name == "ParameterName") else {
        return Ok(columns.into_iter().map(str::to_owned).collect());
    };
    let wanted = ["ParameterName", "ParameterValue", "ParameterType"];
    ensure(columns == wanted, || format!("the columns are {columns:?}, not {wanted:?} (R-BULK.12)"))?;
    let mut names: Vec<String> = rows.iter().filter_map(|row| row.get(at).cloned()).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The fields of CSV, by these separators of fields and rows and this escape (RFC 4180).
fn rows(text: &str, [field, row, escape]: [&str; 3]) -> Result<Vec<Vec<String>>, String> {
    if field.is_empty() || row.is_empty() {
        return Err("the profile has no separators".into());
    }
    let (mut all, mut fields, mut rest) = (Vec::new(), Vec::new(), text);
    while !rest.is_empty() {
        let mut value = String::new();
        let quoted = (!escape.is_empty()).then(|| rest.strip_prefix(escape)).flatten();
        if let Some(mut inner) = quoted {
            loop {
                let at = inner.find(escape).ok_or("a quoted field does not end")?;
                value.push_str(&inner[..at]);
                inner = &inner[at + escape.len()..];
                match inner.strip_prefix(escape) {
                    Some(more) => {
                        value.push_str(escape);
                        inner = more;
                    }
                    None => break,
                }
            }
            rest = inner;
        } else {
            let ends = [rest.find(field), rest.find(row)].into_iter().flatten();
            let at = ends.min().unwrap_or(rest.len());
            value.push_str(&rest[..at]);
            rest = &rest[at..];
        }
        fields.push(value);
        if let Some(next) = rest.strip_prefix(field) {
            rest = next;
            if rest.is_empty() {
                fields.push(String::new());
            }
        } else if let Some(next) = rest.strip_prefix(row) {
            all.push(std::mem::take(&mut fields));
            rest = next;
        } else if !rest.is_empty() {
            return Err("something follows a quoted field".into());
        }
    }
    if !fields.is_empty() {
        all.push(fields);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv() -> Encoding {
        Encoding::Csv { field: ",".into(), row: "\r\n".into(), escape: "\"".into() }
    }

    fn why(verdict: Result<impl std::fmt::Debug, Stop>) -> String {
        match verdict.expect_err("it passes") {
            Stop::Fail(why) | Stop::NotApplicable(why) => why,
        }
    }

    #[test]
    fn tp469_10_11_both_formats_of_json_tell_the_same_names() {
        let hierarchy = r#"{"Report":[{"CollectionTime":1,"Enabled":{"3":{"1":true,"2":true}},"UpTime":2}]}"#;
        let pairs = r#"{"Report":[{"CollectionTime":1,"Enabled.3.1":true,"Enabled.3.2":true,"UpTime":2}]}"#;
        let wanted = ["Enabled.3.1", "Enabled.3.2", "UpTime"];
        for text in [hierarchy, pairs] {
            assert_eq!(Encoding::Json.names(text.as_bytes()).unwrap(), wanted);
        }
        assert!(why(Encoding::Json.names(b"{\"Report\":[")).contains("no JSON"));
        assert!(why(Encoding::Json.names(b"{\"Reports\":[]}")).contains("no member Report"));
    }

    #[test]
    fn tp469_10_3_r_bulk_12_both_formats_of_csv_tell_the_same_names() {
        let columns = "ReportTimestamp,UpTime,\"a,\"\"b\"\r\n1,2,\"x\r\ny\"\r\n3,4,\r\n";
        assert_eq!(csv().names(columns.as_bytes()).unwrap(), ["UpTime", "a,\"b"]);
        let head = "ReportTimestamp,ParameterName,ParameterValue,ParameterType\r\n";
        let rows = format!("{head}1,UpTime,2,unsignedInt\r\n3,UpTime,4,unsignedInt\r\n");
        assert_eq!(csv().names(rows.as_bytes()).unwrap(), ["UpTime"]);
        for (text, wanted) in [
            ("", "no header line"),
            ("ReportTimestamp,UpTime\r\n", "no rows"),
            ("A,B\r\n1\r\n", "not as many fields"),
            ("A\r\n\"1", "does not end"),
            ("A\r\n\"1\"2\r\n", "something follows"),
            ("ParameterValue,ParameterName,ParameterType\r\n1,UpTime,int\r\n", "R-BULK.12"),
        ] {
            let why = why(csv().names(text.as_bytes()));
            assert!(why.contains(wanted), "{text:?}: {why}");
        }
    }

    #[test]
    fn r_bulk_7_r_bulk_8_r_bulk_11_headers_that_lack_something_fail() {
        for text in ["application/json; charset=UTF-8", "Application/JSON;Charset=\"utf-8\""] {
            Encoding::Json.check_media_type(Some(text)).unwrap();
        }
        csv().check_media_type(Some("text/csv; charset=UTF-8; header=present")).unwrap();
        for (encoding, text, wanted) in [
            (Encoding::Json, None, "no content type"),
            (Encoding::Json, Some("application/json"), "no charset"),
            (Encoding::Json, Some("text/csv; charset=UTF-8"), "not application/json"),
            (csv(), Some("text/csv; charset=UTF-8"), "R-BULK.11"),
        ] {
            let why = why(encoding.check_media_type(text));
            assert!(why.contains(wanted), "{why}");
        }
        Encoding::Json.check_format(Some("\"NameValuePair\""), "NameValuePair").unwrap();
        assert!(why(Encoding::Json.check_format(None, "NameValuePair")).contains("R-BULK.8"));
        assert!(why(Encoding::Json.check_format(Some("x"), "NameValuePair")).contains("R-BULK.8"));
    }

    #[test]
    fn r_bulk_1_r_bulk_9_r_bulk_10_names_and_queries_that_lack_something_fail() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let all = Wanted::All("T", names(&["T.A", "T.B.C"]));
        for (wanted, fine, wrong) in [
            (Wanted::One("UpTime"), vec!["UpTime"], vec!["UpTime", "More"]),
            (Wanted::Enabled, vec!["Enabled.1.2", "Enabled.1.3"], vec!["Enabled.1.2"]),
            (Wanted::Enabled, vec!["Enabled.1.2", "Enabled.2.2"], vec!["Enabled.1.2", "Enabled.1.x"]),
            (Wanted::Controllers, vec!["Controller.1.Enable"], vec!["Controller.Enable"]),
            (all.clone(), vec!["T.A", "T.B.C", "T.D"], vec!["T.A"]),
            (all, vec!["T.A", "T.B.C"], vec!["T.A", "T.B.C", "Tx"]),
        ] {
            wanted.check(&names(&fine)).unwrap();
            assert!(wanted.check(&names(&wrong)).is_err(), "{wanted:?} takes {wrong:?}");
        }
        let pairs =
            |names: &[&str]| names.iter().map(|name| ((*name).into(), "x".into())).collect::<Vec<_>>();
        check_query(&pairs(&["eid"])).unwrap();
        check_query(&pairs(&["oui", "pc", "sn"])).unwrap();
        assert!(check_query(&pairs(&["oui", "sn"])).is_err());
        assert!(check_query(&[("eid".into(), String::new())]).is_err());
    }
}
