//! Upload (TR-069 A.4.1.5): configuration and logs.

use super::field::{Text, structure};

structure! {
    /// Where the CPE puts the file.
    Upload<'a> {
        command_key: Text<'a> => "CommandKey",
        file_type: Text<'a> => "FileType",
        url: Text<'a> => "URL",
        username: Text<'a> => "Username",
        password: Text<'a> => "Password",
        delay_seconds: u32 => "DelaySeconds",
    }
}
structure! {
    /// Status 0: done; 1: TransferComplete follows.
    UploadResponse<'a> {
        status: i32 => "Status",
        start_time: Text<'a> => "StartTime",
        complete_time: Text<'a> => "CompleteTime",
    }
}
