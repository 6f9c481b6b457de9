//! One permission of a role: rights on targets, with an order of precedence.

use thiserror::Error;

use crate::usp::path::{PathExpr, Segment, split_list};

use super::super::resolve::names_object;
use super::{Models, Rights, Sort};

/// `ControllerTrust.Role.{i}.Permission.{i}.`, compiled.
#[derive(Debug, Clone)]
pub struct Permission {
    /// The higher one decides where targets overlap.
    pub order: u32,
    targets: Vec<Target>,
    /// By [`Sort`].
    rights: [Rights; 4],
}

/// A target that no path could ever be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the target {target}: {why}")]
pub struct TargetError {
    pub target: String,
    pub why: String,
}

/// One path of the list. Without a dot at its end it names a parameter, a command, an event or, as the
/// examples of TR-369 do, an object.
#[derive(Debug, Clone)]
struct Target {
    /// The object whose path it would be, with a dot at its end.
    object: PathExpr,
    /// The object and last name of what it names if it is no object.
    leaf: Option<(PathExpr, String)>,
}

impl Permission {
    /// `rights` are those of parameters, objects, instances, and commands and events.
    pub fn new(order: u32, targets: &str, rights: [Rights; 4]) -> Result<Self, TargetError> {
        let targets = split_list(targets).map(Target::parse).collect::<Result<_, _>>()?;
        Ok(Self { order, targets, rights })
    }

    pub fn is_about(&self, path: &str, models: Models<'_>) -> bool {
        self.targets.iter().any(|target| target.names(path, models))
    }

    pub fn rights(&self, sort: Sort) -> Rights {
        self.rights[sort as usize]
    }

    /// Whether it takes values of the data model to tell what it is about.
    pub fn searches(&self) -> bool {
        let asks = |segment: &Segment| matches!(segment, Segment::Search(_) | Segment::Follow(_));
        let searches = |expr: &PathExpr| expr.segments.iter().any(asks);
        let leaf = |target: &Target| target.leaf.as_ref().is_some_and(|(holder, _)| searches(holder));
        self.targets.iter().any(|target| searches(&target.object) || leaf(target))
    }

    pub fn is_unlimited(&self) -> bool {
        let is_root = |target: &Target| target.object.segments.len() == 1;
        self.targets.iter().any(is_root) && self.rights.iter().all(|rights| *rights == Rights::ALL)
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, TargetError> {
        let refuse = |why: String| TargetError { target: text.to_owned(), why };
        let parse = |object: &str| PathExpr::parse(object).map_err(|error| refuse(error.to_string()));
        if text.ends_with('.') {
            return Ok(Self { object: parse(text)?, leaf: None });
        }
        let Some((parent, leaf)) = text.rsplit_once('.') else {
            return Ok(Self { object: parse(&format!("{text}."))?, leaf: None });
        };
        let holder = parse(&format!("{parent}."))?;
        let object = match leaf.strip_suffix("()").or_else(|| leaf.strip_suffix('!')) {
            // Commands and events are no objects: the path leads to nothing else.
            Some(_) => holder.clone(),
            None => parse(&format!("{text}."))?,
        };
        Ok(Self { object, leaf: Some((holder, leaf.to_owned())) })
    }

    fn names(&self, path: &str, models: Models<'_>) -> bool {
        if let Some((holder, leaf)) = &self.leaf {
            let named = path.strip_suffix(leaf.as_str()).filter(|object| object.ends_with('.'));
            if named.is_some_and(|object| names_object(holder, object, models.of(path))) {
                return true;
            }
            if leaf.ends_with([')', '!']) {
                return false;
            }
        }
        // All that is below the object: its path is the beginning of this one.
        let depth = self.object.segments.len();
        let end = path.match_indices('.').nth(depth - 1).map(|(at, _)| at + 1);
        end.is_some_and(|end| names_object(&self.object, &path[..end], models.of(path)))
    }
}
