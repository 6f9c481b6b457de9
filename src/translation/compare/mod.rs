//! An RPC of the ACS and the CPE's answer, held against what the same would be in USP: nothing is sent, and nothing
//! of the device's shadow is changed.
//!
//! What is compared is what a controller would be shown or answered: names, instances, types, values, access and
//! errors, by the very plans, rules of translation and tables that answer controllers.

mod commands;
mod comparer;
mod reads;
#[cfg(test)]
mod tests;
mod writes;

pub use comparer::{Answer, Findings, Known, compare};
