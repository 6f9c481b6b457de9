//! What may differ where the gateway stands between, and why; everything else must be the same byte for byte.

use super::wire::{Header, Message};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToAcs,
    ToCpe,
}

/// One difference that is allowed: a header that is left out of the comparison.
struct Allowed {
    name: &'static str,
    way: Option<Way>,
    #[expect(dead_code, reason = "said to who reads the list")]
    why: &'static str,
}

const fn both(name: &'static str, why: &'static str) -> Allowed {
    Allowed { name, way: None, why }
}

const fn to_acs(name: &'static str, why: &'static str) -> Allowed {
    Allowed { name, way: Some(Way::ToAcs), why }
}

/// The whole list. What of these a message must have all the same is asked by [`owed`].
const ALLOWED: [Allowed; 15] = [
    both("Connection", HOP),
    both("Keep-Alive", HOP),
    both("Proxy-Connection", HOP),
    both("TE", HOP),
    both("Trailer", HOP),
    both("Upgrade", HOP),
    both("X-Hop", "named by Connection, so of one connection too (RFC 9110 7.6.1)"),
    both("Transfer-Encoding", "the body is framed anew on each connection (RFC 9112 6)"),
    both("Content-Length", "the body is framed anew on each connection (RFC 9112 6)"),
    to_acs("Expect", "the gateway has sent 100 Continue itself (RFC 9110 10.1.1)"),
    to_acs("Host", "the ACS's own name as configured, not the gateway's"),
    to_acs("Cookie", "in a place of its own; what it says is compared by `owed`"),
    to_acs("X-Forwarded-For", "a CPE is not believed what only fronts may say"),
    Allowed { name: "Set-Cookie", way: Some(Way::ToCpe), why: "our session cookie stands for the ACS's" },
    Allowed { name: "Set-Cookie2", way: Some(Way::ToCpe), why: "as Set-Cookie, of RFC 2965" },
];

const HOP: &str = "concerns one connection only (RFC 9110 7.6.1)";

/// The first difference between what a peer saw directly and behind the gateway.
pub fn difference(way: Way, direct: &Message, behind: &Message, acs: &str) -> Option<String> {
    let parts = [
        differ("start line", &start(way, direct), &start(way, behind)),
        headers_differ(&compared(way, direct), &compared(way, behind)),
        bodies_differ(&direct.body, &behind.body),
        owed(way, direct, behind, acs),
    ];
    parts.into_iter().flatten().next()
}

/// A request line without its version, which is that of each connection; a status alone: the words after it say
/// nothing (RFC 9112 4).
fn start(way: Way, message: &Message) -> String {
    match way {
        Way::ToAcs => message.start.rsplit_once(' ').map_or_else(String::new, |(rest, _)| rest.to_owned()),
        Way::ToCpe => message.status().to_string(),
    }
}

/// Lines of one name stand together, at the place of the first: only their order among themselves has a meaning
/// (RFC 9110 5.3).
fn compared(way: Way, message: &Message) -> Vec<Header> {
    let is_allowed = |name: &str| {
        ALLOWED.iter().any(|it| it.way.is_none_or(|only| only == way) && it.name.eq_ignore_ascii_case(name))
    };
    let mut grouped: Vec<Header> = Vec::new();
    for header in message.headers.iter().filter(|(name, _)| !is_allowed(name)) {
        let last = grouped.iter().rposition(|(known, _)| known.eq_ignore_ascii_case(&header.0));
        grouped.insert(last.map_or(grouped.len(), |last| last + 1), header.clone());
    }
    grouped
}

/// What stands in place of the differences that are allowed.
fn owed(way: Way, direct: &Message, behind: &Message, acs: &str) -> Option<String> {
    if way == Way::ToCpe {
        let foreign = behind.values("set-cookie").find(|cookie| !cookie.starts_with("dragoman="));
        return foreign.map(|cookie| format!("a cookie of the ACS's reached the CPE: {cookie}"));
    }
    let all = |message: &Message, name: &str| message.values(name).collect::<Vec<_>>();
    let parts = [
        differ("Cookie", &all(direct, "cookie"), &all(behind, "cookie")),
        differ("Host", &vec![acs.to_owned()], &all(behind, "host")),
        differ("Content-Length", &vec![direct.body.len().to_string()], &all(behind, "content-length")),
        differ("X-Forwarded-For", &Vec::new(), &all(behind, "x-forwarded-for")),
    ];
    parts.into_iter().flatten().next()
}

fn headers_differ(direct: &[Header], behind: &[Header]) -> Option<String> {
    let text = |headers: &[Header]| {
        let line = |(name, value): &Header| format!("{name}: {}", value.escape_ascii());
        headers.iter().map(line).collect::<Vec<_>>().join("\n    ")
    };
    differ("headers", &text(direct), &text(behind))
}

fn bodies_differ(direct: &[u8], behind: &[u8]) -> Option<String> {
    if direct == behind {
        return None;
    }
    let same = direct.iter().zip(behind).take_while(|(one, other)| one == other).count();
    let context =
        |body: &[u8]| body[same.saturating_sub(40)..(same + 80).min(body.len())].escape_ascii().to_string();
    let (one, other) = (context(direct), context(behind));
    Some(format!(
        "bodies of {} and {} bytes differ from byte {same} on:\n  directly: {one}\n  behind:   {other}",
        direct.len(),
        behind.len()
    ))
}

fn differ<T: PartialEq + std::fmt::Debug>(what: &str, direct: &T, behind: &T) -> Option<String> {
    let text = |it: &T| format!("{it:?}").replace("\\n", "\n");
    (direct != behind).then(|| format!("{what}:\n  directly: {}\n  behind:   {}", text(direct), text(behind)))
}
