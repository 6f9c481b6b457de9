//! FactoryReset (TR-069 A.4.1.6): when the session has ended.

use super::field::structure;

structure! {
    /// Back to the factory's settings.
    FactoryReset {}
}
structure! {
    /// The CPE will reset itself.
    FactoryResetResponse {}
}
