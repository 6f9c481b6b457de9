//! What was said between controller and agent, in a form that people can read.

use std::fmt::{Debug, Write as _};

/// The lines of one check, in order.
#[derive(Debug, Default)]
pub(super) struct Exchange(Vec<String>);

impl Exchange {
    pub fn sent(&mut self, what: &dyn Debug) {
        self.push(format!("controller -> agent\n{}", readable(what)));
    }

    pub fn received(&mut self, what: &dyn Debug) {
        self.push(format!("agent -> controller\n{}", readable(what)));
    }

    /// At the tap: what the agent says to its broker.
    pub fn broker_heard(&mut self, what: &dyn Debug) {
        self.push(format!("agent -> broker\n{}", readable(what)));
    }

    /// At the tap: what the broker says to the agent.
    pub fn broker_said(&mut self, what: &dyn Debug) {
        self.push(format!("broker -> agent\n{}", readable(what)));
    }

    pub fn note(&mut self, text: impl Into<String>) {
        self.push(format!("({})", text.into()));
    }

    pub fn text(&self) -> String {
        self.0.join("\n")
    }

    fn push(&mut self, mut text: String) {
        if self.0.len() >= MAX_ENTRIES {
            return;
        }
        if let Some((at, _)) = text.char_indices().nth(MAX_ENTRY) {
            text.truncate(at);
            text.push_str("\n    ... (cut here)");
        }
        // An agent's text must not steer a terminal.
        self.0.push(text.chars().filter(|c| *c == '\n' || !c.is_control()).collect());
    }
}

/// The structure of a message by indentation alone.
fn readable(what: &dyn Debug) -> String {
    let mut text = String::new();
    for line in format!("{what:#?}").lines() {
        let line = line.trim_end_matches(',');
        if matches!(line.trim(), ")" | "}" | "]") {
            continue;
        }
        let opened =
            line.strip_suffix('(').or_else(|| line.strip_suffix('{')).or_else(|| line.strip_suffix('['));
        let _ = writeln!(text, "    {}", opened.unwrap_or(line).trim_end());
    }
    text.truncate(text.trim_end().len());
    text
}

/// Characters kept of one message: the answer to GetSupportedDM may be megabytes.
const MAX_ENTRY: usize = 16_384;
/// Messages kept of one check.
const MAX_ENTRIES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::controller::requests;

    #[test]
    fn a_message_is_told_without_brackets() {
        let mut exchange = Exchange::default();
        exchange.sent(&requests::get(&["Device.[A==\"(\"]."], 2));
        let text = exchange.text();
        assert!(text.contains("\n        Get\n"), "{text}");
        assert!(
            text.contains("            param_paths:\n                \"Device.[A==\\\"(\\\"].\""),
            "{text}"
        );
        assert!(text.ends_with("            max_depth: 2"), "{text}");
    }
}
