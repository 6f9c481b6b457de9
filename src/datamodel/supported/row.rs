//! One row of a table: an object, a parameter, a command, an event or an argument.

use crate::datamodel::ValueType;

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    Object,
    Param,
    /// A USP command; its path ends in `()`.
    Command,
    /// An argument that a command takes.
    Input,
    /// An argument that a command gives.
    Output,
    /// A USP event; its path ends in `!`.
    Event,
    EventArg,
}

/// What the standard lets a controller do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Access {
    #[default]
    ReadOnly,
    /// A parameter can be written; instances of a table can be created and deleted.
    ReadWrite,
    /// A parameter can be written when its instance is created, and once only.
    WriteOnceReadOnly,
}

/// Whether a definition is still to be used (TR-106 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Status {
    #[default]
    Current,
    Deprecated,
    Obsoleted,
}

/// Parameters that do not show their value to everybody (TR-106, `secured`, `hidden` and `command`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Secured {
    /// Shown only to those whose role may see secrets.
    Secured,
    /// Reads as an empty value.
    Hidden,
    /// Writing it triggers an action; reads as an empty value.
    Command,
}

/// The default of a parameter, by the occasion on which it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Default<'r> {
    /// On creation of the object.
    Object(&'r str),
    /// As delivered and after a factory reset.
    Factory(&'r str),
    /// What an implementation that does not know better has.
    Implementation(&'r str),
    /// Of an argument that is left out.
    Argument(&'r str),
}

/// A set of parameters that together identify an instance (TR-106 A.2.10.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey<'r> {
    /// Functional keys bind rows by what they mean, and only rows that are enabled where the row has an
    /// enable parameter. Non-functional ones, like Alias, bind always.
    pub functional: bool,
    /// Relative to the instance.
    pub params: Vec<&'r str>,
}

/// A row. Borrows from the inflated table; what is rarely asked for is cut out of the text when it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub kind: Kind,
    pub access: Access,
    pub status: Status,
    /// A comma-separated list of items; `item_type` is theirs.
    pub is_list: bool,
    /// `None` of objects, commands and events.
    pub item_type: Option<ValueType>,
    /// With `{i}` for instances; objects end in a dot; arguments follow their command and `|`.
    pub path: &'static str,
    /// The cells from `version` on.
    cells: &'static str,
}

/// The cells behind `access`, by their place.
#[derive(Clone, Copy)]
enum Cell {
    Version,
    Status,
    Secured,
    Size,
    Range,
    Default,
    Enum,
    PathRef,
    UniqueKeys,
    Entries,
    Enable,
    Async,
    Mandatory,
}

impl Row {
    /// Reads a line of a table; `None` of a line that is no row.
    pub(super) fn parse(line: &'static str) -> Option<Self> {
        let mut columns = line.splitn(5, '\t');
        let kind = Kind::parse(columns.next()?)?;
        let path = columns.next()?;
        let type_name = columns.next().unwrap_or("");
        let is_list = type_name.ends_with("[]");
        let item_type = ValueType::from_xsd(type_name.trim_end_matches("[]"));
        let access = match columns.next() {
            Some("readWrite") => Access::ReadWrite,
            Some("writeOnceReadOnly") => Access::WriteOnceReadOnly,
            _ => Access::ReadOnly,
        };
        let cells = columns.next().unwrap_or("");
        let mut row = Self { kind, access, status: Status::Current, is_list, item_type, path, cells };
        row.status = match row.cell(Cell::Status) {
            "deprecated" => Status::Deprecated,
            "obsoleted" => Status::Obsoleted,
            _ => Status::Current,
        };
        Some(row)
    }

    fn cell(&self, cell: Cell) -> &'static str {
        self.cells.split('\t').nth(cell as usize).unwrap_or("")
    }

    /// The type on the wire: a list is a string, whatever its items are (TR-106 3.2.4).
    pub fn value_type(&self) -> Option<ValueType> {
        if self.is_list { Some(ValueType::String) } else { self.item_type }
    }

    /// Whether it is an object of which there are instances.
    pub fn is_table(&self) -> bool {
        self.kind == Kind::Object && self.path.ends_with(".{i}.")
    }

    /// The version of the data model that introduced it; of USP rows 2.12 at the earliest.
    pub fn version(&self) -> &'static str {
        self.cell(Cell::Version)
    }

    pub fn secured(&self) -> Option<Secured> {
        match self.cell(Cell::Secured) {
            "secured" => Some(Secured::Secured),
            "hidden" => Some(Secured::Hidden),
            "command" => Some(Secured::Command),
            _ => None,
        }
    }

    /// Lengths allowed, in characters or, of hexBinary and base64, in octets: each `min:max` or one maximum.
    /// None stated: any length.
    pub fn sizes(&self) -> impl Iterator<Item = &'static str> {
        split(self.cell(Cell::Size), ',')
    }

    /// Ranges allowed, each `min:max` with open ends left empty and perhaps `/step`.
    pub fn ranges(&self) -> impl Iterator<Item = &'static str> {
        split(self.cell(Cell::Range), ',')
    }

    /// The values allowed; none stated: any.
    pub fn enums(&self) -> impl Iterator<Item = &'static str> {
        split(self.cell(Cell::Enum), '|')
    }

    pub fn default(&self) -> Option<Default<'static>> {
        let (occasion, value) = self.cell(Cell::Default).split_once(':')?;
        match occasion {
            "object" => Some(Default::Object(value)),
            "factory" => Some(Default::Factory(value)),
            "implementation" => Some(Default::Implementation(value)),
            "parameter" => Some(Default::Argument(value)),
            _ => None,
        }
    }

    /// What a reference points to: `strength:what:targets`, the targets joined by commas; none: anything.
    pub fn path_ref(&self) -> Option<&'static str> {
        Some(self.cell(Cell::PathRef)).filter(|cell| !cell.is_empty())
    }

    /// The keys of a table, in the order of the standard.
    pub fn unique_keys(&self) -> impl Iterator<Item = UniqueKey<'static>> {
        split(self.cell(Cell::UniqueKeys), ';').filter_map(|key| {
            let (sort, params) = key.split_once(':')?;
            Some(UniqueKey { functional: sort == "F", params: params.split(',').collect() })
        })
    }

    /// The parameter of the parent object that counts the instances.
    pub fn entries(&self) -> Option<&'static str> {
        Some(self.cell(Cell::Entries)).filter(|cell| !cell.is_empty())
    }

    /// The parameter of an instance that enables it.
    pub fn enable(&self) -> Option<&'static str> {
        Some(self.cell(Cell::Enable)).filter(|cell| !cell.is_empty())
    }

    /// Whether a command runs on after its OperateResp.
    pub fn is_async(&self) -> bool {
        self.cell(Cell::Async) == "async"
    }

    /// Whether an input argument must be given.
    pub fn is_mandatory(&self) -> bool {
        self.cell(Cell::Mandatory) == "mandatory"
    }
}

impl Kind {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "object" => Self::Object,
            "param" => Self::Param,
            "command" => Self::Command,
            "input" => Self::Input,
            "output" => Self::Output,
            "event" => Self::Event,
            "eventarg" => Self::EventArg,
            _ => return None,
        })
    }
}

/// The parts of a cell; none of an empty one.
fn split(cell: &'static str, at: char) -> impl Iterator<Item = &'static str> {
    cell.split(at).filter(move |_| !cell.is_empty())
}
