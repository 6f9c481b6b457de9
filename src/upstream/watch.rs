//! Tells of what passes on the ACS's leg those who have asked to be told.

use crate::capture::{Http, LegName, Way};
use crate::identity::EndpointId;
use crate::net::{HttpError, HttpReply, HttpRequest, as_written};
use crate::observe::{Recorder, Tap};

/// One session's.
#[derive(Clone)]
pub struct Watch {
    recorder: Recorder,
    device: EndpointId,
    connection: u64,
}

impl Watch {
    pub fn new(recorder: Recorder, device: EndpointId) -> Self {
        Self { recorder, device, connection: 0 }
    }

    /// What follows goes over another connection.
    pub(super) fn connecting(&mut self) {
        if self.recorder.is_on() {
            self.connection = self.recorder.number();
        }
    }

    pub(super) fn asks(&self, request: &HttpRequest) {
        if let Some(tap) = self.recorder.tap(&self.device) {
            self.note_request(&tap, request);
        }
    }

    /// There is no connection to ask over.
    pub(super) fn failed(&self, request: &HttpRequest, error: &HttpError) {
        if let Some(tap) = self.recorder.tap(&self.device) {
            self.note_request(&tap, request);
            tap.note(Way::Failed { connection: self.connection, why: error.to_string() });
        }
    }

    pub(super) fn answered(&self, reply: Result<&HttpReply, &HttpError>) {
        let Some(tap) = self.recorder.tap(&self.device) else { return };
        match reply {
            Ok(reply) => {
                let http = self.http(reply.headers.clone(), reply.body.clone());
                tap.note(Way::Answer { http, status: reply.status });
            }
            Err(error) => tap.note(Way::Failed { connection: self.connection, why: error.to_string() }),
        }
    }

    fn note_request(&self, tap: &Tap, request: &HttpRequest) {
        let http = self.http(request.headers.clone(), request.body.clone());
        tap.note(Way::Request { http, target: request.target.clone(), informs: None });
    }

    fn http(&self, headers: crate::transport::http::Headers, body: bytes::Bytes) -> Http {
        let (leg, connection) = (LegName::Acs, self.connection);
        Http { leg, connection, head: as_written(headers), body, decoded: None }
    }
}
