//! GetParameterAttributes (TR-069 A.3.2.5).

use super::field::{Array, Text, item, structure};

structure! {
    /// Full names or partial paths.
    GetParameterAttributes<'a> { parameter_names: Array<Text<'a>> => "ParameterNames" }
}
structure! {
    /// Notification is 0 to 6; a missing access list is empty (quirk B22).
    ParameterAttributeStruct<'a> {
        name: Text<'a> => "Name",
        notification: i32 => "Notification",
        access_list: Array<Text<'a>> => "AccessList",
    }
}
item!(ParameterAttributeStruct);
structure! {
    /// The attributes.
    GetParameterAttributesResponse<'a> {
        parameter_list: Array<ParameterAttributeStruct<'a>> => "ParameterList",
    }
}
