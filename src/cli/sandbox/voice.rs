//! How the sandbox speaks: one line for each thing that happens, with its time and who does it.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::cli::output;

/// Writes the transcript to standard output.
pub(super) struct Voice {
    started: Instant,
    colour: bool,
    /// Cancelled once nobody listens any more.
    gone: CancellationToken,
}

impl Voice {
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            colour: std::io::stdout().is_terminal(),
            gone: CancellationToken::new(),
        }
    }

    /// A new part of the story.
    pub fn chapter(&self, title: &str) {
        self.line(format_args!("\n{}", self.paint("1", title)));
    }

    /// Somebody does something.
    pub fn say(&self, who: &str, what: &str) {
        let seconds = self.started.elapsed().as_secs_f32();
        let mut lines = what.lines();
        let first = lines.next().unwrap_or("");
        let who = self.paint(colour_of(who), &format!("{who:<10}"));
        self.line(format_args!("{seconds:6.1} s  {who}  {first}"));
        for line in lines {
            self.line(format_args!("{:22}{line}", ""));
        }
    }

    /// Text without a speaker.
    pub fn note(&self, text: &str) {
        self.line(text);
    }

    pub fn fail(&self, why: &str) {
        self.line(format_args!("\n{} {why}", self.paint("31;1", "The story broke off:")));
    }

    /// Resolves when nobody listens any more.
    pub async fn gone(&self) {
        self.gone.cancelled().await;
    }

    fn line(&self, text: impl fmt::Display) {
        if output::line(text).is_err() {
            self.gone.cancel();
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn colour_of(who: &str) -> &'static str {
    match who {
        "CPE" => "33",
        "ACS" => "34",
        "controller" => "32",
        _ => "36",
    }
}
