//! `Device.LocalAgent.Controller.{i}.E2ESession.`: what its parameters mean.

use crate::usp::Retry;
use crate::usp::record::PayloadSecurity;
use crate::usp::record::session::{Policy, SessionMode};

/// Reads a policy; `value` gives the parameters below the object.
pub(super) fn policy<'v>(value: impl Fn(&str) -> Option<&'v str>) -> Policy {
    let number = |name: &str| value(name)?.parse::<u64>().ok();
    let usual = Policy::default();
    Policy {
        mode: match value("SessionMode") {
            Some("Require") => SessionMode::Require,
            Some("Forbid") => SessionMode::Forbid,
            _ => SessionMode::Allow,
        },
        security: match value("PayloadSecurity") {
            Some("TLS") => PayloadSecurity::Tls12,
            _ => PayloadSecurity::Plaintext,
        },
        expiration_ms: number("SessionExpiration").map_or(usual.expiration_ms, |it| it.saturating_mul(1_000)),
        max_record: number("MaxUSPRecordSize").and_then(|it| usize::try_from(it).ok()).unwrap_or(0),
        // -1 is for as often as it is asked for.
        max_retransmit_tries: match value("MaxRetransmitTries") {
            Some("-1") => None,
            Some(tries) => tries.parse().ok().or(usual.max_retransmit_tries),
            None => usual.max_retransmit_tries,
        },
        retry: Retry {
            minimum: number("SessionRetryMinimumWaitInterval").unwrap_or(usual.retry.minimum),
            multiplier: number("SessionRetryIntervalMultiplier").unwrap_or(usual.retry.multiplier),
        },
        signature_room: usual.signature_room,
    }
}
