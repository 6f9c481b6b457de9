//! What a replay has found.

use crate::capture::Sitting;

/// One exchange of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub device: String,
    pub session: u32,
    /// The line of the capture; 0 for what is not in it.
    pub line: usize,
    /// What the request is called.
    pub request: String,
    /// The recorded answer's status and the one that came, 0 for none.
    pub recorded: u16,
    pub came: u16,
    /// How what came differs from what was recorded.
    pub difference: Option<String>,
}

/// All exchanges, in the order in which they were played.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub rows: Vec<Row>,
}

impl Report {
    /// How many exchanges were not as recorded.
    pub fn differences(&self) -> usize {
        self.rows.iter().filter(|row| row.difference.is_some()).count()
    }

    /// A table for people: a line for each exchange, and what differs below it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![format!("{:>6}  {:<7}  {:<32}  {:<12}  {}", "LINE", "SESSION", "REQUEST", "ANSWER", "")];
        for row in &self.rows {
            let status = |status: u16| if status == 0 { "none".to_owned() } else { status.to_string() };
            let answer = match row.recorded == row.came {
                true => status(row.recorded),
                false => format!("{} -> {}", status(row.recorded), status(row.came)),
            };
            let verdict = if row.difference.is_some() { "DIFFERS" } else { "same" };
            let (line, session, request) = (row.line, row.session, &row.request);
            lines.push(format!("{line:>6}  {session:<7}  {request:<32}  {answer:<12}  {verdict}"));
            lines.extend(row.difference.iter().map(|why| format!("        {}: {why}", row.device)));
        }
        lines.push(format!("{} exchanges, {} differ", self.rows.len(), self.differences()));
        lines
    }

    /// Exchanges from `from` on that there was no occasion for.
    pub(super) fn left_out(&mut self, sitting: &Sitting, from: usize, why: &str) {
        for exchange in sitting.exchanges.iter().skip(from) {
            self.rows.push(Row {
                device: sitting.device.clone(),
                session: sitting.session,
                line: exchange.line,
                request: exchange.request.name.clone(),
                recorded: exchange.answer.as_ref().map_or(0, |(status, _)| *status),
                came: 0,
                difference: Some(why.to_owned()),
            });
        }
    }
}
