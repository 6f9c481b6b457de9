//! What a device's credentials call it: a name made of its DeviceId, such as `{OUI}-{ProductClass}-{SerialNumber}`,
//! which TR-069 3.4.4 gives to user names.

use thiserror::Error;

use super::DeviceId;
use super::endpoint_id::encode;

/// A text with places for parts of a DeviceId.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTemplate(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Oui,
    ProductClass,
    SerialNumber,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    #[error("'{0}' has a place that is none of {{OUI}}, {{ProductClass}} and {{SerialNumber}}")]
    Place(String),
    #[error("'{0}' lacks {{SerialNumber}}, so that devices would share a name")]
    Shared(String),
}

impl DeviceTemplate {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let place = || TemplateError::Place(text.to_owned());
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(place)?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match name {
                "OUI" => Piece::Oui,
                "ProductClass" => Piece::ProductClass,
                "SerialNumber" => Piece::SerialNumber,
                _ => return Err(place()),
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        if rest.contains('}') {
            return Err(place());
        }
        if !pieces.contains(&Piece::SerialNumber) {
            return Err(TemplateError::Shared(text.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Whether `name` is this device's: its parts as they are, or percent-encoded.
    pub fn names(&self, device: &DeviceId, name: &str) -> bool {
        self.with(device, str::to_owned) == name || self.with(device, encode) == name
    }

    fn with(&self, device: &DeviceId, form: fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Oui => form(&device.oui),
            Piece::ProductClass => form(&device.product_class),
            Piece::SerialNumber => form(&device.serial_number),
        };
        self.0.iter().map(piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_devices_own_and_no_others() {
        let device = DeviceId {
            oui: "00256D".into(),
            product_class: "Home Box".into(),
            serial_number: "A-1".into(),
            ..DeviceId::default()
        };
        let template = DeviceTemplate::parse("{OUI}-{ProductClass}-{SerialNumber}").unwrap();
        assert!(template.names(&device, "00256D-Home Box-A-1"));
        assert!(template.names(&device, "00256D-Home%20Box-A%2D1"));
        for other in ["", "00256D-Home Box-A-2", "00256d-Home Box-A-1", "00256D-Home Box-A-1 ", "00256D-A-1"]
        {
            assert!(!template.names(&device, other), "{other}");
        }
        assert!(DeviceTemplate::parse("cpe{SerialNumber}@isp").unwrap().names(&device, "cpeA-1@isp"));
    }

    #[test]
    fn a_text_that_names_no_single_device_is_refused() {
        for text in ["{OUI}-{Serial}", "{SerialNumber", "SerialNumber}{SerialNumber}}", "{}{SerialNumber}"] {
            assert!(matches!(DeviceTemplate::parse(text), Err(TemplateError::Place(_))), "{text}");
        }
        assert!(matches!(DeviceTemplate::parse("{OUI}"), Err(TemplateError::Shared(_))));
        assert!(matches!(DeviceTemplate::parse(""), Err(TemplateError::Shared(_))));
    }
}
