//! DeleteObject (TR-069 A.3.2.7).

use super::field::{Text, structure};

structure! {
    /// The instance, with a final dot.
    DeleteObject<'a> { object_name: Text<'a> => "ObjectName", parameter_key: Text<'a> => "ParameterKey" }
}
structure! {
    /// Status 0: deleted; 1: takes effect later.
    DeleteObjectResponse { status: i32 => "Status" }
}
