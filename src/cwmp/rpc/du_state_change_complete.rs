//! DUStateChangeComplete: how operations on deployment units ended.

use super::field::{Repeated, Text, structure};
use super::transfer_complete::FaultStruct;

structure! {
    /// The outcome of one operation.
    OpResultStruct<'a> {
        uuid: Text<'a> => "UUID",
        deployment_unit_ref: Text<'a> => "DeploymentUnitRef",
        version: Text<'a> => "Version",
        current_state: Text<'a> => "CurrentState",
        resolved: bool => "Resolved",
        execution_unit_ref_list: Text<'a> => "ExecutionUnitRefList",
        start_time: Text<'a> => "StartTime",
        complete_time: Text<'a> => "CompleteTime",
        fault: FaultStruct<'a> => "Fault",
    }
}
structure! {
    /// A result for each operation of the ChangeDUState with this key.
    DUStateChangeComplete<'a> {
        results: Repeated<OpResultStruct<'a>> => "Results",
        command_key: Option<Text<'a>> => "CommandKey",
    }
}
structure! {
    /// Taken note of.
    DUStateChangeCompleteResponse {}
}
