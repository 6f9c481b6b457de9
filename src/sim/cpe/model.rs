//! The data model that every CPE of a fleet has when it leaves the factory, read from CSV. It is shared and
//! never changes: a CPE keeps only what differs from it.

use std::collections::BTreeMap;
use std::ops::Bound;

use compact_str::CompactString;
use thiserror::Error;

use crate::datamodel::{ValueType, path};

/// What stands under a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// `writable`: instances can be added (of a table), or it can be deleted (an instance).
    Object {
        writable: bool,
    },
    Parameter {
        writable: bool,
        value_type: ValueType,
        value: CompactString,
    },
}

/// Objects and parameters by path, and what a new instance of each table looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    root: &'static str,
    nodes: BTreeMap<CompactString, Node>,
    /// Nodes by their path with `{i}` for every instance number.
    templates: BTreeMap<CompactString, Node>,
}

/// Why a text is no model; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct ModelError {
    pub line: usize,
    pub why: String,
}

impl Model {
    /// Reads lines `path,writable,value,type` under a header line. Objects end in a dot and may leave the
    /// other fields empty; blank lines and those that begin with `#` do not count. A value may stand in
    /// double quotes, with `""` for one of them. A path with `{i}` is no part of the model but says what a
    /// new instance of a table looks like; without one the table's first instance does, with its values
    /// emptied.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let mut model = Self { root: "", nodes: BTreeMap::new(), templates: BTreeMap::new() };
        let mut given = BTreeMap::new();
        let mut header = false;
        let mut last = 0;
        for (index, line) in text.lines().enumerate() {
            last = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = |why: String| ModelError { line: last, why };
            let fields = split(line).map_err(at)?;
            if !header {
                if fields != HEADER {
                    return Err(at(format!("the header must be '{}'", HEADER.join(","))));
                }
                header = true;
                continue;
            }
            let (name, node) = parse_node(&fields).map_err(at)?;
            model.take_root(&name).map_err(at)?;
            let into = if name.contains(PLACEHOLDER) { &mut given } else { &mut model.nodes };
            if into.len() >= MAX_NODES {
                return Err(at(format!("more than {MAX_NODES} lines")));
            }
            if into.insert(name.clone(), node).is_some() {
                return Err(at(format!("'{name}' stands twice")));
            }
        }
        if model.nodes.is_empty() {
            return Err(ModelError { line: last, why: "the model is empty".into() });
        }
        model.add_ancestors();
        model.add_templates(given);
        Ok(model)
    }

    /// `Device.` or `InternetGatewayDevice.`.
    pub fn root(&self) -> &'static str {
        self.root
    }

    pub fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The node with its path.
    pub(super) fn entry(&self, path: &str) -> Option<(&CompactString, &Node)> {
        self.nodes.get_key_value(path)
    }

    /// How many objects and parameters there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A model is never empty.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes whose path begins so, in order.
    pub(super) fn starting_with(&self, prefix: &str) -> impl Iterator<Item = (&CompactString, &Node)> {
        starting_with(&self.nodes, prefix)
    }

    /// What a new instance of the table holds: paths below the instance, and the instance itself as `""`.
    /// Empty if nothing says it.
    pub(super) fn template(&self, table: &str) -> Vec<(&str, &Node)> {
        let prefix = format!("{}{PLACEHOLDER}.", shape(table));
        let found = starting_with(&self.templates, &prefix);
        // A new instance has none yet of the tables within it.
        let rest = found.map(|(name, node)| (&name[prefix.len()..], node));
        rest.filter(|(rest, _)| !rest.contains(PLACEHOLDER)).collect()
    }

    fn take_root(&mut self, name: &str) -> Result<(), String> {
        let root = ROOTS.into_iter().find(|root| name.starts_with(root));
        let root = root.ok_or_else(|| format!("'{name}' is below neither {} nor {}", ROOTS[0], ROOTS[1]))?;
        if !self.root.is_empty() && self.root != root {
            return Err(format!("'{name}' has another root than the lines before"));
        }
        self.root = root;
        Ok(())
    }

    fn add_ancestors(&mut self) {
        let names: Vec<CompactString> = self.nodes.keys().cloned().collect();
        for name in &names {
            let mut below = name.as_str();
            while let Some(object) = path::parent(below) {
                self.nodes.entry(object.into()).or_insert(Node::Object { writable: false });
                below = object;
            }
        }
    }

    fn add_templates(&mut self, given: BTreeMap<CompactString, Node>) {
        let mut firsts: BTreeMap<String, &str> = BTreeMap::new();
        for name in self.nodes.keys().filter(|name| path::instance(name).is_some()) {
            firsts.entry(shape(name)).or_insert(name);
        }
        for (shape_of_first, first) in firsts {
            for (name, node) in starting_with(&self.nodes, first) {
                let shaped = format!("{shape_of_first}{}", shape(&name[first.len()..]));
                self.templates.entry(shaped.into()).or_insert_with(|| emptied(name, node));
            }
        }
        self.templates.extend(given);
    }
}

/// The entries of a map whose key begins so.
pub(super) fn starting_with<'m, T>(
    map: &'m BTreeMap<CompactString, T>,
    prefix: &str,
) -> impl Iterator<Item = (&'m CompactString, &'m T)> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    map.range::<str, _>(from).take_while(move |(name, _)| name.starts_with(prefix))
}

fn emptied(name: &str, node: &Node) -> Node {
    match node {
        Node::Parameter { writable, value_type, .. } => {
            let value = if name.ends_with(".Enable") { "0" } else { empty_value(*value_type) };
            Node::Parameter { writable: *writable, value_type: *value_type, value: value.into() }
        }
        object => object.clone(),
    }
}

fn empty_value(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Boolean => "0",
        ValueType::DateTime => UNKNOWN_TIME,
        value_type if value_type.is_number() => "0",
        _ => "",
    }
}

/// The path with `{i}` for every instance number.
fn shape(path: &str) -> String {
    let number = |segment: &str| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    let segments = path.split('.').map(|segment| if number(segment) { PLACEHOLDER } else { segment });
    segments.collect::<Vec<_>>().join(".")
}

fn parse_node(fields: &[String]) -> Result<(CompactString, Node), String> {
    let name = fields.first().map_or("", |name| name.trim());
    let field = |index: usize| fields.get(index).map_or("", String::as_str);
    if fields.len() > HEADER.len() {
        return Err(format!("{} fields, {} are known; quote values with commas", fields.len(), HEADER.len()));
    }
    let inner = name.strip_suffix('.').unwrap_or(name);
    if inner.split('.').any(|segment| segment.is_empty() || segment.contains(char::is_whitespace)) {
        return Err(format!("'{name}' is no path"));
    }
    let writable = match field(1).trim() {
        "1" | "true" => true,
        "0" | "false" => false,
        "" if path::is_object(name) => false,
        other => return Err(format!("writable is '{other}', not 0, 1, true or false")),
    };
    if path::is_object(name) {
        return Ok((name.into(), Node::Object { writable }));
    }
    let named = field(3).trim();
    let value_type = ValueType::from_xsd(named).ok_or_else(|| format!("unknown type '{named}'"))?;
    let value = field(2);
    if !value_type.accepts(value) {
        return Err(format!("'{value}' is no {}", value_type.xsd()));
    }
    Ok((name.into(), Node::Parameter { writable, value_type, value: value.into() }))
}

/// The fields of a line of CSV.
fn split(line: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            c => field.push(c),
        }
    }
    if quoted { Err("a quote is not closed".into()) } else { Ok(fields) }
}

/// The roots of TR-181 and TR-098.
const ROOTS: [&str; 2] = ["Device.", "InternetGatewayDevice."];
const HEADER: [&str; 4] = ["path", "writable", "value", "type"];
const PLACEHOLDER: &str = "{i}";
/// The unknown time of TR-106 3.2.
pub(super) const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";
/// Objects and parameters of a model.
const MAX_NODES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(lines: &str) -> String {
        Model::parse(&format!("path,writable,value,type\n{lines}")).unwrap_err().to_string()
    }

    #[test]
    fn lines_become_nodes_and_missing_ancestors_are_filled_in() {
        let text = "# a gateway\npath,writable,value,type\n\n\
                    Device.WiFi.SSID.1.SSID,1,\"a, \"\"b\"\"\",string\nDevice.WiFi.SSID.,true,,\n";
        let model = Model::parse(text).unwrap();
        let ssid =
            Node::Parameter { writable: true, value_type: ValueType::String, value: "a, \"b\"".into() };
        assert_eq!(model.node("Device.WiFi.SSID.1.SSID"), Some(&ssid));
        assert_eq!(model.node("Device.WiFi.SSID."), Some(&Node::Object { writable: true }));
        assert_eq!(model.node("Device.WiFi."), Some(&Node::Object { writable: false }));
        assert_eq!((model.root(), model.len()), ("Device.", 5));
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        assert_eq!(refused("Device.A,1,x,string\nDevice.B,1,x,text"), "line 3: unknown type 'text'");
        assert_eq!(refused("Device.A,1,x,int"), "line 2: 'x' is no xsd:int");
        assert_eq!(
            refused("Device.A,maybe,x,string"),
            "line 2: writable is 'maybe', not 0, 1, true or false"
        );
        assert_eq!(refused("Device.A,1,\"x,string"), "line 2: a quote is not closed");
        assert_eq!(refused("Device..A,1,x,string"), "line 2: 'Device..A' is no path");
        assert_eq!(refused("Device.A,1,,string\nDevice.A,1,,string"), "line 3: 'Device.A' stands twice");
        assert!(refused("Device.A,1,,string\nInternetGatewayDevice.B,1,,string").contains("another root"));
        assert!(refused("").contains("empty"));
        assert!(Model::parse("Device.A,1,,string").unwrap_err().why.contains("header"));
    }

    #[test]
    fn new_instances_look_like_the_first_one_or_as_a_line_says() {
        let model = Model::parse(
            "path,writable,value,type\nDevice.T.,1,,\nDevice.T.4.,1,,\nDevice.T.4.Enable,1,1,boolean\n\
             Device.T.4.Sub.2.Name,1,x,string\nDevice.U.,1,,\nDevice.U.{i}.,1,,\nDevice.U.{i}.N,1,7,int\n",
        )
        .unwrap();
        let value = |node: &Node| match node {
            Node::Parameter { value, .. } => value.to_string(),
            Node::Object { .. } => String::new(),
        };
        let found: Vec<_> = model.template("Device.T.").iter().map(|(p, n)| (*p, value(n))).collect();
        assert_eq!(found, [("", "".into()), ("Enable", "0".into()), ("Sub.", "".into())]);
        assert_eq!(model.template("Device.T.9.Sub.").last().unwrap().0, "Name");
        assert_eq!(value(model.template("Device.U.").last().unwrap().1), "7");
        assert_eq!(model.node("Device.U.{i}.N"), None);
    }
}
