//! Which endpoints a certificate names (R-SEC.0a, R-SEC.11, R-SEC.12).

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// Whether the certificate is this endpoint's, by the names in it.
pub(super) fn is_of(certificate: &CertificateDer<'_>, endpoint: &str) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
    if certificate.valid_uri_names().any(|uri| names(uri, endpoint)) {
        return true;
    }
    let Some(host) = endpoint.strip_prefix("fqdn::") else { return false };
    certificate.valid_dns_names().any(|name| name.eq_ignore_ascii_case(host))
}

/// Whether a URI names this endpoint. A wildcard at its end stands for the rest of the instance id, where the
/// scheme says who gives these out.
fn names(uri: &str, endpoint: &str) -> bool {
    let Some(named) = strip_prefix_ignoring_case(uri, URN) else { return false };
    let Some(start) = named.strip_suffix('*') else { return named == endpoint };
    let mut parts = start.splitn(3, ':');
    let (Some(scheme), Some(_), Some(instance)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let allowed = match scheme {
        "oui" | "cid" | "pen" => true,
        // The OUI before the first dash is not to be wildcarded.
        "os" | "ops" => instance.contains('-'),
        _ => false,
    };
    allowed && !start.contains('*') && endpoint.starts_with(start)
}

fn strip_prefix_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// R-ARC.3: the URN of an endpoint.
const URN: &str = "urn:bbf:usp:id:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_sec_0a_r_sec_11_r_sec_12_a_name_is_an_endpoints_and_wildcards_stop_at_the_assigning_entity() {
        let agent = "ops::00256D-HG-S1";
        for (uri, is) in [
            ("urn:bbf:usp:id:ops::00256D-HG-S1", true),
            ("URN:BBF:USP:ID:ops::00256D-HG-S1", true),
            ("urn:bbf:usp:id:ops::00256D-HG-S2", false),
            ("urn:bbf:usp:id:ops::00256D-HG-S", false),
            ("ops::00256D-HG-S1", false),
            ("urn:bbf:usp:id:ops::00256D-*", true),
            ("urn:bbf:usp:id:ops::*", false),
            ("urn:bbf:usp:id:ops::0025*", false),
            ("urn:bbf:usp:id:*", false),
            ("urn:bbf:usp:id:ops::00256D-*-*", false),
        ] {
            assert_eq!(names(uri, agent), is, "{uri}");
        }
        assert!(!names("urn:bbf:usp:id:self::*", "self::x"));
        assert!(names("urn:bbf:usp:id:oui:00256D:*", "oui:00256D:x"));
    }
}
