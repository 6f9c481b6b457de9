//! TransferComplete (TR-069 A.3.3.2): how a transfer ended.

use super::field::{Text, structure};

structure! {
    /// Code 0 is success.
    FaultStruct<'a> { fault_code: u32 => "FaultCode", fault_string: Text<'a> => "FaultString" }
}
structure! {
    /// The key may be lost (quirk B15).
    TransferComplete<'a> {
        command_key: Text<'a> => "CommandKey",
        fault_struct: FaultStruct<'a> => "FaultStruct",
        start_time: Text<'a> => "StartTime",
        complete_time: Text<'a> => "CompleteTime",
    }
}
structure! {
    /// Taken note of.
    TransferCompleteResponse {}
}
