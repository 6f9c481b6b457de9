//! AutonomousTransferComplete (TR-069 A.3.3.3): a transfer nobody asked for.

use super::field::{Text, structure};
use super::transfer_complete::FaultStruct;

structure! {
    /// A transfer that was not asked for by an ACS.
    AutonomousTransferComplete<'a> {
        announce_url: Text<'a> => "AnnounceURL",
        transfer_url: Text<'a> => "TransferURL",
        is_download: bool => "IsDownload",
        file_type: Text<'a> => "FileType",
        file_size: u32 => "FileSize",
        target_file_name: Text<'a> => "TargetFileName",
        fault_struct: FaultStruct<'a> => "FaultStruct",
        start_time: Text<'a> => "StartTime",
        complete_time: Text<'a> => "CompleteTime",
    }
}
structure! {
    /// Taken note of.
    AutonomousTransferCompleteResponse {}
}
