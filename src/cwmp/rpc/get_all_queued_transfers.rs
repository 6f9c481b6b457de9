//! GetAllQueuedTransfers (TR-069 A.4.1.7).

use super::field::{Array, Text, item, structure};

structure! {
    /// Asks for all transfers, whoever asked for them.
    GetAllQueuedTransfers {}
}
structure! {
    /// State 1: not started, 2: in progress, 3: completed.
    AllQueuedTransferStruct<'a> {
        command_key: Text<'a> => "CommandKey",
        state: i32 => "State",
        is_download: bool => "IsDownload",
        file_type: Text<'a> => "FileType",
        file_size: u32 => "FileSize",
        target_file_name: Text<'a> => "TargetFileName",
    }
}
item!(AllQueuedTransferStruct);
structure! {
    /// At most 16.
    GetAllQueuedTransfersResponse<'a> {
        transfer_list: Array<AllQueuedTransferStruct<'a>> => "TransferList",
    }
}
