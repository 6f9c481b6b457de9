//! A table with a line for each comparison: figures, their ratio, and whether it is what was wanted.

use std::ops::Range;

/// One comparison.
pub struct Row {
    pub what: String,
    pub ours: String,
    pub theirs: String,
    /// `None` where a thing is measured and not compared.
    pub ratio: Option<f64>,
    /// What was set out for the ratio: at least, or at most. From zero to infinity it is stated for what it is.
    pub wanted: Range<f64>,
}

const NOTHING: Range<f64> = 0.0..f64::INFINITY;

fn words(wanted: &Range<f64>) -> String {
    match (wanted.start > 0.0, wanted.end.is_finite()) {
        (true, _) => format!(">= {}", wanted.start),
        (false, true) => format!("<= {}", wanted.end),
        (false, false) => "-".into(),
    }
}

fn verdict(row: &Row) -> &'static str {
    match row.ratio {
        Some(_) if row.wanted == NOTHING => "",
        Some(ratio) if row.wanted.start <= ratio && ratio <= row.wanted.end => "met",
        Some(_) => "NOT met",
        None => "",
    }
}

/// Prints the rows under these names of the two sides.
pub fn print(ours: &str, theirs: &str, rows: &[Row]) {
    println!("{:<44} {ours:>16} {theirs:>16} {:>7} {:>8}", "", "ratio", "wanted");
    for row in rows {
        let ratio = row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let (wanted, verdict) = (words(&row.wanted), verdict(row));
        println!("{:<44} {:>16} {:>16} {ratio:>7} {wanted:>8} {verdict}", row.what, row.ours, row.theirs);
    }
}
