//! Links to files: who has one may load that file for a while, and nothing else.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq as _;

/// Signs links and knows them again.
pub(super) struct Links {
    key: hmac::Key,
    /// The public URL of the server, with a slash at its end.
    base: String,
}

/// A file that a link leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'t> {
    pub image: &'t str,
    pub name: &'t str,
}

impl Links {
    pub fn new(secret: &[u8], base: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { key, base: format!("{}/", base.trim_end_matches('/')) }
    }

    /// A link to an image until `expires`, in seconds since 1970.
    pub fn sign(&self, image: &str, name: &str, expires: u64) -> String {
        let name = plain(name);
        let signature = self.signature(image, &name, expires);
        format!("{}{image}/{expires}/{signature}/{name}", self.base)
    }

    /// What a path with its beginning cut off leads to at a time.
    pub fn open<'t>(&self, path: &'t str, now: u64) -> Option<Target<'t>> {
        let mut parts = path.split('/');
        let (image, expires) = (parts.next()?, parts.next()?.parse::<u64>().ok()?);
        let (signature, name) = (parts.next()?, parts.next()?);
        let wanted = self.signature(image, name, expires);
        let genuine: bool = wanted.as_bytes().ct_eq(signature.as_bytes()).into();
        (genuine && expires > now && parts.next().is_none()).then_some(Target { image, name })
    }

    fn signature(&self, image: &str, name: &str, expires: u64) -> String {
        let signed = hmac::sign(&self.key, format!("{image}/{expires}/{name}").as_bytes());
        signed.as_ref().iter().take(SIGNATURE).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A file's name with nothing in it that a CPE could stumble over; its end, which tells CPEs what it is, stays.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let plain: String = name.chars().map(plain).collect();
    let from = plain.len().saturating_sub(MAX_NAME);
    let plain = plain[from..].trim_start_matches('.');
    if plain.is_empty() { "firmware.bin".to_owned() } else { plain.to_owned() }
}

/// Bytes of a signature: CWMP has room for 256 characters of a URL.
const SIGNATURE: usize = 16;
/// Characters of a file's name in a link.
const MAX_NAME: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_its_file_until_it_expires_and_nowhere_else() {
        let links = Links::new(b"secret", "http://files.example/fw/");
        let link = links.sign("abc", "../fw v2.bin", 1_000);
        let path = link.strip_prefix("http://files.example/fw/").unwrap();
        assert_eq!(links.open(path, 999), Some(Target { image: "abc", name: "_fw_v2.bin" }));
        assert_eq!(links.open(path, 1_000), None);
        for forged in
            [path.replacen("abc", "abd", 1), path.replace("1000", "2000"), path.replace(".bin", ".img")]
        {
            assert_eq!(links.open(&forged, 1), None, "{forged}");
        }
        assert_eq!(links.open(&format!("{path}/more"), 1), None);
        assert_eq!(Links::new(b"other", "http://files.example/fw").open(path, 1), None);
        assert_eq!(plain(&"x".repeat(99)).len(), MAX_NAME);
        assert_eq!(plain(""), "firmware.bin");
    }
}
