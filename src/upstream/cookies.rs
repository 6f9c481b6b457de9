//! The cookies an ACS gives a session: kept here, not in the CPE, so that two masters' cookies never meet.

/// Name and value pairs in the order they came. Path and domain do not matter: there is one ACS.
#[derive(Debug, Default)]
pub(super) struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Takes in a `Set-Cookie` header. An empty value or `Max-Age=0` takes the cookie back.
    pub fn set(&mut self, header: &str) {
        let mut parts = header.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let (name, value) = (name.trim(), value.trim());
        self.0.retain(|(known, _)| known != name);
        let gone = parts.any(|part| {
            let part = part.trim().to_ascii_lowercase();
            part.strip_prefix("max-age=")
                .is_some_and(|age| age.trim().parse::<i64>().is_ok_and(|age| age <= 0))
        });
        if !value.is_empty() && !gone && self.0.len() < MOST {
            self.0.push((name.to_owned(), value.to_owned()));
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

/// Cookies kept for one session.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_replaced_and_taken_back() {
        let mut cookies = Cookies::default();
        assert_eq!(cookies.header(), None);
        cookies.set("session=abc; Path=/; HttpOnly");
        cookies.set("lb=1");
        cookies.set("session=def");
        assert_eq!(cookies.header().unwrap(), "lb=1; session=def");
        cookies.set("lb=1; Max-Age=0");
        cookies.set("session=");
        assert_eq!(cookies.header(), None);
    }
}
