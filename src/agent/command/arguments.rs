//! Input arguments, by the standard's table: those that are missing and mandatory, of a wrong value, unknown,
//! or left to their defaults (R-OPR.5 to R-OPR.7).

use std::collections::{BTreeMap, BTreeSet};

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
    let rows = Supported::device2().arguments(command, Kind::Input).filter(|(name, _)| !name.ends_with('.'));
    for (name, row) in rows.flat_map(|(name, row)| names(name, given).into_iter().map(move |it| (it, row))) {
        match given.get(&name) {
            Some(value) => {
                row.check(value).map_err(|misfit| wrong(format!("{name} {misfit}")))?;
                args.insert(name, value.clone());
            }
            None if row.is_mandatory() => return Err(wrong(format!("{command} needs the argument {name}"))),
            None => {
                let default = row.default().map(|default| match default {
                    Default::Object(value)
                    | Default::Factory(value)
                    | Default::Implementation(value)
                    | Default::Argument(value) => value,
                });
                args.extend(default.map(|value| (name, value.to_owned())));
            }
        }
    }
    Ok(args)
}

/// The names of an argument: one for each instance that is given, where it stands in a table.
fn names(name: &str, given: &BTreeMap<String, String>) -> Vec<String> {
    let Some((table, rest)) = name.split_once("{i}.") else { return vec![name.to_owned()] };
    let numbers =
        given.keys().filter_map(|it| it.strip_prefix(table)?.split('.').next()?.parse::<u32>().ok());
    let numbers: BTreeSet<u32> = numbers.collect();
    numbers.into_iter().map(|number| format!("{table}{number}.{rest}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_opr_5_arguments_in_tables_are_checked_for_each_instance_that_is_given() {
        let check = |given: &[(&str, &str)]| {
            let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            super::check("Device.DeviceInfo.FirmwareImage.{i}.Activate()", &given).map(|args| args.len())
        };
        let whole =
            [("TimeWindow.3.Start", "1"), ("TimeWindow.3.End", "2"), ("TimeWindow.3.Mode", "AnyTime")];
        assert_eq!(check(&[]), Ok(0));
        assert_eq!(check(&whole), Ok(3));
        let code = |given: &[(&str, &str)]| check(given).map_err(|refusal| refusal.code);
        assert_eq!(code(&whole[..2]), Err(ErrorCode::INVALID_COMMAND_ARGUMENTS));
        let more = [&whole[..], &[("TimeWindow.4.Start", "1")]].concat();
        assert_eq!(code(&more), Err(ErrorCode::INVALID_COMMAND_ARGUMENTS));
        let wrong = [&whole[..2], &[("TimeWindow.3.Mode", "Sometimes")]].concat();
        assert_eq!(code(&wrong), Err(ErrorCode::INVALID_COMMAND_ARGUMENTS));
    }

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
