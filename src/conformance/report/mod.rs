//! The result of a run, for people and for machines.

mod html;
mod json;
mod markdown;
mod run;
mod text;

pub use html::html;
pub use json::json;
pub use markdown::markdown;
pub use run::Run;
pub use text::{line, list, table};
