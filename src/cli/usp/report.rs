//! Responses and notifications as rows, to be printed as a table or as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sim::controller::Notification;
use crate::usp::ErrorCode;
use crate::usp::message::{self, Response, notify};

/// What an agent answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub header: &'static [&'static str],
    pub rows: Vec<Vec<String>>,
    pub failures: Vec<Failure>,
}

/// A part of a request that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What it is about; empty for the whole request.
    pub path: String,
    pub code: ErrorCode,
    pub text: String,
}

impl Failure {
    fn new(path: impl Into<String>, code: u32, text: impl Into<String>) -> Self {
        Self { path: path.into(), code: ErrorCode(code), text: text.into() }
    }

    /// One line for an operator: code, name, the agent's words, and what may help.
    pub fn line(&self) -> String {
        let mut line = format!("error {}", self.code);
        for part in [self.path.as_str(), self.text.as_str()].into_iter().filter(|part| !part.is_empty()) {
            line.push_str(": ");
            line.push_str(part);
        }
        if let Some(advice) = advice(self.code, &self.text) {
            line.push_str(" (");
            line.push_str(advice);
            line.push(')');
        }
        line
    }
}

/// What to do about an error, where the standard's name does not say it.
fn advice(code: ErrorCode, text: &str) -> Option<&'static str> {
    Some(match code {
        // There are many reasons to deny a request; an agent that gives one knows it.
        ErrorCode::REQUEST_DENIED if !text.is_empty() => return None,
        ErrorCode::REQUEST_DENIED | ErrorCode::PERMISSION_DENIED => {
            "the role that the agent gives this controller does not allow it"
        }
        ErrorCode::RESOURCES_EXCEEDED => "the agent has too much to do; try again later",
        ErrorCode::INVALID_PATH_SYNTAX => "paths begin with Device. and those of objects end in a dot",
        ErrorCode::UNSUPPORTED_PARAMETER | ErrorCode::INVALID_PATH => {
            "the device has no such thing; 'dragoman usp supported' shows what it has"
        }
        ErrorCode::OBJECT_DOES_NOT_EXIST => "'dragoman usp instances' shows the objects there are",
        ErrorCode::NON_WRITEABLE_PARAMETER => "the device only lets it be read",
        ErrorCode::COMMAND_FAILURE => "the device took the command and it failed there",
        _ => return None,
    })
}

impl Report {
    /// Columns without rows yet.
    pub fn of(header: &'static [&'static str]) -> Self {
        Self { header, ..Self::default() }
    }

    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(str::to_owned).to_vec());
    }

    /// An Error message: the whole request failed.
    pub fn error(error: &message::Error) -> Self {
        let mut report = Self::default();
        report.failures.push(Failure::new("", error.err_code, &error.err_msg));
        for it in &error.param_errs {
            report.failures.push(Failure::new(&it.param_path, it.err_code, &it.err_msg));
        }
        report
    }

    pub fn response(response: &Response) -> Self {
        match response {
            Response::GetResp(it) => get(it),
            Response::SetResp(it) => set(it),
            Response::AddResp(it) => add(it),
            Response::DeleteResp(it) => delete(it),
            Response::OperateResp(it) => operate(it),
            Response::GetInstancesResp(it) => instances(it),
            Response::GetSupportedDmResp(it) => supported(it),
            // No command of ours asks for these.
            _ => Self::default(),
        }
    }

    /// What came of a command that the agent finished later.
    pub fn complete(complete: &notify::OperationComplete) -> Self {
        use notify::operation_complete::OperationResp;
        let mut report = Self::of(OPERATE);
        let command = format!("{}{}", complete.obj_path, complete.command_name);
        match &complete.operation_resp {
            Some(OperationResp::CmdFailure(it)) => {
                report.failures.push(Failure::new(command, it.err_code, &it.err_msg));
            }
            Some(OperationResp::ReqOutputArgs(it)) => report.outputs(&command, &it.output_args),
            None => report.outputs(&command, &BTreeMap::new()),
        }
        report
    }

    fn outputs(&mut self, command: &str, arguments: &BTreeMap<String, String>) {
        if arguments.is_empty() {
            self.row([command, "done", ""]);
        }
        for (name, value) in arguments {
            self.row([command, name, value]);
        }
    }

    fn failed(&mut self, path: impl Into<String>, code: u32, text: &str) {
        if code != 0 {
            self.failures.push(Failure::new(path, code, text));
        }
    }

    /// Plain text in aligned columns; without rows nothing.
    pub fn table(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let titles: Vec<String> = self.header.iter().map(|title| title.to_uppercase()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&titles).chain(&self.rows).collect();
        let width = |column: usize| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..self.header.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for line in lines {
            let cells: Vec<String> =
                line.iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", clean(cell))).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// An object with `results`, a list of objects with the columns as keys, and `errors`.
    pub fn json(&self) -> Value {
        let object = |row: &Vec<String>| -> Value {
            self.header.iter().zip(row).map(|(key, cell)| ((*key).to_owned(), json!(cell))).collect()
        };
        let failure = |it: &Failure| {
            let (code, name) = (it.code.0, it.code.name());
            json!({"path": it.path, "code": code, "name": name, "text": it.text})
        };
        json!({
            "results": self.rows.iter().map(object).collect::<Vec<_>>(),
            "errors": self.failures.iter().map(failure).collect::<Vec<_>>(),
        })
    }
}

/// A device's text must not steer the terminal.
fn clean(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn get(response: &message::GetResp) -> Report {
    let mut report = Report::of(&["path", "value"]);
    for result in &response.req_path_results {
        report.failed(&result.requested_path, result.err_code, &result.err_msg);
        for resolved in &result.resolved_path_results {
            for (param, value) in &resolved.result_params {
                report.row([&format!("{}{param}", resolved.resolved_path), value]);
            }
        }
    }
    report
}

fn set(response: &message::SetResp) -> Report {
    use message::set_resp::updated_object_result::operation_status::OperStatus;
    let mut report = Report::of(&["path", "value"]);
    for result in &response.updated_obj_results {
        match result.oper_status.as_ref().and_then(|status| status.oper_status.as_ref()) {
            Some(OperStatus::OperFailure(failure)) => {
                report.failed(&result.requested_path, failure.err_code, &failure.err_msg);
                for instance in &failure.updated_inst_failures {
                    for it in &instance.param_errs {
                        let path = format!("{}{}", instance.affected_path, it.param);
                        report.failed(path, it.err_code, &it.err_msg);
                    }
                }
            }
            Some(OperStatus::OperSuccess(success)) => {
                for instance in &success.updated_inst_results {
                    for (param, value) in &instance.updated_params {
                        report.row([&format!("{}{param}", instance.affected_path), value]);
                    }
                    for it in &instance.param_errs {
                        let path = format!("{}{}", instance.affected_path, it.param);
                        report.failed(path, it.err_code, &it.err_msg);
                    }
                }
            }
            None => {}
        }
    }
    report
}

fn add(response: &message::AddResp) -> Report {
    use message::add_resp::created_object_result::operation_status::OperStatus;
    let mut report = Report::of(&["path", "keys"]);
    for result in &response.created_obj_results {
        match result.oper_status.as_ref().and_then(|status| status.oper_status.as_ref()) {
            Some(OperStatus::OperFailure(it)) => {
                report.failed(&result.requested_path, it.err_code, &it.err_msg);
            }
            Some(OperStatus::OperSuccess(success)) => {
                report.row([&success.instantiated_path, &joined(&success.unique_keys)]);
                for it in &success.param_errs {
                    let path = format!("{}{}", success.instantiated_path, it.param);
                    report.failed(path, it.err_code, &it.err_msg);
                }
            }
            None => {}
        }
    }
    report
}

fn delete(response: &message::DeleteResp) -> Report {
    use message::delete_resp::deleted_object_result::operation_status::OperStatus;
    let mut report = Report::of(&["deleted"]);
    for result in &response.deleted_obj_results {
        match result.oper_status.as_ref().and_then(|status| status.oper_status.as_ref()) {
            Some(OperStatus::OperFailure(it)) => {
                report.failed(&result.requested_path, it.err_code, &it.err_msg);
            }
            Some(OperStatus::OperSuccess(success)) => {
                for path in &success.affected_paths {
                    report.row([path]);
                }
                for it in &success.unaffected_path_errs {
                    report.failed(&it.unaffected_path, it.err_code, &it.err_msg);
                }
            }
            None => {}
        }
    }
    report
}

fn operate(response: &message::OperateResp) -> Report {
    use message::operate_resp::operation_result::OperationResp;
    let mut report = Report::of(OPERATE);
    for result in &response.operation_results {
        let command = &result.executed_command;
        match &result.operation_resp {
            Some(OperationResp::ReqObjPath(path)) => report.row([command, "at work as", path]),
            Some(OperationResp::ReqOutputArgs(it)) => report.outputs(command, &it.output_args),
            Some(OperationResp::CmdFailure(it)) => report.failed(command, it.err_code, &it.err_msg),
            None => report.outputs(command, &BTreeMap::new()),
        }
    }
    report
}

fn instances(response: &message::GetInstancesResp) -> Report {
    let mut report = Report::of(&["path", "keys"]);
    for result in &response.req_path_results {
        report.failed(&result.requested_path, result.err_code, &result.err_msg);
        for it in &result.curr_insts {
            report.row([&it.instantiated_obj_path, &joined(&it.unique_keys)]);
        }
    }
    report
}

fn supported(response: &message::GetSupportedDmResp) -> Report {
    let mut report = Report::of(&["path", "kind", "access", "type"]);
    for result in &response.req_obj_results {
        report.failed(&result.req_obj_path, result.err_code, &result.err_msg);
        for object in &result.supported_objs {
            let path = &object.supported_obj_path;
            let kind = if object.is_multi_instance { "table" } else { "object" };
            report.row([path, kind, &word(object.access().as_str_name(), "OBJ_"), ""]);
            for it in &object.supported_params {
                let access = word(it.access().as_str_name(), "PARAM_");
                let value_type = word(it.value_type().as_str_name(), "PARAM_");
                report.row([&format!("{path}{}", it.param_name), "parameter", &access, &value_type]);
            }
            for it in &object.supported_commands {
                let kind = word(it.command_type().as_str_name(), "CMD_");
                report.row([&format!("{path}{}", it.command_name), "command", "", &kind]);
            }
            for it in &object.supported_events {
                report.row([&format!("{path}{}", it.event_name), "event", "", ""]);
            }
        }
    }
    report
}

/// `PARAM_READ_ONLY` as people say it.
fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', " ")
}

fn joined(keys: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}

/// A notification in one line.
pub(super) fn line(notification: &Notification) -> String {
    let (kind, about, values) = parts(notification);
    let id = &notification.notify.subscription_id;
    clean(format!("{} {id} {kind} {about} {}", notification.agent, joined(&values)).trim_end())
}

/// A notification as an object on one line.
pub(super) fn notification_json(notification: &Notification) -> Value {
    let (kind, about, values) = parts(notification);
    json!({
        "agent": notification.agent.as_str(),
        "subscription": notification.notify.subscription_id,
        "type": kind,
        "path": about,
        "values": values,
    })
}

/// The kind of a notification, what it is about, and its values by name.
fn parts(notification: &Notification) -> (&'static str, String, BTreeMap<String, String>) {
    use notify::Notification as Kind;
    use notify::operation_complete::OperationResp;
    let one = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    match &notification.notify.notification {
        Some(Kind::Event(it)) => ("Event", format!("{}{}", it.obj_path, it.event_name), it.params.clone()),
        Some(Kind::ValueChange(it)) => {
            ("ValueChange", it.param_path.clone(), [one("value", &it.param_value)].into())
        }
        Some(Kind::ObjCreation(it)) => ("ObjectCreation", it.obj_path.clone(), it.unique_keys.clone()),
        Some(Kind::ObjDeletion(it)) => ("ObjectDeletion", it.obj_path.clone(), BTreeMap::new()),
        Some(Kind::OperComplete(it)) => {
            let values = match &it.operation_resp {
                Some(OperationResp::ReqOutputArgs(outputs)) => outputs.output_args.clone(),
                Some(OperationResp::CmdFailure(failure)) => {
                    let error = format!("{}: {}", ErrorCode(failure.err_code), failure.err_msg);
                    [one("error", &error)].into()
                }
                None => BTreeMap::new(),
            };
            ("OperationComplete", format!("{}{}", it.obj_path, it.command_name), values)
        }
        Some(Kind::OnBoardReq(it)) => {
            let values = [
                one("oui", &it.oui),
                one("product_class", &it.product_class),
                one("serial_number", &it.serial_number),
            ];
            ("OnBoardRequest", String::new(), values.into())
        }
        None => ("Nothing", String::new(), BTreeMap::new()),
    }
}

const OPERATE: &[&str] = &["command", "result", "value"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usp::message::{GetResp, get_resp};

    fn answer() -> Response {
        let resolved = get_resp::ResolvedPathResult {
            resolved_path: "Device.Time.".into(),
            result_params: [("Enable".to_owned(), "true".to_owned()), ("X".into(), "a\u{1b}[2J".into())]
                .into(),
        };
        let good = get_resp::RequestedPathResult {
            requested_path: "Device.Time.".into(),
            resolved_path_results: vec![resolved],
            ..get_resp::RequestedPathResult::default()
        };
        let bad = get_resp::RequestedPathResult {
            requested_path: "Device.Nope.".into(),
            err_code: 7026,
            err_msg: "no such object".into(),
            ..get_resp::RequestedPathResult::default()
        };
        Response::GetResp(GetResp { req_path_results: vec![good, bad] })
    }

    #[test]
    fn columns_are_aligned_and_a_devices_text_cannot_steer_the_terminal() {
        let table = Report::response(&answer()).table();
        assert_eq!(table, "PATH                VALUE\nDevice.Time.Enable  true\nDevice.Time.X       a [2J\n");
    }

    #[test]
    fn an_error_line_says_code_name_path_text_and_what_may_help() {
        let report = Report::response(&answer());
        let line = report.failures[0].line();
        assert!(line.starts_with("error 7026 Invalid path: Device.Nope.: no such object ("), "{line}");
    }

    #[test]
    fn a_denial_with_a_reason_is_given_no_other() {
        let line = |code, text: &str| Failure::new("", code, text).line();
        assert!(line(7002, "").contains("role") && line(7006, "Get is not permitted").contains("role"));
        assert!(line(7002, "this device is in bypass").ends_with("bypass"));
    }

    #[test]
    fn json_holds_results_and_errors() {
        let json = Report::response(&answer()).json();
        assert_eq!(json["results"][0], json!({"path": "Device.Time.Enable", "value": "true"}));
        assert_eq!(json["errors"][0]["code"], 7026);
    }
}
