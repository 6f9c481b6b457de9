//! `Device.LocalAgent.Threshold.{i}.`: integers that are watched, and Triggered! when one comes to be what its
//! row says. Judged by the rights of the controller that made the row, and told to nobody else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::datamodel::supported::{Supported, generic};
use crate::translation::{Models, named_params};
use crate::usp::path::{PathExpr, Segment};

use super::core::Agent;
use super::io::{Env, Output, Shadow};
use super::local::{THRESHOLDS, Tree, as_object};

/// A row that is enabled and complete.
struct Threshold {
    row: String,
    controller: String,
    expr: PathExpr,
    operator: Operator,
    value: i128,
    /// It is disabled by its first event.
    once: bool,
}

/// When a row fires, by what its parameter was and is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Rise,
    Fall,
    Cross,
    Eq,
    NotEq,
}

/// On which side of its thresholds each parameter was last seen: what tells a rise from a high value.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sides {
    /// What the row said, so that another threshold begins anew.
    of: String,
    sides: BTreeMap<String, bool>,
}

impl Operator {
    const ALL: [(&'static str, Self); 5] = [
        ("Rise", Self::Rise),
        ("Fall", Self::Fall),
        ("Cross", Self::Cross),
        ("Eq", Self::Eq),
        ("NotEq", Self::NotEq),
    ];

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, operator)| *operator)
    }

    /// Above or equal is one side, below or unequal the other. Who stands on the threshold itself has not
    /// crossed it.
    fn side(self, value: i128, threshold: i128) -> Option<bool> {
        match self {
            Self::Eq | Self::NotEq => Some(value == threshold),
            Self::Rise | Self::Fall | Self::Cross => (value != threshold).then_some(value > threshold),
        }
    }

    fn fires(self, before: bool, now: bool) -> bool {
        before != now
            && match self {
                Self::Rise | Self::Eq => now,
                Self::Fall | Self::NotEq => before,
                Self::Cross => true,
            }
    }
}

impl Threshold {
    fn read(tree: &Tree, row: String) -> Option<Self> {
        let value = |name: &str| tree.value(&format!("{row}{name}"));
        if !tree.is(&format!("{row}Enable")) {
            return None;
        }
        Some(Self {
            controller: as_object(value("Controller")?),
            expr: PathExpr::parse(&format!(
                "{}{}",
                as_object(value("ReferencePath")?),
                value("ThresholdParam")?
            ))
            .ok()
            .filter(|expr| expr.param.is_some())?,
            operator: Operator::parse(value("ThresholdOperator")?)?,
            value: value("ThresholdValue")?.parse().ok()?,
            once: value("OperatingMode") == Some("Single"),
            row,
        })
    }

    /// What makes the sides that were seen void when it changes.
    fn rule(&self, tree: &Tree) -> String {
        let names = ["ReferencePath", "ThresholdParam", "ThresholdOperator", "ThresholdValue"];
        let values = names.map(|name| tree.value(&format!("{}{name}", self.row)).unwrap_or(""));
        values.join(" ")
    }
}

impl Agent {
    /// Compares what is known now with what was seen before.
    pub(super) fn judge_thresholds(&mut self, env: &Env, shadow: &Shadow, out: &mut Vec<Output>) {
        let mut fired = Vec::new();
        let mut seen = BTreeMap::new();
        for threshold in self.thresholds() {
            let rule = threshold.rule(self.local.tree());
            let before = self.stored.thresholds.get(&threshold.row).filter(|sides| sides.of == rule);
            let before = before.cloned().unwrap_or_default().sides;
            let sides = self.sides(&threshold, &before, shadow, &mut fired);
            seen.insert(threshold.row, Sides { of: rule, sides });
        }
        if seen != self.stored.thresholds {
            // Before anybody is told, so that nobody is told twice.
            self.stored.thresholds = seen;
            let change = self.stored.change();
            self.persist(vec![change], out);
        }
        for (row, once, params) in fired {
            let controller = self.local.tree().value(&format!("{row}Controller")).map(as_object);
            let mut told = self.about_event(shadow, &row, "Triggered!", |_| params.clone());
            told.retain(|told| Some(as_object(&told.subscription.recipient)) == controller);
            self.tell(env, told, out);
            if once {
                self.local.put(&format!("{row}Enable"), "false");
            }
        }
    }

    /// The paths whose values thresholds need.
    pub(super) fn threshold_paths(&self) -> Vec<PathExpr> {
        self.thresholds().into_iter().map(|threshold| threshold.expr).collect()
    }

    fn thresholds(&self) -> Vec<Threshold> {
        let tree = self.local.tree();
        tree.rows(THRESHOLDS).into_iter().filter_map(|row| Threshold::read(tree, row)).collect()
    }

    fn sides(
        &self,
        threshold: &Threshold,
        before: &BTreeMap<String, bool>,
        shadow: &Shadow,
        fired: &mut Vec<(String, bool, BTreeMap<String, String>)>,
    ) -> BTreeMap<String, bool> {
        let models = Models { cpe: &shadow.cpe, local: &self.local.tree().model };
        let model = models.of(&threshold.expr.object());
        let access = self.local.access_of_row(&threshold.controller);
        let mut sides = BTreeMap::new();
        for name in named_params(&threshold.expr, model, MAX_PARAMS) {
            let readable = access.reads(&name, models) && !access.hides(&name, models);
            let value = model.value(&name).filter(|_| readable).and_then(|text| text.parse().ok());
            let Some(value) = value else { continue };
            let known = before.get(&name).copied();
            let Some(side) = threshold.operator.side(value, threshold.value).or(known) else { continue };
            let done = threshold.once && fired.iter().any(|(row, ..)| *row == threshold.row);
            if known.is_some_and(|known| threshold.operator.fires(known, side)) && !done {
                let params = [("ParamPath", name.clone()), ("ParamValue", value.to_string())];
                let params = params.map(|(name, value)| (name.to_owned(), value)).into();
                fired.push((threshold.row.clone(), threshold.once, params));
            }
            sides.insert(name, side);
        }
        sides
    }
}

/// Checks what a row says, as far as it says it: the parameter is one of the supported model's, and a number.
pub(super) fn check(reference: &str, param: &str) -> Result<(), String> {
    if reference.is_empty() || param.is_empty() {
        return Ok(());
    }
    let path = format!("{}{param}", as_object(reference));
    let expr = PathExpr::parse(&path).map_err(|error| format!("{path}: {error}"))?;
    if expr.param.is_none() {
        return Err(format!("{path} is no parameter"));
    }
    // Where a reference leads is known only when it is followed, and vendors have objects of their own.
    let follows = expr.segments.iter().any(|segment| matches!(segment, Segment::Follow(_)));
    let name = expr.param.as_deref().unwrap_or(param);
    let supported = generic(&expr.object().replace('*', "0")) + name;
    let of_vendor = supported.contains("X_");
    match Supported::device2().find(&supported) {
        Some(row) if row.value_type().is_some_and(crate::datamodel::ValueType::is_number) => Ok(()),
        Some(_) => Err(format!("{path} is no integer")),
        None if follows || of_vendor => Ok(()),
        None => Err(format!("{path} is not in the supported data model")),
    }
}

/// Whether this is an operator, and whether that is a value.
pub(super) fn check_column(column: &str, value: &str) -> Result<(), String> {
    match column {
        "ThresholdOperator" if Operator::parse(value).is_none() => Err(format!("{value} is no operator")),
        // A new row has none yet.
        "ThresholdValue" if !value.is_empty() && value.parse::<i128>().is_err() => {
            Err(format!("{value} is no integer"))
        }
        _ => Ok(()),
    }
}

/// The operators as `SupportedThresholdOperator` has them.
pub(super) const OPERATORS: &str = "Rise,Fall,Cross,Eq,NotEq";
/// Parameters that one row watches.
const MAX_PARAMS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// What an operator makes of values in turn, against 100.
    fn fires(operator: Operator, values: &[i128]) -> Vec<bool> {
        let mut side = None;
        let judge = |value: &i128| {
            let now = operator.side(*value, 100).or(side);
            let before = std::mem::replace(&mut side, now);
            before.zip(now).is_some_and(|(before, now)| operator.fires(before, now))
        };
        values.iter().map(judge).collect()
    }

    #[test]
    fn operators_fire_when_the_threshold_is_passed_and_not_while_it_is() {
        let values = [150, 50, 100, 101, 200, 100, 99, 100, 100];
        let at = |operator| {
            let fired = fires(operator, &values).into_iter().enumerate();
            fired.filter(|(_, fired)| *fired).map(|(at, _)| at).collect::<Vec<_>>()
        };
        assert_eq!(at(Operator::Rise), [3]);
        assert_eq!(at(Operator::Fall), [1, 6]);
        assert_eq!(at(Operator::Cross), [1, 3, 6]);
        assert_eq!(at(Operator::Eq), [2, 5, 7]);
        assert_eq!(at(Operator::NotEq), [3, 6]);
    }

    #[test]
    fn all_operators_are_told() {
        assert!(OPERATORS.split(',').eq(Operator::ALL.iter().map(|(name, _)| *name)));
    }

    #[test]
    fn parameters_are_integers_of_the_supported_model() {
        let stats = r#"Device.Ethernet.Interface.[Enable=="1"].Stats."#;
        assert_eq!(check(stats, "BytesSent"), Ok(()));
        assert_eq!(check("Device.Ethernet.Interface.*.Stats", "BytesSent"), Ok(()));
        assert_eq!(check("Device.Ethernet.Interface.1.", "Stats.BytesSent"), Ok(()));
        assert_eq!(check("Device.X_EXAMPLE_Thing.", "Level"), Ok(()));
        for (reference, param) in [
            (stats, "Nope"),
            ("Device.Nope.", "BytesSent"),
            ("Device.DeviceInfo.", "SerialNumber"),
            ("Device.[", "BytesSent"),
            ("Device.Ethernet.", "Interface."),
        ] {
            assert!(check(reference, param).is_err(), "{reference}{param}");
        }
    }
}
