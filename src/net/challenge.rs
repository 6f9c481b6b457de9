//! The answer to a server's challenge: digest if it is offered, else basic, which goes to nobody in the clear.

use crate::transport::http::{Challenge, Credentials, Headers, basic_answer};

use super::url::HttpUrl;

/// The `Authorization` for a request that was answered with 401 and these headers; `None` where the server takes
/// nothing that could be given.
pub fn authorization(
    headers: &Headers,
    url: &HttpUrl,
    method: &str,
    (user, password): (&str, &str),
) -> Option<String> {
    let offers: Vec<&str> = headers.all("www-authenticate").collect();
    if let Some(challenge) = offers.iter().find_map(|offer| Challenge::parse(offer)) {
        let mut random = [0; 8];
        // A nonce of zeros would only cost the protection against chosen challenges.
        let _ = aws_lc_rs::rand::fill(&mut random);
        let cnonce = format!("{:016x}", u64::from_be_bytes(random));
        let who = Credentials { user, password, cnonce: &cnonce, count: 1 };
        return Some(challenge.answer(who, method, &url.target));
    }
    let basic = |offer: &&str| offer.trim_start().get(..5).is_some_and(|it| it.eq_ignore_ascii_case("basic"));
    (url.tls && offers.iter().any(basic)).then(|| basic_answer(user, password))
}
