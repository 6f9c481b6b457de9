//! Keeps the tree in the shape that ARCHITECTURE.md promises: layers, purity of the cores, sizes, headers.
//! Reads the sources as text; a rule that is broken is reported with file, line and what to do instead.

#![expect(clippy::expect_used, reason = "a test that cannot read the tree must fail loudly")]

use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules by layer; an import may only point to the same module or to a lower layer.
const LAYERS: [(u8, &[&str]); 7] = [
    (0, &["identity", "datamodel", "durable"]),
    (1, &["cwmp", "transport", "usp"]),
    (2, &["translation", "policy"]),
    (3, &["agent", "capture", "telemetry", "relay", "proxy"]),
    (
        4,
        &[
            "net",
            "observe",
            "southbound",
            "upstream",
            "connection_request",
            "collector",
            "file_server",
            "handover",
            "mtp",
            "payload_security",
            "store",
        ],
    ),
    (5, &["runtime"]),
    (6, &["admin", "config", "cli", "app"]),
];
/// Modules that a module of the same layer may import.
const SAME_LAYER: [(&str, &[&str]); 10] = [
    ("datamodel", &["identity"]),
    ("durable", &["identity", "datamodel"]),
    ("translation", &["policy"]),
    ("relay", &[]),
    ("agent", &["telemetry"]),
    ("proxy", &["agent", "relay", "telemetry"]),
    ("observe", &[]),
    ("config", &["admin"]),
    ("cli", &["app", "config", "admin", "sim"]),
    ("app", &["config", "admin"]),
];
/// What every shell may import of its own layer.
const SHELL_BASE: [&str; 2] = ["net", "observe"];
/// Modules beside the layers, for the top alone.
const BESIDE: [&str; 2] = ["sim", "conformance"];
/// What `sim` may import.
const SIM_MAY: [&str; 10] = [
    "identity",
    "datamodel",
    "durable",
    "cwmp",
    "transport",
    "usp",
    "capture",
    "net",
    "payload_security",
    "sim",
];
/// What `conformance` may import.
const CONFORMANCE_MAY: [&str; 10] = [
    "identity",
    "datamodel",
    "durable",
    "cwmp",
    "transport",
    "usp",
    "net",
    "observe",
    "payload_security",
    "sim",
];
/// Words that mean I/O, a clock, randomness or async; none may stand in layers 0 to 3.
const IMPURE: [&str; 12] = [
    "tokio::",
    "std::net::",
    "std::fs",
    "std::thread",
    "std::process",
    "Instant::now",
    "SystemTime::now",
    "async fn",
    ".await",
    "rand::",
    "hyper::",
    "rusqlite::",
];
const MAX_FILE_LINES: usize = 1_000;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_WIDTH: usize = 120;

struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

impl Source {
    /// Lines with their numbers up to the unit tests at the end of the file.
    fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
    }

    fn is_tests(&self) -> bool {
        self.path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "tests.rs")
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

#[test]
fn imports_point_down() {
    let mut broken = Vec::new();
    for source in sources() {
        if source.is_tests() {
            continue;
        }
        for (number, line) in source.production_lines() {
            for target in imported_modules(line) {
                if !may_import(&source.module, target) {
                    broken.push(format!("{}: {} must not import {target}", source.at(number), source.module));
                }
            }
        }
    }
    report(broken);
}

#[test]
fn cores_are_pure() {
    let mut broken = Vec::new();
    for source in sources() {
        if layer(&source.module).is_none_or(|layer| layer > 3) || source.is_tests() {
            continue;
        }
        for (number, line) in source.production_lines().filter(|(_, line)| !is_comment(line)) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                broken.push(format!(
                    "{}: '{word}' in a core; make it an input or an output",
                    source.at(number)
                ));
            }
        }
    }
    report(broken);
}

#[test]
fn foreign_types_stay_in_their_module() {
    let rules = [("prost::", "usp"), ("quick_xml::", "cwmp"), ("rumqttc::", "transport")];
    let mut broken = Vec::new();
    for source in sources() {
        for (number, line) in source.production_lines().filter(|(_, line)| !is_comment(line)) {
            for (word, home) in
                rules.iter().filter(|(word, home)| line.contains(word) && source.module != *home)
            {
                broken.push(format!("{}: '{word}' belongs to {home} alone", source.at(number)));
            }
        }
    }
    report(broken);
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    let mut broken = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") {
            broken.push(format!("{}: open with '//!': what the file is for", source.path.display()));
        }
        let lines = source.text.lines().count();
        if lines > MAX_FILE_LINES {
            broken.push(format!(
                "{}: {lines} lines, split it ({MAX_FILE_LINES} at most)",
                source.path.display()
            ));
        }
        for (index, line) in source.text.lines().enumerate() {
            if line.chars().count() > MAX_WIDTH {
                broken.push(format!("{}: line wider than {MAX_WIDTH}", source.at(index + 1)));
            }
        }
    }
    report(broken);
}

#[test]
fn functions_fit_on_a_page() {
    let mut broken = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (start, line) in lines.iter().enumerate().filter(|(_, line)| is_function_head(line)) {
            let indent = line.len() - line.trim_start().len();
            let close = format!("{}}}", " ".repeat(indent));
            let end = lines[start..].iter().position(|line| *line == close).unwrap_or(0);
            if end + 1 > MAX_FUNCTION_LINES {
                broken.push(format!("{}: function of {} lines", source.at(start + 1), end + 1));
            }
        }
    }
    report(broken);
}

#[test]
fn module_roots_hold_no_logic() {
    let mut broken = Vec::new();
    for source in sources().into_iter().filter(|s| s.path.ends_with("mod.rs") && s.module != "cli") {
        for (number, line) in source.production_lines().filter(|(_, line)| is_function_head(line)) {
            broken.push(format!("{}: '{}' in a table of contents", source.at(number), line.trim()));
        }
    }
    report(broken);
}

#[test]
fn nothing_prints_but_the_one_place_that_bears_a_reader_who_has_gone() {
    let mut broken = Vec::new();
    for source in sources().into_iter().filter(|s| !s.is_tests() && !s.path.ends_with("cli/output.rs")) {
        for (number, line) in source.production_lines().filter(|(_, line)| !is_comment(line)) {
            if ["print!(", "println!("].iter().any(|word| line.contains(word)) {
                broken.push(format!("{}: print by cli/output.rs, or log", source.at(number)));
            }
        }
    }
    report(broken);
}

fn report(broken: Vec<String>) {
    assert!(broken.is_empty(), "{} rule(s) broken:\n{}", broken.len(), broken.join("\n"));
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 10, "the tree was not found");
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).expect("below src").to_path_buf();
            let first =
                relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("a readable file");
            found.push(Source { path: relative, module, text });
        }
    }
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&module)).map(|(layer, _)| *layer)
}

fn may_import(from: &str, target: &str) -> bool {
    if from == target || matches!(from, "main" | "lib") {
        return true;
    }
    if from == "sim" {
        return SIM_MAY.contains(&target);
    }
    if from == "conformance" {
        return CONFORMANCE_MAY.contains(&target);
    }
    let (Some(from_layer), Some(target_layer)) = (layer(from), layer(target)) else {
        return BESIDE.contains(&target) && layer(from).is_none_or(|layer| layer == 6);
    };
    if target_layer < from_layer {
        return true;
    }
    let listed = SAME_LAYER.iter().any(|(module, may)| *module == from && may.contains(&target));
    let base = from_layer == 4 && target_layer == 4 && SHELL_BASE.contains(&target);
    target_layer == from_layer && (listed || base)
}

/// The top-level modules a line imports or names with `crate::`.
fn imported_modules(line: &str) -> Vec<&str> {
    if is_comment(line) {
        return Vec::new();
    }
    line.match_indices("crate::")
        .map(|(at, found)| &line[at + found.len()..])
        .map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or(""))
        .filter(|name| layer(name).is_some() || BESIDE.contains(name))
        .collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn is_function_head(line: &str) -> bool {
    let line = line.trim_start();
    let words =
        ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn ", "const fn "];
    words.iter().any(|word| line.starts_with(word)) && line.ends_with('{')
}
