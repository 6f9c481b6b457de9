//! One simulated CPE on a test's own clock: sessions without sockets.

use std::sync::Arc;

use crate::cwmp::rpc::{Fault, Inform, Request, Response};
use crate::datamodel::WallTime;
use crate::identity::DeviceId;

use super::core::{Cpe, Due, Settings};
use super::model::Model;
use super::quirks::Quirks;
use super::transfers::Transfer;

/// A CPE whose time stands still until it is told.
pub(crate) struct Bench {
    cpe: Cpe,
    due: Vec<(u64, Due)>,
    now: WallTime,
    fault_code: u32,
}

impl Bench {
    pub fn new(model: &str) -> Self {
        Self::numbered(model, "S1")
    }

    pub fn numbered(model: &str, serial_number: &str) -> Self {
        let settings = Settings {
            model: Arc::new(Model::parse(model).unwrap()),
            acs_url: "http://acs/".into(),
            connection_request_base: "http://127.0.0.1:7547".into(),
            credentials: None,
            quirks: Quirks::default(),
        };
        let id =
            DeviceId { serial_number: serial_number.into(), oui: "00256D".into(), ..DeviceId::default() };
        let mut cpe = Cpe::new(Arc::new(settings), id);
        cpe.boot(None, WallTime(0));
        Self { cpe, due: Vec::new(), now: WallTime(0), fault_code: 0 }
    }

    pub fn id(&self) -> DeviceId {
        self.cpe.id.clone()
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.cpe.data.value(name)
    }

    /// The Notification attribute of a parameter.
    pub fn notification(&self, name: &str) -> i32 {
        self.cpe.notification(name)
    }

    /// A change on the device itself.
    pub fn change(&mut self, name: &str, value: &str) {
        self.cpe.change(name, value);
    }

    /// An instance goes on the device itself.
    pub fn delete(&mut self, instance: &str) {
        self.cpe.data.delete_instance(instance);
    }

    /// The device starts with another firmware.
    pub fn flash(&mut self, model: &str) {
        let mut other = Self::numbered(model, &self.cpe.id.serial_number);
        other.now = self.now;
        *self = other;
    }

    /// Opens a session: the Inform is taken as acknowledged.
    pub fn open(&mut self) -> Inform<'static> {
        let inform = self.cpe.open(self.now);
        self.cpe.informed();
        inform
    }

    /// Opens a session whose Inform is not acknowledged before `informed`.
    pub fn open_unanswered(&mut self) -> Inform<'static> {
        self.cpe.open(self.now)
    }

    /// The parameters that have changed by what the last Inform says.
    pub fn told_changes(&self) -> Vec<String> {
        self.cpe.sent_changed.iter().map(ToString::to_string).collect()
    }

    pub fn informed(&mut self) {
        self.cpe.informed();
    }

    /// Something happens that the ACS is to know.
    pub fn raise(&mut self, code: &'static str) {
        self.cpe.raise(code, "");
    }

    /// What the device has to ask in a session, until `request_answered`.
    pub fn waiting_request(&self) -> Option<Request<'static>> {
        self.cpe.next_request()
    }

    pub fn request_answered(&mut self) {
        self.cpe.answered();
    }

    pub fn handle(&mut self, request: &Request<'_>) -> Result<Response<'static>, Fault<'static>> {
        self.cpe.handle(request, self.now)
    }

    /// What the device says of its own in a session; it is taken as answered.
    pub fn next_request(&mut self) -> Option<Request<'static>> {
        let request = self.cpe.next_request()?;
        self.cpe.answered();
        Some(request)
    }

    /// Files are loaded badly from now on, or well again: with this fault, 0 for none.
    pub fn load_with(&mut self, fault_code: u32) {
        self.fault_code = fault_code;
    }

    /// The session is over; what the device does next takes its time and is then waiting to be told.
    pub fn close(&mut self) {
        self.end(true);
    }

    /// The session has failed: what was not acknowledged is told again.
    pub fn fail(&mut self) {
        self.end(false);
    }

    fn end(&mut self, succeeded: bool) {
        let after = self.cpe.close(succeeded);
        self.due.extend(after);
        for (milliseconds, due) in std::mem::take(&mut self.due) {
            self.now.0 += milliseconds;
            let due = match due {
                Due::Transferred(transfer) if self.fault_code != 0 => {
                    Due::Transferred(Transfer { fault_code: self.fault_code, ..transfer })
                }
                due => due,
            };
            self.cpe.due(due, self.now);
        }
    }

    /// Whether the device has a reason to call by itself.
    pub fn wants_session(&self) -> bool {
        self.cpe.wants_session()
    }
}
