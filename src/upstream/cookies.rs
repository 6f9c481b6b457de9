//! The cookies an ACS gives a session: kept here, not in the CPE, so that two masters' cookies never meet.

use std::time::SystemTime;

/// Name and value pairs in the order in which they were first set (RFC 6265 5.4). Path and domain do not matter:
/// a session has one ACS, and they go wherever it sends the session (TR-069 3.4).
#[derive(Debug, Default)]
pub(super) struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Takes in a `Set-Cookie` header, as RFC 6265 5.3 has it. An end that has passed takes the cookie back.
    pub fn set(&mut self, header: &str, now: SystemTime) {
        let mut parts = header.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let (name, value) = (name.trim(), value.trim());
        let (mut age, mut expires) = (None, None);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim() {
                key if key.eq_ignore_ascii_case("max-age") => age = value.trim().parse::<i64>().ok().or(age),
                key if key.eq_ignore_ascii_case("expires") => expires = end(value.trim()).or(expires),
                _ => {}
            }
        }
        // The age counts where both are said.
        let gone = age.map_or_else(|| expires.is_some_and(|end| end <= now), |age| age <= 0);
        match self.0.iter().position(|(known, _)| known == name) {
            Some(at) if gone => drop(self.0.remove(at)),
            Some(at) => value.clone_into(&mut self.0[at].1),
            None if gone || self.0.len() >= MOST => {}
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    /// The `Cookie` header, if there is anything to say.
    pub fn header(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Some(pairs.join("; "))
    }
}

/// The end of a cookie. Many servers write its date with hyphens (RFC 6265 5.1.1).
fn end(date: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(date).or_else(|_| httpdate::parse_http_date(&date.replace('-', " "))).ok()
}

/// Cookies kept for one session.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(headers: &[&str]) -> Option<String> {
        let mut cookies = Cookies::default();
        for header in headers {
            cookies.set(header, SystemTime::now());
        }
        cookies.header()
    }

    #[test]
    fn cookies_are_kept_replaced_in_their_place_and_taken_back() {
        assert_eq!(after(&[]), None);
        let kept = ["session=abc; Path=/; HttpOnly", "lb=1", "session=d=e", "none="];
        assert_eq!(after(&kept).unwrap(), "session=d=e; lb=1; none=");
        for gone in [
            "lb=1; Max-Age=0",
            "lb=; max-age = -1",
            "lb=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/",
            "lb=x; expires=Thu, 01-Jan-1970 00:00:10 GMT",
        ] {
            assert_eq!(after(&["lb=1", gone]), None, "{gone}");
        }
        for stays in [
            "lb=2; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
            "lb=2; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "lb=2; Expires=soon",
        ] {
            assert_eq!(after(&["lb=1", stays]).unwrap(), "lb=2", "{stays}");
        }
    }
}
