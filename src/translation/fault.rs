//! CWMP faults as USP errors.

use crate::cwmp::rpc::Fault;
use crate::usp::ErrorCode;

/// The USP error code that says what a CWMP fault code says.
pub(super) fn code(fault_code: u32) -> ErrorCode {
    match fault_code {
        9001 => ErrorCode::REQUEST_DENIED,
        9003 => ErrorCode::INVALID_ARGUMENTS,
        9004 => ErrorCode::RESOURCES_EXCEEDED,
        9005 => ErrorCode::UNSUPPORTED_PARAMETER,
        9006 => ErrorCode::INVALID_TYPE,
        9007 => ErrorCode::INVALID_VALUE,
        9008 => ErrorCode::NON_WRITEABLE_PARAMETER,
        _ => ErrorCode::INTERNAL_ERROR,
    }
}

/// The original fault, for `err_msg`.
pub(super) fn text(fault: &Fault<'_>) -> String {
    format!("the device answered with CWMP fault {}: {}", fault.fault_code, fault.fault_string)
}
