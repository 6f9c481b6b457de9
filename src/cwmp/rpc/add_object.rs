//! AddObject (TR-069 A.3.2.6): a new instance of a table.

use super::field::{Text, structure};

structure! {
    /// The table, with a final dot.
    AddObject<'a> { object_name: Text<'a> => "ObjectName", parameter_key: Text<'a> => "ParameterKey" }
}
structure! {
    /// The instance number is 1 or more; 0 is an error of the CPE (quirk B12).
    AddObjectResponse { instance_number: u32 => "InstanceNumber", status: i32 => "Status" }
}
