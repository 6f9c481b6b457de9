//! GetQueuedTransfers (TR-069 A.4.1.1, deprecated).

use super::field::{Array, Text, item, structure};

structure! {
    /// Asks for transfers that an ACS asked for.
    GetQueuedTransfers {}
}
structure! {
    /// State 1: not started, 2: in progress, 3: completed.
    QueuedTransferStruct<'a> { command_key: Text<'a> => "CommandKey", state: i32 => "State" }
}
item!(QueuedTransferStruct);
structure! {
    /// At most 16.
    GetQueuedTransfersResponse<'a> { transfer_list: Array<QueuedTransferStruct<'a>> => "TransferList" }
}
