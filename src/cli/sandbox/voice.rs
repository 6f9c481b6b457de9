//! How the sandbox speaks: one line for each thing that happens, with its time and who does it.

use std::io::IsTerminal as _;
use std::time::Instant;

/// Writes the transcript to standard output.
pub(super) struct Voice {
    started: Instant,
    colour: bool,
}

impl Voice {
    pub fn start() -> Self {
        Self { started: Instant::now(), colour: std::io::stdout().is_terminal() }
    }

    /// A new part of the story.
    pub fn chapter(&self, title: &str) {
        println!("\n{}", self.paint("1", title));
    }

    /// Somebody does something.
    pub fn say(&self, who: &str, what: &str) {
        let seconds = self.started.elapsed().as_secs_f32();
        let mut lines = what.lines();
        let first = lines.next().unwrap_or("");
        println!("{seconds:6.1} s  {}  {first}", self.paint(colour_of(who), &format!("{who:<10}")));
        for line in lines {
            println!("{:22}{line}", "");
        }
    }

    /// Text without a speaker.
    pub fn note(&self, text: &str) {
        println!("{text}");
    }

    pub fn fail(&self, why: &str) {
        println!("\n{} {why}", self.paint("31;1", "The story broke off:"));
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
