//! What a fleet is asked to do at the command line: refuse RPCs, and let things happen to its devices.

use std::str::FromStr;

use crate::cwmp::rpc::{Fault, Request, SetParameterValuesFault};

/// An RPC that is answered by a fault: `RPC=CODE`, or `RPC=CODE@PATH` where only what touches a parameter or
/// object, or anything under a partial path, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    rpc: String,
    code: u32,
    path: Option<String>,
}

/// Something that happens to a device by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The parameter gets another value.
    Change(String),
    /// A power cycle.
    Reboot,
    /// A periodic Inform.
    Inform,
    /// New firmware that no ACS asked for (`10 AUTONOMOUS TRANSFER COMPLETE`).
    Download,
    /// Somebody at the device starts a diagnosis (`8 DIAGNOSTICS COMPLETE`).
    Diagnostics,
}

/// A happening and the milliseconds between two of it: `WHAT=SECONDS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Every {
    pub what: Happening,
    pub every_ms: u64,
}

impl FaultRule {
    /// The fault for this RPC, if the rule is about it.
    pub(super) fn fault(&self, request: &Request<'_>) -> Option<Fault<'static>> {
        if request.name() != self.rpc {
            return None;
        }
        let names = names(request);
        let touched: Vec<&str> = match &self.path {
            Some(path) => names.into_iter().filter(|name| meet(name, path)).collect(),
            None => names,
        };
        if touched.is_empty() && self.path.is_some() {
            return None;
        }
        let Request::SetParameterValues(_) = request else { return Some(Fault::of(self.code)) };
        // The list tells which parameters are to blame; the fault as a whole is then 9003 (A.3.2.1).
        let blamed = touched.into_iter().map(|name| SetParameterValuesFault {
            parameter_name: name.to_owned().into(),
            fault_code: self.code,
            fault_string: Fault::of(self.code).fault_string,
        });
        let code = if matches!(self.code, 9005..=9008) { 9003 } else { self.code };
        Some(Fault { set_parameter_values_fault: blamed.collect(), ..Fault::of(code) })
    }
}

impl FromStr for FaultRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rpc, rest) = text.split_once('=').ok_or("is not RPC=CODE or RPC=CODE@PATH")?;
        let (code, path) = rest.split_once('@').map_or((rest, None), |(code, path)| (code, Some(path)));
        if !Request::NAMES.contains(&rpc) {
            return Err(format!("there is no RPC '{rpc}'; there are: {}", Request::NAMES.join(", ")));
        }
        let number = code.parse().ok().filter(|code| (9_000..=9_899).contains(code));
        let code = number.ok_or_else(|| format!("'{code}' is no fault code of a CPE: 9000 to 9899"))?;
        Ok(Self { rpc: rpc.to_owned(), code, path: path.map(str::to_owned) })
    }
}

impl Every {
    /// Reads `PATH=SECONDS`.
    pub fn change(text: &str) -> Result<Self, String> {
        let (path, every_ms) = period(text)?;
        Ok(Self { what: Happening::Change(path.to_owned()), every_ms })
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, every_ms) = period(text)?;
        let what = match what {
            "reboot" => Happening::Reboot,
            "inform" => Happening::Inform,
            "download" => Happening::Download,
            "diagnostics" => Happening::Diagnostics,
            other => return Err(format!("'{other}' is none of reboot, inform, download, diagnostics")),
        };
        Ok(Self { what, every_ms })
    }
}

fn period(text: &str) -> Result<(&str, u64), String> {
    let (what, seconds) = text.rsplit_once('=').ok_or("lacks =SECONDS")?;
    let number: Option<f64> = seconds.parse().ok().filter(|number| (0.01..=1e9).contains(number));
    let seconds = number.ok_or_else(|| format!("'{seconds}' is no number of seconds, 0.01 at least"))?;
    Ok((what, (seconds * 1_000.0) as u64))
}

/// The parameters and objects that an RPC is about.
fn names<'r>(request: &'r Request<'_>) -> Vec<&'r str> {
    match request {
        Request::GetParameterValues(it) => it.parameter_names.iter().map(|name| &**name).collect(),
        Request::GetParameterAttributes(it) => it.parameter_names.iter().map(|name| &**name).collect(),
        Request::SetParameterValues(it) => it.parameter_list.iter().map(|it| &*it.name).collect(),
        Request::SetParameterAttributes(it) => it.parameter_list.iter().map(|it| &*it.name).collect(),
        Request::GetParameterNames(it) => vec![&it.parameter_path],
        Request::AddObject(it) => vec![&it.object_name],
        Request::DeleteObject(it) => vec![&it.object_name],
        _ => Vec::new(),
    }
}

/// Whether one is the other or lies under it.
fn meet(name: &str, path: &str) -> bool {
    let under = |name: &str, path: &str| {
        name == path || path.is_empty() || (path.ends_with('.') && name.starts_with(path))
    };
    under(name, path) || under(path, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cwmp::rpc::{Array, GetParameterValues, ParameterValueStruct, SetParameterValues};
    use crate::datamodel::ValueType;

    fn refused(rule: &str) -> String {
        rule.parse::<FaultRule>().unwrap_err()
    }

    #[test]
    fn a_rule_refuses_what_touches_its_path_and_nothing_else() {
        let rule: FaultRule = "GetParameterValues=9002@Device.WiFi.".parse().unwrap();
        let code = |names: &[&'static str]| {
            let parameter_names = Array(names.iter().map(|name| (*name).into()).collect());
            let request = Request::GetParameterValues(GetParameterValues { parameter_names });
            rule.fault(&request).map(|fault| fault.fault_code)
        };
        assert_eq!(code(&["Device.A", "Device.WiFi.Radio.1.Channel"]), Some(9002));
        assert_eq!(code(&["Device."]), Some(9002));
        assert_eq!(code(&["Device.WiFiX", "Device.A"]), None);
        let reboot: FaultRule = "Reboot=9001".parse().unwrap();
        assert_eq!(reboot.fault(&Request::Reboot(Default::default())).unwrap().fault_code, 9001);
    }

    #[test]
    fn a_refused_write_blames_its_parameters() {
        let rule: FaultRule = "SetParameterValues=9007@Device.B".parse().unwrap();
        let list =
            ["Device.A", "Device.B"].map(|name| ParameterValueStruct::new(name, "", ValueType::String));
        let request = SetParameterValues { parameter_list: Array(list.to_vec()), parameter_key: "".into() };
        let fault = rule.fault(&Request::SetParameterValues(request)).unwrap();
        assert_eq!(fault.fault_code, 9003);
        let blamed: Vec<_> = fault.set_parameter_values_fault.iter().map(|it| &*it.parameter_name).collect();
        assert_eq!(blamed, ["Device.B"]);
    }

    #[test]
    fn mistakes_at_the_command_line_are_told_with_what_there_is() {
        assert!(refused("GetParameterValues").contains("RPC=CODE@PATH"));
        assert!(refused("GetValues=9002").contains("GetParameterValues"));
        assert!(refused("Reboot=8000").contains("9000 to 9899"));
        assert!("sleep=3".parse::<Every>().unwrap_err().contains("reboot, inform, download, diagnostics"));
        assert!("reboot=0".parse::<Every>().unwrap_err().contains("seconds"));
        assert_eq!(Every::change("Device.A=0.5").unwrap().every_ms, 500);
    }
}
