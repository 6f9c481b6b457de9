//! One file for a browser, without anything from elsewhere.

use std::fmt::Write as _;

use crate::conformance::check::Outcome;

use super::run::{Run, remark};

/// The run as a page; what was said stands behind every failure.
pub fn html(run: &Run) -> String {
    let mut rows = String::new();
    for finished in &run.finished {
        let check = finished.check;
        let outcome = finished.outcome.name();
        let class = outcome.replace(' ', "-");
        let mut more = escaped(remark(&finished.outcome));
        if let Outcome::Fail { exchange, .. } = &finished.outcome {
            let _ = write!(
                more,
                "<details><summary>exchange</summary><pre>{}</pre></details>",
                escaped(exchange)
            );
        }
        let _ = writeln!(
            rows,
            "<tr class=\"{class}\"><td>{}</td><td>{outcome}</td><td>{}</td><td>{}</td><td>{more}</td>\
             <td>{:.1}</td></tr>",
            check.number,
            escaped(check.title),
            check.tag.name(),
            finished.took.as_secs_f32(),
        );
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>TP-469: {agent}</title>\n\
         <style>{STYLE}</style></head><body>\n<h1>{agent}</h1>\n\
         <p>TP-469 over {}, begun {}, by dragoman {}: {}</p>\n\
         <table><thead><tr><th>Check</th><th>Outcome</th><th>Title</th><th>Tag</th><th>Why</th>\
         <th>Seconds</th></tr></thead><tbody>\n{rows}</tbody></table>\n</body></html>\n",
        escaped(run.mtp),
        escaped(&run.began),
        env!("CARGO_PKG_VERSION"),
        run.counts(),
        agent = escaped(&run.agent),
    )
}

/// Text of an agent must not become part of the page's structure.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:15px/1.4 system-ui,sans-serif;margin:2em;color:#222;background:#fff}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3em .6em;\
    border-bottom:1px solid #ddd}pre{overflow-x:auto;background:#f6f6f6;padding:.6em;font-size:12px}\
    tr.pass td:nth-child(2){color:#15692a}tr.fail td:nth-child(2){color:#b00020;font-weight:bold}\
    tr.not-applicable td{color:#777}";

#[cfg(test)]
mod tests {
    use super::super::run::example;
    use super::*;

    #[test]
    fn an_agents_text_stays_text() {
        let page = html(&example());
        assert!(page.contains("a &lt;b&gt; | c<details>"), "{page}");
        assert!(page.contains("<tr class=\"not-applicable\"><td>1.59</td>"), "{page}");
        assert!(!page.contains("http"), "nothing is fetched from elsewhere");
    }
}
