//! Download and Upload (TR-069 A.3.2.8, A.4.1.5): answered at once, done after the session, told by a
//! TransferComplete. Only firmware is really loaded, and that by fleets that do so (`loading`).

use crate::cwmp::rpc::{
    AllQueuedTransferStruct, Array, AutonomousTransferComplete, Download, DownloadResponse, Fault,
    FaultStruct, GetAllQueuedTransfersResponse, Request, TransferComplete, Upload, UploadResponse,
};
use crate::datamodel::WallTime;

use super::core::{BOOT, Cpe, Due};
use super::model::UNKNOWN_TIME;

/// A transfer that the ACS asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transfer {
    pub is_download: bool,
    /// No ACS asked for it.
    pub autonomous: bool,
    pub command_key: String,
    pub file_type: String,
    pub file_name: String,
    pub url: String,
    /// 0 is success.
    pub fault_code: u32,
    pub complete_time: String,
}

impl Transfer {
    /// Whether it is firmware that somebody has told the device to load.
    pub fn is_firmware(&self) -> bool {
        self.is_download && !self.autonomous && self.file_type.starts_with("1 ")
    }

    /// The event that goes with `7 TRANSFER COMPLETE`.
    pub fn event(&self) -> &'static str {
        if self.is_download { "M Download" } else { "M Upload" }
    }
}

impl Cpe {
    pub(super) fn download(
        &mut self,
        it: &Download<'_>,
    ) -> Result<DownloadResponse<'static>, Fault<'static>> {
        let named = Some(&*it.target_file_name).filter(|name| !name.is_empty());
        let file_name = named.or_else(|| it.url.rsplit('/').next()).unwrap_or("").to_owned();
        let transfer = Transfer {
            is_download: true,
            autonomous: false,
            command_key: it.command_key.clone().into_owned(),
            file_type: it.file_type.clone().into_owned(),
            file_name,
            url: it.url.clone().into_owned(),
            fault_code: 0,
            complete_time: String::new(),
        };
        self.begin(transfer, &it.url, it.delay_seconds)?;
        let (start_time, complete_time) = (UNKNOWN_TIME.into(), UNKNOWN_TIME.into());
        Ok(DownloadResponse { status: 1, start_time, complete_time })
    }

    pub(super) fn upload(&mut self, it: &Upload<'_>) -> Result<UploadResponse<'static>, Fault<'static>> {
        let transfer = Transfer {
            is_download: false,
            autonomous: false,
            command_key: it.command_key.clone().into_owned(),
            file_type: it.file_type.clone().into_owned(),
            file_name: String::new(),
            url: it.url.clone().into_owned(),
            fault_code: 0,
            complete_time: String::new(),
        };
        self.begin(transfer, &it.url, it.delay_seconds)?;
        let (start_time, complete_time) = (UNKNOWN_TIME.into(), UNKNOWN_TIME.into());
        Ok(UploadResponse { status: 1, start_time, complete_time })
    }

    /// Transfers whose end the ACS has not acknowledged.
    pub(super) fn queued_transfers(&self) -> GetAllQueuedTransfersResponse<'static> {
        let list = self.transfers.iter().map(|transfer| AllQueuedTransferStruct {
            command_key: transfer.command_key.clone().into(),
            state: 3,
            is_download: transfer.is_download,
            file_type: transfer.file_type.clone().into(),
            file_size: 0,
            target_file_name: transfer.file_name.clone().into(),
        });
        GetAllQueuedTransfersResponse { transfer_list: Array(list.collect()) }
    }

    /// The device has found new firmware by itself.
    pub(super) fn download_by_itself(&mut self, now: WallTime) {
        let file_name = format!("self-{}", now.0 / 1_000);
        self.transferred(
            Transfer {
                is_download: true,
                autonomous: true,
                command_key: String::new(),
                file_type: "1 Firmware Upgrade Image".into(),
                file_name,
                url: String::new(),
                fault_code: 0,
                complete_time: String::new(),
            },
            now,
        );
    }

    /// The file is there. New firmware shows in the version, and the device has rebooted with it.
    pub(super) fn transferred(&mut self, transfer: Transfer, now: WallTime) {
        if transfer.is_download && transfer.fault_code == 0 && transfer.file_type.starts_with("1 ") {
            self.booted_at = now;
            self.raise(BOOT, "");
            let version = self.rooted("DeviceInfo.SoftwareVersion");
            self.change(&version, &transfer.file_name);
        }
        if self.transfers.len() >= MAX_TRANSFERS {
            // An ACS that acknowledges nothing is not told for ever.
            self.transfers.pop_front();
        }
        self.transfers.push_back(Transfer { complete_time: now.to_string(), ..transfer });
        self.want_session();
    }

    /// What the device itself asks the ACS: to take note of the end of a transfer.
    pub fn next_request(&self) -> Option<Request<'static>> {
        let transfer = self.transfers.front()?;
        let fault = Fault::of(transfer.fault_code);
        let fault_string = if transfer.fault_code == 0 { "".into() } else { fault.fault_string };
        if transfer.autonomous {
            return Some(Request::AutonomousTransferComplete(AutonomousTransferComplete {
                is_download: transfer.is_download,
                file_type: transfer.file_type.clone().into(),
                target_file_name: transfer.file_name.clone().into(),
                start_time: UNKNOWN_TIME.into(),
                complete_time: transfer.complete_time.clone().into(),
                ..AutonomousTransferComplete::default()
            }));
        }
        Some(Request::TransferComplete(TransferComplete {
            command_key: transfer.command_key.clone().into(),
            fault_struct: FaultStruct { fault_code: transfer.fault_code, fault_string },
            start_time: UNKNOWN_TIME.into(),
            complete_time: transfer.complete_time.clone().into(),
        }))
    }

    /// The ACS has answered the request; whether it liked it or not, it is not told again.
    pub fn answered(&mut self) {
        self.transfers.pop_front();
    }

    fn begin(&mut self, mut transfer: Transfer, url: &str, delay_seconds: u32) -> Result<(), Fault<'static>> {
        if self.transfers.len() + self.after.len() >= MAX_TRANSFERS {
            return Err(Fault::of(9004));
        }
        let scheme = url.split("://").next().unwrap_or("").to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https" | "ftp" | "tftp") {
            return Err(Fault::of(9013));
        }
        if url.ends_with("/missing") {
            transfer.fault_code = 9016;
        }
        let delay = u64::from(delay_seconds) * 1_000 + TRANSFER_MS;
        self.after.push((delay, Due::Transferred(transfer)));
        Ok(())
    }
}

/// Transfers at a time (GetAllQueuedTransfers lists 16 at most).
const MAX_TRANSFERS: usize = 16;
/// How long a transfer takes.
const TRANSFER_MS: u64 = 50;
