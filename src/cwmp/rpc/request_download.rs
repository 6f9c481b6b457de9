//! RequestDownload (TR-069 A.4.2.2): the CPE asks for a file.

use super::field::{Array, Text, item, structure};

structure! {
    /// A name and a value.
    ArgStruct<'a> { name: Text<'a> => "Name", value: Text<'a> => "Value" }
}
item!(ArgStruct);
structure! {
    /// A Download may follow.
    RequestDownload<'a> {
        file_type: Text<'a> => "FileType",
        file_type_arg: Array<ArgStruct<'a>> => "FileTypeArg",
    }
}
structure! {
    /// Taken note of.
    RequestDownloadResponse {}
}
