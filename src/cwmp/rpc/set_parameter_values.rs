//! SetParameterValues (TR-069 A.3.2.1): writes all of a list or nothing.

use super::field::{Array, ParameterValueStruct, Text, structure};

structure! {
    /// All or none of the list take effect.
    SetParameterValues<'a> {
        parameter_list: Array<ParameterValueStruct<'a>> => "ParameterList",
        parameter_key: Text<'a> => "ParameterKey",
    }
}
structure! {
    /// Status 0: applied; 1: accepted, takes effect later.
    SetParameterValuesResponse { status: i32 => "Status" }
}
