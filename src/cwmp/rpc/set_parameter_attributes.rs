//! SetParameterAttributes (TR-069 A.3.2.4): notification and access lists.

use super::field::{Array, Text, item, structure};

structure! {
    /// Only what is marked as changed is set.
    SetParameterAttributesStruct<'a> {
        name: Text<'a> => "Name",
        notification_change: bool => "NotificationChange",
        notification: i32 => "Notification",
        access_list_change: bool => "AccessListChange",
        access_list: Array<Text<'a>> => "AccessList",
    }
}
item!(SetParameterAttributesStruct);
structure! {
    /// A struct for each parameter or partial path.
    SetParameterAttributes<'a> {
        parameter_list: Array<SetParameterAttributesStruct<'a>> => "ParameterList",
    }
}
structure! {
    /// Done.
    SetParameterAttributesResponse {}
}
