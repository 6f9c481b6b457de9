//! Download (TR-069 A.3.2.8): firmware, configuration and other files.

use super::field::{Text, structure};

structure! {
    /// Times in seconds, size in bytes; 0 where unknown.
    Download<'a> {
        command_key: Text<'a> => "CommandKey",
        file_type: Text<'a> => "FileType",
        url: Text<'a> => "URL",
        username: Text<'a> => "Username",
        password: Text<'a> => "Password",
        file_size: u32 => "FileSize",
        target_file_name: Text<'a> => "TargetFileName",
        delay_seconds: u32 => "DelaySeconds",
        success_url: Text<'a> => "SuccessURL",
        failure_url: Text<'a> => "FailureURL",
    }
}
structure! {
    /// Status 0: done; 1: TransferComplete follows.
    DownloadResponse<'a> {
        status: i32 => "Status",
        start_time: Text<'a> => "StartTime",
        complete_time: Text<'a> => "CompleteTime",
    }
}
