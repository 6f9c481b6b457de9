//! Which headers pass between CPE and ACS.

use hyper::HeaderMap;
use hyper::http::request::Parts;

use crate::net::received;
use crate::transport::http::Headers;

/// The end-to-end headers of a CPE's request (RFC 9110 7.6.1). Cookies stay here: the gateway keeps
/// the ACS's for the session.
pub(super) fn end_to_end(head: Parts, hide_authorization: bool) -> Headers {
    let mut headers = received(&head.headers, head.extensions);
    headers.leave_hop();
    headers.retain(|name| {
        let hidden = hide_authorization && name == "authorization";
        !(hidden || HELD.contains(&name) || tells_of_clients(name))
    });
    headers
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

/// Headers by which fronts tell of clients. What a front said is known by now; a CPE that sends them lies,
/// and the ACS would believe it of us. Servers that read `_` as `-` take the one for the other.
fn tells_of_clients(name: &str) -> bool {
    let name = name.replace('_', "-");
    let known = ["forwarded", "client-cert", "client-cert-chain", "x-real-ip"];
    known.contains(&name.as_str()) || name.starts_with("x-forwarded-")
}

/// Headers that each side makes itself, besides those of one hop.
const HELD: [&str; 4] = ["host", "proxy-authorization", "expect", "cookie"];

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

    fn parts(map: &HeaderMap) -> Parts {
        let (mut parts, ()) = hyper::Request::new(()).into_parts();
        parts.headers = map.clone();
        parts
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
        let names = |hide| {
            let headers = end_to_end(parts(&map), hide);
            headers.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["soapaction", "authorization"]);
        assert_eq!(names(true), ["soapaction"]);
    }

    #[test]
    fn what_a_cpe_says_of_itself_as_only_fronts_may_is_removed() {
        for name in
            ["forwarded", "client-cert", "client_cert", "client-cert-chain", "x-forwarded-for", "x-real-ip"]
        {
            assert!(
                end_to_end(parts(&map(&[(name, "for=10.0.0.1")])), false).is_empty(),
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
