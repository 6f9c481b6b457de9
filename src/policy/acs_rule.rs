//! Which CPEs are which ACS's, where there are several: by what they call and by what they are.

use core::net::IpAddr;

use crate::identity::DeviceId;

/// The CPEs of one ACS: all that is said must be so; of a list, one. A rule that says nothing holds for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcsRule {
    /// The path that CPEs post to is this or below it.
    pub path: Option<String>,
    /// What they call the gateway, in lower case and without a port; `*.` stands for all below a domain.
    pub hosts: Vec<String>,
    /// The address, with a port perhaps, that they reach.
    pub addresses: Vec<(IpAddr, Option<u16>)>,
    /// In upper case.
    pub ouis: Vec<String>,
    pub product_classes: Vec<Glob>,
    pub serial_numbers: Vec<Glob>,
}

/// Who opens a session, and how.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'c> {
    /// Path and query as asked for.
    pub target: &'c str,
    /// The name in `Host`, without a port; `None`: none that can be one was said.
    pub host: Option<&'c str>,
    /// Which of our addresses, or of a front's, was called; `None`: it is not known.
    pub reached: Option<(IpAddr, u16)>,
    pub device: &'c DeviceId,
}

impl AcsRule {
    /// Whether it says nothing.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    pub fn holds(&self, caller: &Caller<'_>) -> bool {
        let any =
            |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.matches(text));
        let device = caller.device;
        self.path.as_deref().is_none_or(|path| is_below(caller.target, path))
            && (self.hosts.is_empty() || caller.host.is_some_and(|host| self.is_called(host)))
            && (self.addresses.is_empty()
                || caller.reached.is_some_and(|reached| self.is_reached_at(reached)))
            && (self.ouis.is_empty() || self.ouis.iter().any(|oui| oui.eq_ignore_ascii_case(&device.oui)))
            && any(&self.product_classes, &device.product_class)
            && any(&self.serial_numbers, &device.serial_number)
    }

    fn is_reached_at(&self, (address, port): (IpAddr, u16)) -> bool {
        self.addresses.iter().any(|(ip, only)| *ip == address && only.is_none_or(|only| only == port))
    }

    fn is_called(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        self.hosts.iter().any(|known| match known.strip_prefix('*') {
            Some(domain) => host.len() > domain.len() && host.ends_with(domain),
            None => host == known,
        })
    }
}

/// Whether the path of a target is `path`, or below it. `/a` is not above `/ab`.
fn is_below(target: &str, path: &str) -> bool {
    let own = target.split(['?', '#']).next().unwrap_or_default();
    own.strip_prefix(path).is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
}

/// A text in which `*` stands for any text, an empty one too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn matches(&self, text: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        // The first place for each piece leaves the most room for those behind it.
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceId {
        DeviceId {
            oui: "00256d".into(),
            product_class: "Gateway-X1".into(),
            serial_number: "1A2B0042".into(),
            ..DeviceId::default()
        }
    }

    fn holds(rule: AcsRule, target: &str, host: Option<&str>) -> bool {
        let reached = Some(([192, 0, 2, 1].into(), 7_547));
        rule.holds(&Caller { target, host, reached, device: &device() })
    }

    #[test]
    fn a_path_is_met_by_whole_segments_and_without_its_query() {
        let below = |path: &str, target: &str| {
            holds(AcsRule { path: Some(path.into()), ..AcsRule::default() }, target, None)
        };
        for target in ["/acs", "/acs/", "/acs/x", "/acs?x=/other"] {
            assert!(below("/acs", target), "{target}");
        }
        for target in ["/acsx", "/", "/other?/acs", "/ACS", "/x/acs", "//acs", "/%61cs", "*"] {
            assert!(!below("/acs", target), "{target}");
        }
        assert!(below("/acs/", "/acs/x") && !below("/acs/", "/acs") && below("/", "/x?y"));
    }

    #[test]
    fn a_host_is_the_name_alone_and_who_says_none_is_of_no_virtual_host() {
        let called = |host: Option<&str>| {
            let hosts = vec!["acs.example".into(), "*.b.example".into(), "2001:db8::1".into()];
            holds(AcsRule { hosts, ..AcsRule::default() }, "/", host)
        };
        for host in
            ["acs.example", "ACS.Example", "acs.example.", "x.b.example", "y.x.b.example", "2001:DB8::1"]
        {
            assert!(called(Some(host)), "{host}");
        }
        for host in ["b.example", ".b.example", "xb.example", "acs.example.evil", "x.acs.example", ""] {
            assert!(!called(Some(host)), "{host}");
        }
        assert!(!called(None));
    }

    #[test]
    fn an_address_is_met_on_the_port_that_is_said_or_on_any() {
        let reached = |text: &str, port: Option<u16>| {
            let addresses = vec![(text.parse().unwrap(), port)];
            holds(AcsRule { addresses, ..AcsRule::default() }, "/", None)
        };
        assert!(reached("192.0.2.1", None) && reached("192.0.2.1", Some(7_547)));
        assert!(!reached("192.0.2.1", Some(80)) && !reached("192.0.2.2", None) && !reached("::1", None));
        let addresses = vec![([192, 0, 2, 1].into(), None)];
        let unknown = Caller { target: "/", host: None, reached: None, device: &device() };
        assert!(!AcsRule { addresses, ..AcsRule::default() }.holds(&unknown));
    }

    #[test]
    fn all_that_is_said_must_be_so_and_one_of_each_list() {
        let globs = |texts: &[&str]| texts.iter().map(|text| Glob::new(*text)).collect::<Vec<_>>();
        let rule = AcsRule {
            ouis: vec!["001122".into(), "00256D".into()],
            product_classes: globs(&["Gateway-*"]),
            serial_numbers: globs(&["0042", "1A2B*"]),
            ..AcsRule::default()
        };
        assert!(holds(rule.clone(), "/", None));
        assert!(!holds(AcsRule { serial_numbers: globs(&["1A2C*", "0042"]), ..rule.clone() }, "/", None));
        assert!(!holds(AcsRule { ouis: vec!["001122".into()], ..rule.clone() }, "/", None));
        assert!(!holds(AcsRule { product_classes: globs(&["gateway-*"]), ..rule.clone() }, "/", None));
        assert!(!holds(AcsRule { path: Some("/acs".into()), ..rule }, "/", None));
        assert!(holds(AcsRule::default(), "", None) && AcsRule::default().is_open());
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (glob, text) in
            [("*", ""), ("a*", "a"), ("*b", "ab"), ("a*c*e", "abcde"), ("a*a", "aa"), ("a", "a")]
        {
            assert!(Glob::new(glob).matches(text), "{glob} {text}");
        }
        for (glob, text) in
            [("", "a"), ("a*a", "a"), ("a*c", "ab"), ("*bc*c", "abc"), ("a", "ab"), ("a", "ba")]
        {
            assert!(!Glob::new(glob).matches(text), "{glob} {text}");
        }
    }
}
