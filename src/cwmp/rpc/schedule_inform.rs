//! ScheduleInform (TR-069 A.4.1.2): an Inform after some seconds.

use super::field::{Text, structure};

structure! {
    /// The key comes back in `M ScheduleInform`.
    ScheduleInform<'a> { delay_seconds: u32 => "DelaySeconds", command_key: Text<'a> => "CommandKey" }
}
structure! {
    /// Scheduled.
    ScheduleInformResponse {}
}
