//! Kicked (TR-069 A.4.2.1, deprecated).

use super::field::{Text, structure};

structure! {
    /// A page of the CPE's was visited.
    Kicked<'a> {
        command: Text<'a> => "Command",
        referer: Text<'a> => "Referer",
        arg: Text<'a> => "Arg",
        next: Text<'a> => "Next",
    }
}
structure! {
    /// Where the user goes next.
    KickedResponse<'a> { next_url: Text<'a> => "NextURL" }
}
