//! Path expressions of USP requests (TR-369 2.5): objects, instances, parameters, wildcards, search
//! expressions, unique keys and references that are followed.

use thiserror::Error;

use crate::datamodel::ValueType;

/// A parsed path expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathExpr {
    pub segments: Vec<Segment>,
    /// The parameter asked for; `None` of a path that ends in a dot.
    pub param: Option<String>,
}

/// One step from object to object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Name(String),
    Instance(u32),
    Wildcard,
    /// `[A=="x"&&B>1]`: all instances that meet every condition. Unique keys are written the same way.
    Search(Vec<Condition>),
    /// `Param+`, `Param#2+`, `Param#*+`: the object that a parameter refers to.
    Follow(Follow),
}

/// A reference to be followed (TR-369 2.5.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    pub param: String,
    /// Which item of a list, counted from 1; `None` is all of them.
    pub item: Option<usize>,
}

impl Follow {
    /// Parses `Param+`, `Param#n+` and `Param#*+`; `None` for anything else.
    pub fn parse(segment: &str) -> Option<Self> {
        let reference = segment.strip_suffix('+')?;
        let (param, item) = match reference.split_once('#') {
            None => (reference, Some(1)),
            Some((param, "*")) => (param, None),
            Some((param, number)) => (param, Some(number.parse().ok().filter(|number| *number > 0)?)),
        };
        is_name(param).then(|| Self { param: param.to_owned(), item })
    }
}

/// One comparison in a search expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// A parameter, relative to the instance; references on the way are followed.
    pub param: String,
    pub op: Op,
    pub value: String,
}

/// TR-369's comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
    /// `~=`: the list contains the value.
    Contains,
}

/// Why a text is no path expression (7008).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    #[error("path is longer than {MAX_LENGTH} characters")]
    Length,
    #[error("path has an empty segment")]
    Empty,
    #[error("path does not begin with 'Device.'")]
    Root,
    #[error("'{0}' is no name, instance number, '*' or search expression")]
    Segment(String),
    #[error("search expression '{0}' is malformed")]
    Search(String),
}

impl PathExpr {
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > MAX_LENGTH {
            return Err(PathError::Length);
        }
        let mut segments = Vec::new();
        let mut rest = text;
        let mut param = None;
        while !rest.is_empty() {
            let (segment, after) = split_segment(rest)?;
            match after.strip_prefix('.') {
                Some(more) => {
                    segments.push(parse_segment(segment)?);
                    rest = more;
                }
                None => {
                    let Segment::Name(name) = parse_segment(segment)? else {
                        return Err(PathError::Segment(segment.into()));
                    };
                    param = Some(name);
                    rest = "";
                }
            }
        }
        if segments.first() != Some(&Segment::Name("Device".into())) {
            return Err(PathError::Root);
        }
        Ok(Self { segments, param })
    }

    /// Whether it may name several things or none: a Search Path (TR-369 2.5).
    pub fn is_search(&self) -> bool {
        !self.is_exact()
    }

    /// The object of an exact path as text.
    pub fn object(&self) -> String {
        let mut object = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Name(name) => object.push_str(name),
                Segment::Instance(number) => object.push_str(&number.to_string()),
                Segment::Wildcard | Segment::Search(_) | Segment::Follow(_) => object.push('*'),
            }
            object.push('.');
        }
        object
    }

    /// Whether it names one thing only: no wildcard, no search.
    pub fn is_exact(&self) -> bool {
        self.segments.iter().all(|segment| matches!(segment, Segment::Name(_) | Segment::Instance(_)))
    }
}

impl Condition {
    /// Compares as the parameter's type has it: numbers as numbers, booleans in either spelling, the rest
    /// as text. Order of texts is not defined by the standard: such a condition is not met.
    pub fn matches(&self, actual: &str, value_type: Option<ValueType>) -> bool {
        if self.op == Op::Contains {
            return actual.split(',').any(|item| item.trim() == self.value);
        }
        let numbers = || Some((actual.parse::<f64>().ok()?, self.value.parse::<f64>().ok()?));
        let ordering = match value_type {
            Some(ValueType::Boolean) => boolean(actual).cmp(&boolean(&self.value)),
            Some(known) if known.is_number() => match numbers().and_then(|(a, b)| a.partial_cmp(&b)) {
                Some(ordering) => ordering,
                None => return self.op == Op::NotEqual,
            },
            // A time in one zone and one format orders as its text does.
            Some(ValueType::DateTime) => actual.cmp(&self.value),
            _ if matches!(self.op, Op::Equal | Op::NotEqual) => actual.cmp(&self.value),
            _ => return false,
        };
        match self.op {
            Op::Equal => ordering.is_eq(),
            Op::NotEqual => ordering.is_ne(),
            Op::LessOrEqual => ordering.is_le(),
            Op::GreaterOrEqual => ordering.is_ge(),
            Op::Less => ordering.is_lt(),
            Op::Greater => ordering.is_gt(),
            Op::Contains => false,
        }
    }
}

fn boolean(text: &str) -> bool {
    text == "1" || text.eq_ignore_ascii_case("true")
}

/// The items of a list of paths; commas within the quotes of search expressions do not separate.
pub fn split_list(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let items = list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    items.map(str::trim).filter(|item| !item.is_empty())
}

/// Splits off the first segment; brackets and quotes may hold dots.
fn split_segment(text: &str) -> Result<(&str, &str), PathError> {
    let (mut quoted, mut bracket) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => bracket = true,
            ']' if !quoted => bracket = false,
            '.' if !quoted && !bracket => {
                return if at == 0 { Err(PathError::Empty) } else { Ok(text.split_at(at)) };
            }
            _ => {}
        }
    }
    if quoted || bracket { Err(PathError::Search(text.into())) } else { Ok((text, "")) }
}

fn parse_segment(segment: &str) -> Result<Segment, PathError> {
    if segment == "*" {
        return Ok(Segment::Wildcard);
    }
    if let Some(search) = segment.strip_prefix('[') {
        let search = search.strip_suffix(']').ok_or_else(|| PathError::Search(segment.into()))?;
        return parse_search(search).map(Segment::Search);
    }
    if segment.bytes().all(|b| b.is_ascii_digit()) {
        let number = segment.parse().ok().filter(|number| *number > 0);
        return number.map(Segment::Instance).ok_or_else(|| PathError::Segment(segment.into()));
    }
    if is_name(segment) {
        return Ok(Segment::Name(segment.into()));
    }
    if let Some(follow) = Follow::parse(segment) {
        return Ok(Segment::Follow(follow));
    }
    Err(PathError::Segment(segment.into()))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn parse_search(search: &str) -> Result<Vec<Condition>, PathError> {
    let mut conditions = Vec::new();
    let mut rest = search;
    loop {
        let malformed = || PathError::Search(search.into());
        let at = rest.find(['=', '!', '<', '>', '~']).ok_or_else(malformed)?;
        let param = rest[..at].trim();
        let known = param.split('.').all(|part| is_name(part) || Follow::parse(part).is_some());
        if param.is_empty() || !known || conditions.len() == MAX_CONDITIONS {
            return Err(malformed());
        }
        let (op, after) = parse_op(&rest[at..]).ok_or_else(malformed)?;
        let (value, after) = parse_value(after.trim_start()).ok_or_else(malformed)?;
        conditions.push(Condition { param: param.into(), op, value });
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(conditions);
        }
        rest = after.strip_prefix("&&").ok_or_else(malformed)?;
    }
}

fn parse_op(text: &str) -> Option<(Op, &str)> {
    let known = [
        ("==", Op::Equal),
        ("!=", Op::NotEqual),
        ("<=", Op::LessOrEqual),
        (">=", Op::GreaterOrEqual),
        ("~=", Op::Contains),
        ("<", Op::Less),
        (">", Op::Greater),
    ];
    known.into_iter().find_map(|(sign, op)| text.strip_prefix(sign).map(|rest| (op, rest)))
}

/// A quoted text, with `%22` and `%25` for quote and percent, or a bare word.
fn parse_value(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = quoted.split_once('"')?;
        return Some((value.replace("%22", "\"").replace("%25", "%"), rest));
    }
    let end = text.find('&').unwrap_or(text.len());
    let (value, rest) = text.split_at(end);
    let value = value.trim();
    (!value.is_empty()).then(|| (value.to_owned(), rest))
}

/// Longest path taken, in characters.
const MAX_LENGTH: usize = 1_024;
/// Conditions in one search expression.
const MAX_CONDITIONS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn condition(param: &str, op: Op, value: &str) -> Condition {
        Condition { param: param.into(), op, value: value.into() }
    }

    #[test]
    fn r_arc_9_search_expressions_with_dots_quotes_and_blanks() {
        let path = PathExpr::parse("Device.T.[A==\"x.%22y\" && B.C >= 5].P").unwrap();
        let conditions = vec![condition("A", Op::Equal, "x.\"y"), condition("B.C", Op::GreaterOrEqual, "5")];
        assert_eq!(path.segments[2], Segment::Search(conditions));
        assert_eq!(path.param.as_deref(), Some("P"));
        assert!(!path.is_exact());
    }

    #[test]
    fn malformed_paths_are_refused() {
        for text in [
            "",
            "Foo.",
            "Device..A",
            "Device.[A]",
            "Device.T.0.",
            "Device.T.[A==].",
            "Device.T.[",
            "Device.T.*",
        ] {
            assert!(PathExpr::parse(text).is_err(), "{text:?} passed");
        }
    }

    #[test]
    fn values_compare_by_type() {
        let number = Some(ValueType::UnsignedInt);
        assert!(condition("", Op::Less, "10").matches("9", number));
        assert!(!condition("", Op::Less, "10").matches("9", Some(ValueType::String)));
        assert!(condition("", Op::Equal, "true").matches("1", Some(ValueType::Boolean)));
        assert!(condition("", Op::Contains, "b").matches("a, b", Some(ValueType::String)));
    }

    proptest! {
        #[test]
        fn arbitrary_texts_never_panic(text in "(Device|T|1|\\*|\\[|\\]|\\.|=|\"|&|<|~|%|[ -~é]){0,24}") {
            let _ = PathExpr::parse(&text);
        }
    }
}
