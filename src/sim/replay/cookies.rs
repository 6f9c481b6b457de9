//! Which cookie of today stands for which of a capture.

use std::collections::HashMap;

/// By the values that the capture has.
#[derive(Debug, Default)]
pub(super) struct Cookies(HashMap<String, String>);

/// Name and value of a `Set-Cookie`.
pub(super) fn set_cookie(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split(';').next()?.split_once('=')?;
    Some((name.trim(), value.trim().trim_matches('"')))
}

/// The values in a `Cookie`.
pub(super) fn values(line: &str) -> impl Iterator<Item = &str> {
    line.split([';', ','])
        .filter_map(|pair| pair.split_once('='))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

impl Cookies {
    /// What the peer sets now is what it had set then under the same name.
    pub fn learn<'l>(
        &mut self,
        recorded: impl Iterator<Item = &'l str>,
        came: impl Iterator<Item = &'l str> + Clone,
    ) {
        for (name, value) in recorded.filter_map(set_cookie) {
            let now = came.clone().filter_map(set_cookie).find(|(known, _)| *known == name);
            if let Some((_, now)) = now.filter(|_| self.0.len() < MAX_COOKIES) {
                self.0.insert(value.to_owned(), now.to_owned());
            }
        }
    }

    /// A recorded `Cookie` with the values of today; one that was never set stays.
    pub fn translated(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for value in values(&line.clone()) {
            if let Some(now) = self.0.get(value) {
                line = line.replacen(value, now, 1);
            }
        }
        line
    }
}

const MAX_COOKIES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_of_the_capture_is_the_one_that_was_set_in_its_place() {
        let mut cookies = Cookies::default();
        let (recorded, came) = (["a=cookie-1; Path=/", "b=\"cookie-2\""], ["b=two; HttpOnly", "a=one"]);
        cookies.learn(recorded.into_iter(), came.into_iter());
        assert_eq!(
            cookies.translated("$Version=1; a=cookie-1; b=\"cookie-2\"; c=3"),
            "$Version=1; a=one; b=\"two\"; c=3"
        );
    }
}
