//! CancelTransfer (TR-069 A.4.1.9).

use super::field::{Text, structure};

structure! {
    /// Cancels the transfers with this key.
    CancelTransfer<'a> { command_key: Text<'a> => "CommandKey" }
}
structure! {
    /// Cancelled.
    CancelTransferResponse {}
}
