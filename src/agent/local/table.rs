//! How a table of `Device.LocalAgent.` is described: its columns, who may write them, and what they take.

use crate::datamodel::ValueType;
use crate::translation::Refusal;
use crate::usp::ErrorCode;
use crate::usp::path::PathExpr;

/// One table.
pub(super) struct Table {
    /// Its path, such as `Device.LocalAgent.Subscription.`.
    pub path: &'static str,
    /// The parameter with the number of its rows.
    pub count: &'static str,
    pub columns: &'static [Column],
    /// Its unique keys.
    pub keys: &'static [&'static [&'static str]],
    /// Whether controllers may add and delete rows.
    pub creatable: bool,
    /// Rows it holds at most.
    pub max_rows: usize,
}

/// One parameter of each row.
pub(super) struct Column {
    pub name: &'static str,
    pub value_type: ValueType,
    pub access: Access,
    pub default: &'static str,
    pub check: Check,
}

/// Who may write a parameter, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadOnly,
    /// By the one who adds the row only.
    WriteOnce,
    ReadWrite,
}

/// What a parameter takes besides its type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    Any,
    OneOf(&'static [&'static str]),
    Range(u32, u32),
    MaxLength(usize),
    /// A comma-separated list of path expressions, commands or events.
    References,
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Column {
    /// Whether the parameter takes this value.
    pub fn check(&self, value: &str) -> Result<(), Refusal> {
        if !self.value_type.accepts(value) {
            let why = format!("{} is of type {}", self.name, self.value_type.xsd());
            return Err(Refusal::new(ErrorCode::INVALID_TYPE, why));
        }
        let fits = match self.check {
            Check::Any => true,
            Check::OneOf(known) => known.contains(&value),
            Check::Range(least, most) => {
                value.parse::<u32>().is_ok_and(|value| (least..=most).contains(&value))
            }
            Check::MaxLength(most) => value.chars().count() <= most,
            Check::References => return check_references(value),
        };
        if fits {
            return Ok(());
        }
        let why = match self.check {
            Check::OneOf(known) => format!("{} is one of {}", self.name, known.join(", ")),
            Check::Range(least, most) => format!("{} is from {least} to {most}", self.name),
            Check::MaxLength(most) => format!("{} has {most} characters at most", self.name),
            Check::Any | Check::References => format!("{} does not take this value", self.name),
        };
        Err(Refusal::new(ErrorCode::INVALID_VALUE, why))
    }
}

fn check_references(list: &str) -> Result<(), Refusal> {
    for reference in split_references(list) {
        let object = match reference.rsplit_once('.') {
            Some((object, leaf)) if leaf.ends_with(['!', ')']) => format!("{object}."),
            _ => reference.to_owned(),
        };
        PathExpr::parse(&object).map_err(|error| {
            Refusal::new(ErrorCode::INVALID_VALUE, format!("ReferenceList: {reference}: {error}"))
        })?;
    }
    Ok(())
}

/// The items of a list of paths; commas within search expressions' quotes do not separate.
pub(super) fn split_references(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let items = list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    items.map(str::trim).filter(|item| !item.is_empty())
}
