//! Which headers pass between CPE and ACS.

use hyper::HeaderMap;

/// The end-to-end headers of a CPE's request (RFC 9110 7.6.1), as pairs. Cookies stay here: the gateway keeps
/// the ACS's for the session.
pub(super) fn end_to_end(headers: &HeaderMap, hide_authorization: bool) -> Vec<(String, String)> {
    let named = named_by_connection(headers);
    let stays = |name: &str| {
        HELD.contains(&name)
            || tells_of_clients(name)
            || named.iter().any(|held| held == name)
            || (hide_authorization && name == "authorization")
    };
    let pairs = headers.iter().filter(|(name, _)| !stays(name.as_str()));
    pairs
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

/// The value of one of our own cookies.
pub(super) fn cookie(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let all = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    // $Version cookies of RFC 2965, which some CPEs still speak, separate by commas and quote.
    all.flat_map(|value| value.split([';', ',']))
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim() == wanted)
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

/// The content codings of a body, all lines of them: one that is left out would pass for decoded.
pub(super) fn content_coding(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all("content-encoding").iter();
    lines.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).reduce(|a, b| a + "," + &b)
}

fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let all = headers.get_all("connection").iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// Headers by which fronts tell of clients. What a front said is known by now; a CPE that sends them lies,
/// and the ACS would believe it of us. Servers that read `_` as `-` take the one for the other.
fn tells_of_clients(name: &str) -> bool {
    let name = name.replace('_', "-");
    let known = ["forwarded", "client-cert", "client-cert-chain", "x-real-ip"];
    known.contains(&name.as_str()) || name.starts_with("x-forwarded-")
}

/// Headers of one hop, and those that each side makes itself.
const HELD: [&str; 12] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "content-length",
    "cookie",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn only_end_to_end_headers_reach_the_acs() {
        let map = map(&[
            ("host", "gw"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("cookie", "dragoman=1"),
            ("soapaction", ""),
            ("authorization", "Digest x"),
        ]);
        let names = |hide| end_to_end(&map, hide).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(false), ["soapaction", "authorization"]);
        assert_eq!(names(true), ["soapaction"]);
    }

    #[test]
    fn what_a_cpe_says_of_itself_as_only_fronts_may_is_removed() {
        for name in
            ["forwarded", "client-cert", "client_cert", "client-cert-chain", "x-forwarded-for", "x-real-ip"]
        {
            assert!(
                end_to_end(&map(&[(name, "for=10.0.0.1")]), false).is_empty(),
                "{name} would reach the ACS"
            );
        }
    }

    #[test]
    fn our_cookie_is_found_among_others_and_in_old_style() {
        let map = map(&[("cookie", "JSESSIONID=9; dragoman=abc"), ("cookie", "x=y")]);
        assert_eq!(cookie(&map, "dragoman").as_deref(), Some("abc"));
        let old = map_old();
        assert_eq!(cookie(&old, "dragoman").as_deref(), Some("abc"));
        assert_eq!(cookie(&old, "other"), None);
    }

    fn map_old() -> HeaderMap {
        map(&[("cookie", "$Version=\"1\"; dragoman=\"abc\"; $Path=\"/\"")])
    }
}
