//! Reboot (TR-069 A.3.2.9): when the session has ended.

use super::field::{Text, structure};

structure! {
    /// The key comes back in `M Reboot`.
    Reboot<'a> { command_key: Text<'a> => "CommandKey" }
}
structure! {
    /// The CPE will reboot.
    RebootResponse {}
}
