//! Input arguments, by the standard's table: those that are missing and mandatory, of a wrong value, unknown,
//! or left to their defaults (R-OPR.5 to R-OPR.7).

use std::collections::BTreeMap;

use crate::datamodel::supported::{Default, Kind, Supported};
use crate::translation::Refusal;
use crate::usp::ErrorCode;

/// The arguments that a command is carried out with.
pub(super) fn check(
    command: &str,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let wrong = |why: String| Refusal::new(ErrorCode::INVALID_COMMAND_ARGUMENTS, why);
    let mut args = BTreeMap::new();
    for (name, row) in Supported::device2().arguments(command, Kind::Input) {
        match given.get(name) {
            Some(value) => {
                row.check(value).map_err(|misfit| wrong(format!("{name} {misfit}")))?;
                args.insert(name.to_owned(), value.clone());
            }
            None if row.is_mandatory() => return Err(wrong(format!("{command} needs the argument {name}"))),
            None => {
                let default = row.default().map(|default| match default {
                    Default::Object(value)
                    | Default::Factory(value)
                    | Default::Implementation(value)
                    | Default::Argument(value) => value,
                });
                args.extend(default.map(|value| (name.to_owned(), value.to_owned())));
            }
        }
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_opr_5_r_opr_6_arguments_are_checked_and_unknown_ones_ignored() {
        let check = |given: &[(&str, &str)]| {
            let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            super::check("Device.ScheduleTimer()", &given).map_err(|refusal| refusal.code)
        };
        assert_eq!(check(&[]), Err(ErrorCode::INVALID_COMMAND_ARGUMENTS));
        assert_eq!(check(&[("DelaySeconds", "0")]), Err(ErrorCode::INVALID_COMMAND_ARGUMENTS));
        let args = check(&[("DelaySeconds", "10"), ("InvalidArgument", "2")]).unwrap();
        assert_eq!(args.keys().collect::<Vec<_>>(), ["DelaySeconds"]);
    }

    #[test]
    fn r_opr_7_what_is_left_out_is_the_default() {
        let args = super::check("Device.SoftwareModules.DeploymentUnit.{i}.Uninstall()", &BTreeMap::new());
        assert_eq!(args, Ok([("RetainData".to_owned(), "false".to_owned())].into()));
    }
}
