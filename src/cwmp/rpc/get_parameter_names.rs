//! GetParameterNames (TR-069 A.3.2.3): what a CPE has below a path.

use super::field::{Array, Text, item, structure};

structure! {
    /// With NextLevel only the next level of names.
    GetParameterNames<'a> { parameter_path: Text<'a> => "ParameterPath", next_level: bool => "NextLevel" }
}
structure! {
    /// Objects end in a dot.
    ParameterInfoStruct<'a> { name: Text<'a> => "Name", writable: bool => "Writable" }
}
item!(ParameterInfoStruct);
structure! {
    /// The names.
    GetParameterNamesResponse<'a> { parameter_list: Array<ParameterInfoStruct<'a>> => "ParameterList" }
}
