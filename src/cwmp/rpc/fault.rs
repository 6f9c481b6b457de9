//! SOAP faults of CWMP (TR-069 3.5, A.5).

use crate::cwmp::fault;
use crate::cwmp::soap::{Cursor, Sink, SoapError};

use super::field::{Field, Text, structure};

structure! {
    /// Why one parameter of a SetParameterValues was refused.
    SetParameterValuesFault<'a> {
        parameter_name: Text<'a> => "ParameterName",
        fault_code: u32 => "FaultCode",
        fault_string: Text<'a> => "FaultString",
    }
}

/// A fault. The code alone decides; the text is for people (quirks F03, F04).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fault<'a> {
    pub fault_code: u32,
    pub fault_string: Text<'a>,
    pub set_parameter_values_fault: Vec<SetParameterValuesFault<'a>>,
}

impl<'a> Fault<'a> {
    /// A fault with the standard's name for its code.
    pub fn of(fault_code: u32) -> Fault<'static> {
        Fault {
            fault_code,
            fault_string: fault::name(fault_code).into(),
            set_parameter_values_fault: Vec::new(),
        }
    }

    /// Finds the code by local name wherever it stands; the first one counts (quirk F08). A fault without any
    /// counts as 9002 (quirk F07).
    pub(in crate::cwmp) fn decode(cursor: &mut Cursor<'a>) -> Result<Self, SoapError> {
        let mut found = Self::default();
        let mut code = None;
        let mut soap_text = Text::default();
        cursor.children(|name, cursor| match name.to_ascii_lowercase().as_str() {
            "faultstring" => {
                soap_text = cursor.trimmed()?;
                Ok(())
            }
            "detail" => found.decode_detail(&mut code, cursor),
            _ => cursor.skip(),
        })?;
        found.fault_code = code.unwrap_or(9002);
        if found.fault_string.is_empty() {
            found.fault_string = soap_text;
        }
        Ok(found)
    }

    fn decode_detail(&mut self, code: &mut Option<u32>, cursor: &mut Cursor<'a>) -> Result<(), SoapError> {
        cursor.children(|name, cursor| match name {
            // Nesting is bounded by the cursor.
            "Fault" => self.decode_detail(code, cursor),
            _ => self.decode_part(name, code, cursor),
        })
    }

    fn decode_part(
        &mut self,
        name: &str,
        code: &mut Option<u32>,
        cursor: &mut Cursor<'a>,
    ) -> Result<(), SoapError> {
        match name {
            "FaultCode" if code.is_none() => *code = Some(leading_number(&cursor.trimmed()?).unwrap_or(9002)),
            "FaultString" if self.fault_string.is_empty() => self.fault_string = cursor.trimmed()?,
            "SetParameterValuesFault" => {
                self.set_parameter_values_fault.push(SetParameterValuesFault::decode(cursor)?);
            }
            _ => cursor.skip()?,
        }
        Ok(())
    }

    pub(in crate::cwmp) fn encode(&self, sink: &mut Sink<'_>) {
        let class = if fault::is_client(self.fault_code) { "Client" } else { "Server" };
        sink.raw("<SOAP-ENV:Fault>");
        sink.element("faultcode", class);
        sink.element("faultstring", "CWMP fault");
        sink.raw("<detail><cwmp:Fault>");
        sink.element("FaultCode", &self.fault_code.to_string());
        sink.element("FaultString", &self.fault_string);
        for fault in &self.set_parameter_values_fault {
            fault.encode("SetParameterValuesFault", sink);
        }
        sink.raw("</cwmp:Fault></detail></SOAP-ENV:Fault>");
    }

    pub fn into_owned(self) -> Fault<'static> {
        Fault {
            fault_code: self.fault_code,
            fault_string: Field::into_owned(self.fault_string),
            set_parameter_values_fault: self
                .set_parameter_values_fault
                .into_iter()
                .map(Field::into_owned)
                .collect(),
        }
    }
}

/// Some CPEs add the text to the code (quirk F05).
fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}
