//! Path expressions on the instance index: what a path names on this device.

use crate::datamodel::{Instantiated, path};
use crate::usp::ErrorCode;
use crate::usp::path::{Condition, Follow, PathExpr, Segment};

use super::access::{Access, Models, Rights, Sort};
use super::local::Refusal;

/// Why a path names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unresolved {
    pub code: ErrorCode,
    pub why: String,
}

/// A model as somebody sees it: instances are found by what its controller may read (R-GIN.0).
#[derive(Clone, Copy)]
pub(super) struct Sight<'v> {
    pub model: &'v Instantiated,
    pub models: Models<'v>,
    pub access: &'v Access,
}

impl<'v> Sight<'v> {
    /// All of a model.
    pub fn whole(model: &'v Instantiated) -> Self {
        Self { model, models: Models { cpe: model, local: model }, access: &UNLIMITED }
    }

    fn may_read(&self, param: &str) -> bool {
        self.access.may(Rights::READ, Sort::Param, param, self.models)
    }
}

static UNLIMITED: Access = Access::unlimited();

/// Parses a path; a malformed one is 7008.
pub(super) fn parse(text: &str) -> Result<PathExpr, Unresolved> {
    PathExpr::parse(text)
        .map_err(|error| Unresolved { code: ErrorCode::INVALID_PATH_SYNTAX, why: error.to_string() })
}

/// The parameters whose values decide where a path leads: those of search conditions and references to be
/// followed. Full names, as far as the index knows them; more may be known when these have been read.
pub(super) fn search_params(expr: &PathExpr, model: &Instantiated) -> Vec<String> {
    let mut needed = Vec::new();
    let mut at = vec![String::new()];
    for segment in &expr.segments {
        match segment {
            Segment::Search(conditions) => {
                for instance in at.iter().flat_map(|table| instances(table, model)) {
                    for condition in conditions {
                        needed.extend(condition_params(&instance, &condition.param, model, &mut Vec::new()));
                        condition_params(&instance, &condition.param, model, &mut needed);
                    }
                }
            }
            Segment::Follow(follow) => {
                needed.extend(at.iter().map(|object| format!("{object}{}", follow.param)));
            }
            Segment::Name(_) | Segment::Instance(_) | Segment::Wildcard => {}
        }
        // All instances go on: which of them match is known only after the values were read.
        let whole = Sight::whole(model);
        at = at.iter().flat_map(|object| step(object, segment, whole, false)).collect();
    }
    needed.retain(|name| model.param(name).is_some());
    needed
}

/// The parameters that a condition is about, and in `references` those that lead there.
fn condition_params(
    instance: &str,
    param: &str,
    model: &Instantiated,
    references: &mut Vec<String>,
) -> Vec<String> {
    let mut at = vec![instance.to_owned()];
    let mut parts = param.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return at.into_iter().map(|object| format!("{object}{part}")).collect();
        }
        at = match Follow::parse(part) {
            Some(follow) => {
                references.extend(at.iter().map(|object| format!("{object}{}", follow.param)));
                at.iter().flat_map(|object| followed(object, &follow, Sight::whole(model))).collect()
            }
            None => at.into_iter().map(|object| format!("{object}{part}.")).collect(),
        };
    }
    Vec::new()
}

/// The objects that a reference leads to, by its last known value.
fn followed(object: &str, follow: &Follow, sight: Sight<'_>) -> Vec<String> {
    let Some(value) = sight.model.value(&format!("{object}{}", follow.param)) else { return Vec::new() };
    let items = value.split(',').map(str::trim);
    let wanted = match follow.item {
        Some(number) => items.skip(number - 1).take(1).collect::<Vec<_>>(),
        None => items.collect(),
    };
    let mut found = Vec::new();
    for item in wanted.into_iter().filter(|item| !item.is_empty()) {
        let path = if item.ends_with('.') { item.to_owned() } else { format!("{item}.") };
        // R-ARC.11: a reference may address by key.
        let Ok(expr) = PathExpr::parse(&path) else { continue };
        let plain = expr.segments.iter().all(|segment| !matches!(segment, Segment::Follow(_)));
        if plain && expr.param.is_none() {
            found.extend(objects(&expr, sight).unwrap_or_default());
        }
    }
    found
}

/// The objects that the path's object part names, in the order of their instance numbers.
///
/// A path without wildcard and search that names nothing is 7016 where only an instance is missing and
/// 7026 where the device has no such object; with a wildcard or search an empty result is a success
/// (R-GET.0 and R-ARC.9).
pub(super) fn objects(expr: &PathExpr, sight: Sight<'_>) -> Result<Vec<String>, Unresolved> {
    let mut at = vec![String::new()];
    for segment in &expr.segments {
        let next: Vec<String> = at.iter().flat_map(|object| step(object, segment, sight, true)).collect();
        if next.is_empty() {
            return missing(expr, segment, &at);
        }
        at = next;
    }
    Ok(at)
}

/// The objects that a path names for somebody: what a command is carried out on.
pub fn objects_for(expr: &PathExpr, models: Models<'_>, access: &Access) -> Result<Vec<String>, Refusal> {
    let model = models.of(&expr.object());
    objects(expr, Sight { model, models, access }).map_err(|missing| Refusal::new(missing.code, missing.why))
}

/// Whether a path's object part names this very object.
pub fn names_object(expr: &PathExpr, object: &str, model: &Instantiated) -> bool {
    if expr.segments.iter().any(|segment| matches!(segment, Segment::Follow(_))) {
        return objects(expr, Sight::whole(model)).is_ok_and(|all| all.iter().any(|named| named == object));
    }
    let mut rest = object;
    for segment in &expr.segments {
        let Some((head, tail)) = rest.split_once('.') else { return false };
        let named = match segment {
            Segment::Name(name) => name == head,
            Segment::Instance(number) => head.parse() == Ok(*number),
            Segment::Wildcard => head.parse::<u32>().is_ok(),
            Segment::Search(conditions) => {
                let instance = &object[..object.len() - tail.len()];
                head.parse::<u32>().is_ok() && meets(instance, conditions, Sight::whole(model))
            }
            Segment::Follow(_) => false,
        };
        if !named {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

fn missing(expr: &PathExpr, segment: &Segment, at: &[String]) -> Result<Vec<String>, Unresolved> {
    let below = at.first().map_or("", String::as_str);
    match segment {
        Segment::Name(name) if expr.is_exact() => Err(Unresolved {
            code: ErrorCode::INVALID_PATH,
            why: format!("the device has no object {below}{name}."),
        }),
        Segment::Instance(number) if expr.is_exact() => Err(Unresolved {
            code: ErrorCode::OBJECT_DOES_NOT_EXIST,
            why: format!("there is no instance {below}{number}."),
        }),
        _ => Ok(Vec::new()),
    }
}

fn step(object: &str, segment: &Segment, sight: Sight<'_>, judge: bool) -> Vec<String> {
    let model = sight.model;
    let known = |candidate: String| if model.has_object(&candidate) { vec![candidate] } else { Vec::new() };
    match segment {
        Segment::Name(name) => known(format!("{object}{name}.")),
        Segment::Instance(number) => known(format!("{object}{number}.")),
        Segment::Wildcard => instances(object, model),
        Segment::Search(conditions) => {
            let all = instances(object, model).into_iter();
            all.filter(|instance| !judge || meets(instance, conditions, sight)).collect()
        }
        Segment::Follow(follow) => followed(object, follow, sight),
    }
}

fn instances(table: &str, model: &Instantiated) -> Vec<String> {
    model.instances(table).into_iter().map(|number| format!("{table}{number}.")).collect()
}

fn meets(instance: &str, conditions: &[Condition], sight: Sight<'_>) -> bool {
    conditions.iter().all(|condition| {
        condition_params(instance, &condition.param, sight.model, &mut Vec::new()).iter().any(|name| {
            let value = sight.model.param(name).and_then(|param| param.value.as_ref());
            value.is_some_and(|value| condition.matches(&value.text, value.value_type))
                && sight.may_read(name)
        })
    })
}

/// The parameters that a path names: itself, or those of its objects down to `max_depth` levels (0: all).
pub(super) fn params(expr: &PathExpr, max_depth: u32, sight: Sight<'_>) -> Result<Vec<String>, Unresolved> {
    let model = sight.model;
    let objects = objects(expr, sight)?;
    let mut found = Vec::new();
    for object in &objects {
        match &expr.param {
            Some(param) => {
                let name = format!("{object}{param}");
                if model.param(&name).is_some() {
                    found.push(name);
                } else if expr.is_exact() {
                    let why = format!("the device has no parameter {name}");
                    return Err(Unresolved { code: ErrorCode::INVALID_PATH, why });
                }
            }
            None => {
                let deep_enough = |name: &str| max_depth == 0 || depth_below(object, name) <= max_depth;
                found.extend(
                    model.params_below(object).map(|(name, _)| name.to_owned()).filter(|n| deep_enough(n)),
                );
            }
        }
    }
    Ok(found)
}

/// How many levels of objects a parameter stands below an object, itself counted as one. An instance
/// belongs to its table's level.
fn depth_below(object: &str, name: &str) -> u32 {
    let relative = path::parent(&name[object.len()..]).unwrap_or("");
    let levels = relative.split('.').filter(|segment| !segment.is_empty() && segment.parse::<u32>().is_err());
    1 + u32::try_from(levels.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datamodel::{Source, Value, ValueType, WallTime};

    fn model() -> Instantiated {
        let mut model = Instantiated::default();
        for (name, text) in [
            ("Device.WiFi.SSID.1.SSID", "home"),
            ("Device.WiFi.SSID.2.SSID", "guest"),
            ("Device.WiFi.SSID.2.Stats.BytesSent", "5"),
            ("Device.DeviceInfo.UpTime", "9"),
        ] {
            let value_type = Some(if text.len() > 1 { ValueType::String } else { ValueType::UnsignedInt });
            let value = Value { text: text.into(), value_type, at: WallTime(0), source: Source::Read };
            model.set_value(name, value);
        }
        model
    }

    fn names(path: &str, max_depth: u32) -> Result<Vec<String>, ErrorCode> {
        params(&parse(path).unwrap(), max_depth, Sight::whole(&model())).map_err(|unresolved| unresolved.code)
    }

    #[test]
    fn r_arc_9_r_arc_10_searches_and_wildcards_name_all_that_match() {
        assert_eq!(names("Device.WiFi.SSID.*.SSID", 0).unwrap().len(), 2);
        assert_eq!(names("Device.WiFi.SSID.[SSID==\"guest\"].SSID", 0).unwrap(), ["Device.WiFi.SSID.2.SSID"]);
        assert_eq!(names("Device.WiFi.SSID.[Stats.BytesSent>4].SSID", 0).unwrap().len(), 1);
        assert_eq!(names("Device.WiFi.SSID.[SSID==\"none\"].", 0).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn r_arc_11_references_are_followed_by_item_by_all_and_by_key() {
        let mut model = model();
        for (name, text) in [
            ("Device.WiFi.AccessPoint.1.SSIDReference", "Device.WiFi.SSID.2"),
            ("Device.WiFi.AccessPoint.2.SSIDReference", "Device.WiFi.SSID.[SSID==\"home\"]."),
            ("Device.WiFi.SSID.1.LowerLayers", "Device.WiFi.SSID.2, Device.WiFi.SSID.1."),
        ] {
            let value_type = Some(ValueType::String);
            let value = Value { text: text.into(), value_type, at: WallTime(0), source: Source::Read };
            model.set_value(name, value);
        }
        let names = |path: &str| params(&parse(path).unwrap(), 0, Sight::whole(&model)).unwrap();
        let (home, guest) = ("Device.WiFi.SSID.1.SSID", "Device.WiFi.SSID.2.SSID");
        assert_eq!(names("Device.WiFi.AccessPoint.1.SSIDReference+.SSID"), [guest]);
        assert_eq!(names("Device.WiFi.AccessPoint.2.SSIDReference+.SSID"), [home]);
        assert_eq!(names("Device.WiFi.SSID.1.LowerLayers+.SSID"), [guest]);
        assert_eq!(names("Device.WiFi.SSID.1.LowerLayers#2+.SSID"), [home]);
        assert_eq!(names("Device.WiFi.SSID.1.LowerLayers#*+.SSID"), [guest, home]);
        assert!(names("Device.WiFi.SSID.1.LowerLayers#3+.SSID").is_empty());
        let found = names("Device.WiFi.AccessPoint.[SSIDReference+.SSID==\"guest\"].SSIDReference");
        assert_eq!(found, ["Device.WiFi.AccessPoint.1.SSIDReference"]);
        let needed = search_params(&parse("Device.WiFi.AccessPoint.*.SSIDReference+.SSID").unwrap(), &model);
        assert_eq!(needed.len(), 2);
        assert!(parse("Device.WiFi.SSID.1.LowerLayers#0+.").is_err());
    }

    #[test]
    fn what_is_missing_is_told_apart() {
        assert_eq!(names("Device.WiFi.SSID.7.", 0), Err(ErrorCode::OBJECT_DOES_NOT_EXIST));
        assert_eq!(names("Device.Nope.", 0), Err(ErrorCode::INVALID_PATH));
        assert_eq!(names("Device.WiFi.SSID.1.Nope", 0), Err(ErrorCode::INVALID_PATH));
    }

    #[test]
    fn max_depth_counts_objects_and_not_instances() {
        assert_eq!(names("Device.WiFi.SSID.2.", 1).unwrap(), ["Device.WiFi.SSID.2.SSID"]);
        assert_eq!(names("Device.WiFi.SSID.2.", 2).unwrap().len(), 2);
        assert_eq!(names("Device.WiFi.SSID.", 1).unwrap().len(), 2);
        assert_eq!(names("Device.", 0).unwrap().len(), 4);
    }
}
