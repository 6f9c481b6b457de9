//! AutonomousDUStateChangeComplete: operations nobody asked for.

use super::field::{Repeated, Text, structure};
use super::transfer_complete::FaultStruct;

structure! {
    /// The outcome of one operation.
    AutonOpResultStruct<'a> {
        uuid: Text<'a> => "UUID",
        deployment_unit_ref: Text<'a> => "DeploymentUnitRef",
        version: Text<'a> => "Version",
        current_state: Text<'a> => "CurrentState",
        resolved: bool => "Resolved",
        execution_unit_ref_list: Text<'a> => "ExecutionUnitRefList",
        start_time: Text<'a> => "StartTime",
        complete_time: Text<'a> => "CompleteTime",
        fault: FaultStruct<'a> => "Fault",
        operation_performed: Text<'a> => "OperationPerformed",
    }
}
structure! {
    /// A result for each operation.
    AutonomousDUStateChangeComplete<'a> { results: Repeated<AutonOpResultStruct<'a>> => "Results" }
}
structure! {
    /// Taken note of.
    AutonomousDUStateChangeCompleteResponse {}
}
