//! GetParameterValues (TR-069 A.3.2.2): reads parameters or partial paths.

use super::field::{Array, ParameterValueStruct, Text, structure};

structure! {
    /// Full names, or partial paths with a final dot for all below.
    GetParameterValues<'a> { parameter_names: Array<Text<'a>> => "ParameterNames" }
}
structure! {
    /// What was read.
    GetParameterValuesResponse<'a> { parameter_list: Array<ParameterValueStruct<'a>> => "ParameterList" }
}
