//! GetRPCMethods (TR-069 A.3.1.1): which RPCs the other side knows.

use super::field::{Array, Text, structure};

structure! {
    /// Asks for the methods.
    GetRPCMethods {}
}
structure! {
    /// A hint only: CPEs leave methods out (quirk B23).
    GetRPCMethodsResponse<'a> { method_list: Array<Text<'a>> => "MethodList" }
}
