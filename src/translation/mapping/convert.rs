//! How a value of the one data model is said in the other.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::table::Mapping;

/// A conversion, as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Convert {
    /// The types agree and the text is the same.
    Same,
    /// The types differ, the text is the same (`text`): counters that became 64 bits wide, keys in
    /// hexadecimal digits.
    Text,
    /// Octets in base64 on the CPE's side, in hexBinary on the other (`octets`).
    Octets,
    /// The path of an object (`reference`).
    Reference,
    /// Enumerations that name the same thing differently: pairs of the CPE's word and the other one. What is
    /// not listed is the same in both.
    Words(Vec<(String, String)>),
}

impl Convert {
    /// The conversion of that name; `None` of an unknown one, which may be a table of words.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "octets" => Some(Self::Octets),
            "reference" => Some(Self::Reference),
            _ => None,
        }
    }

    /// A value of the CPE in TR-181 terms; `None` if it is none of the CPE's type.
    pub fn to_usp<'v>(&self, mapping: &Mapping, value: &'v str) -> Option<Cow<'v, str>> {
        match self {
            Self::Same | Self::Text => Some(value.into()),
            Self::Octets => Some(hex(&STANDARD.decode(value.trim()).ok()?).into()),
            Self::Reference => Some(reference(mapping.to_usp(&as_object(value)).as_deref()).into()),
            Self::Words(words) => {
                let found = words.iter().find(|(cpe, _)| cpe == value);
                Some(found.map_or(value.into(), |(_, usp)| usp.clone().into()))
            }
        }
    }

    /// A value in TR-181 terms as the CPE says it; `None` if the CPE has no word for it.
    pub fn to_cpe<'v>(&self, mapping: &Mapping, value: &'v str) -> Option<Cow<'v, str>> {
        match self {
            Self::Same | Self::Text => Some(value.into()),
            Self::Octets => Some(STANDARD.encode(unhex(value)?).into()),
            Self::Reference if value.is_empty() => Some(value.into()),
            Self::Reference => Some(reference(Some(&mapping.to_cpe(&as_object(value))?)).into()),
            Self::Words(words) => match words.iter().find(|(_, usp)| usp == value) {
                Some((cpe, _)) => Some(cpe.clone().into()),
                // The CPE would take a word of its own for something else than the controller means by it.
                None if words.iter().any(|(cpe, _)| cpe == value) => None,
                None => Some(value.into()),
            },
        }
    }
}

/// The object of a reference, which may stand with or without its last dot (TR-106 3.2.4 says without).
fn as_object(value: &str) -> String {
    format!("{}.", value.trim_end_matches('.'))
}

/// A reference to an object. Who cannot be named on the other side is not named: a path of the wrong data
/// model would be worse than none.
fn reference(object: Option<&str>) -> String {
    object.unwrap_or("").trim_end_matches('.').to_owned()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    pairs.map(|pair| u8::from_str_radix(pair.filter(|pair| !pair.contains('+'))?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_usp(convert: &Convert, value: &str) -> Option<String> {
        convert.to_usp(Mapping::tr098(), value).map(Cow::into_owned)
    }

    fn to_cpe(convert: &Convert, value: &str) -> Option<String> {
        convert.to_cpe(Mapping::tr098(), value).map(Cow::into_owned)
    }

    #[test]
    fn octets_change_their_writing_and_nothing_else() {
        assert_eq!(to_usp(&Convert::Octets, "AAH/"), Some("0001FF".into()));
        assert_eq!(to_cpe(&Convert::Octets, "0001fF"), Some("AAH/".into()));
        assert_eq!(to_usp(&Convert::Octets, ""), Some(String::new()));
        assert_eq!(to_usp(&Convert::Octets, "?"), None);
        assert_eq!(["0", "zz", "+1", "é"].map(|wrong| to_cpe(&Convert::Octets, wrong)), [const { None }; 4]);
    }

    #[test]
    fn a_word_of_the_other_model_is_not_written_as_if_it_were_understood() {
        let words = Convert::Words(vec![("802.11".into(), "Wi-Fi".into())]);
        assert_eq!(to_usp(&words, "802.11"), Some("Wi-Fi".into()));
        assert_eq!(to_usp(&words, "Ethernet"), Some("Ethernet".into()));
        assert_eq!(to_cpe(&words, "Wi-Fi"), Some("802.11".into()));
        assert_eq!(to_cpe(&words, "802.11"), None);
    }

    #[test]
    fn a_reference_never_keeps_the_path_of_the_wrong_model() {
        let host = "InternetGatewayDevice.LANDevice.1.Hosts.Host.2";
        assert_eq!(to_usp(&Convert::Reference, host), Some("Device.Hosts.Host.2".into()));
        assert_eq!(to_cpe(&Convert::Reference, "Device.Hosts.Host.2."), Some(host.into()));
        assert_eq!(to_usp(&Convert::Reference, "InternetGatewayDevice.X_ACME.1."), Some(String::new()));
        assert_eq!(to_cpe(&Convert::Reference, "Device.X_ACME.1."), None);
        assert_eq!(to_cpe(&Convert::Reference, ""), Some(String::new()));
    }
}
