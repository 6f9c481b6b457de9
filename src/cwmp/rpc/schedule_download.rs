//! ScheduleDownload (TR-069 A.4.1.8): a download in one of two windows.

use super::field::{Array, Text, item, structure};

structure! {
    /// Seconds from the request.
    TimeWindowStruct<'a> {
        window_start: u32 => "WindowStart",
        window_end: u32 => "WindowEnd",
        window_mode: Text<'a> => "WindowMode",
        user_message: Text<'a> => "UserMessage",
        max_retries: i32 => "MaxRetries",
    }
}
item!(TimeWindowStruct);
structure! {
    /// One or two windows.
    ScheduleDownload<'a> {
        command_key: Text<'a> => "CommandKey",
        file_type: Text<'a> => "FileType",
        url: Text<'a> => "URL",
        username: Text<'a> => "Username",
        password: Text<'a> => "Password",
        file_size: u32 => "FileSize",
        target_file_name: Text<'a> => "TargetFileName",
        time_window_list: Array<TimeWindowStruct<'a>> => "TimeWindowList",
    }
}
structure! {
    /// Scheduled.
    ScheduleDownloadResponse {}
}
