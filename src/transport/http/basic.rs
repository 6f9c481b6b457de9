//! Basic authentication (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The value of `Authorization` for a user.
pub fn basic_answer(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// User and password of an `Authorization` header.
pub fn parse_basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_password_may_hold_colons() {
        let header = basic_answer("acs", "a:b");
        assert_eq!(parse_basic(&header), Some(("acs".into(), "a:b".into())));
        assert_eq!(parse_basic("Digest username=\"x\""), None);
        assert_eq!(parse_basic("Basic !!!"), None);
    }
}
