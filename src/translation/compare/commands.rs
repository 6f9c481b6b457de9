//! RPCs that are commands: whether USP has one for it that this agent knows.

use crate::cwmp::rpc::{Download, Request};
use crate::policy::Class;

use super::super::local::FIRMWARE_IMAGES;
use super::super::operate::Operate;
use super::comparer::{Comparer, Why};

impl Comparer<'_, '_> {
    pub fn commands(&mut self, request: &Request<'_>) {
        let command = match request {
            // GetSupportedDM tells what it tells.
            Request::GetRPCMethods(_) => {
                self.findings.tally.left_out += 1;
                return;
            }
            Request::Reboot(_) => Operate::COMMANDS.iter().find(|it| **it == "Device.Reboot()").copied(),
            Request::FactoryReset(_) => {
                Operate::COMMANDS.iter().find(|it| **it == "Device.FactoryReset()").copied()
            }
            Request::Download(download) => self.loads(download).then_some(DOWNLOAD),
            _ => None,
        };
        let what = match request {
            Request::Download(Download { file_type, .. }) => format!("{} {file_type}", request.name()),
            _ => request.name().to_owned(),
        };
        self.found(&what, |_| {
            command.is_none().then(|| Why::new(Class::Unmapped, "the agent has no command for this RPC"))
        });
    }

    /// Whether the agent has rows to download this to: firmware alone.
    fn loads(&self, download: &Download<'_>) -> bool {
        download.file_type.starts_with("1 ")
            && self.view.local.commands().contains(&DOWNLOAD)
            && (self.view.is_own(FIRMWARE_IMAGES) || self.view.cpe.has_object(FIRMWARE_IMAGES))
    }
}

const DOWNLOAD: &str = "Device.DeviceInfo.FirmwareImage.{i}.Download()";
