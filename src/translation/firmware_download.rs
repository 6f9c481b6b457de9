//! A firmware image for a CPE: one Download (TR-069 A.3.2.8). That it was carried out the CPE tells by a
//! TransferComplete in a later session.

use std::collections::BTreeMap;

use crate::cwmp::rpc::{Download, Fault, Request, Response};
use crate::usp::ErrorCode;

use super::fault;
use super::plan::{Outcome, Plan, Step, View};

/// The order on its way. It ends silently when the CPE has taken it on, as completed when the CPE is through
/// already.
pub struct FirmwareDownload {
    request: Download<'static>,
    asked: bool,
    /// An answer was lost: the CPE may be at it already.
    unsure: bool,
    result: Option<Outcome>,
}

impl FirmwareDownload {
    /// `key` tells the CPE's word about it from that about transfers of the ACS; `size` is in bytes.
    pub fn new(key: String, url: String, size: u64) -> Self {
        let request = Download {
            command_key: key.into(),
            file_type: "1 Firmware Upgrade Image".into(),
            url: url.into(),
            file_size: u32::try_from(size).unwrap_or(0),
            ..Download::default()
        };
        Self { request, asked: false, unsure: false, result: None }
    }
}

impl Plan for FirmwareDownload {
    fn next(&mut self, _: &mut View<'_>) -> Step {
        if let Some(result) = self.result.take() {
            return Step::Done(result);
        }
        if self.asked {
            let why = "the device was not told";
            return Step::Done(Outcome::error(ErrorCode::COMMAND_FAILURE, why));
        }
        self.asked = true;
        Step::Call(Request::Download(self.request.clone()))
    }

    fn answered(&mut self, _: &mut View<'_>, response: &Response<'_>) {
        let done = matches!(response, Response::DownloadResponse(response) if response.status == 0);
        self.result = Some(if done { Outcome::Completed(BTreeMap::new()) } else { Outcome::Silent });
    }

    fn faulted(&mut self, _: &mut View<'_>, fault: &Fault<'_>) {
        // One that is at it already may refuse a second order; how it ends is told in any case.
        let refused = Outcome::error(ErrorCode::COMMAND_FAILURE, fault::text(fault));
        self.result = Some(if self.unsure { Outcome::Silent } else { refused });
    }

    /// The CPE begins when the session ends.
    fn ends_session(&self) -> bool {
        true
    }

    /// The same image by the same key: carried out twice it comes to the same.
    fn is_repeatable(&self) -> bool {
        true
    }

    fn repeat(&mut self) {
        (self.asked, self.unsure) = (false, true);
    }
}
