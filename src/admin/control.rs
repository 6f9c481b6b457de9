//! What operators order by HTTP: bypass, release, restore, and captures. Who may order is who is on this machine, or
//! has the token.

use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderMap, ORIGIN};
use hyper::{Method, StatusCode};

use crate::identity::EndpointId;
use crate::observe::Recorder;
use crate::policy::BypassMode;
use crate::runtime::{Fleet, OrderError};
use crate::store::Embedded;

use super::captures;

/// Where operators reach the gateway, and what they must show.
#[derive(Clone)]
pub struct AdminConfig {
    pub listen: crate::net::At,
    /// The token, if there is one.
    pub token: Option<Arc<str>>,
}

/// Carries out orders.
pub struct Control {
    fleet: Fleet<Embedded>,
    recorder: Recorder,
    token: Option<Arc<str>>,
    /// Only this machine reaches the listener.
    loopback: bool,
}

/// An answer: a status and its text.
pub(super) type Answer = (StatusCode, String);

impl Control {
    pub fn new(fleet: Fleet<Embedded>, recorder: Recorder, config: &AdminConfig) -> Self {
        Self {
            fleet,
            recorder,
            token: config.token.clone(),
            loopback: config.listen.address().ip().is_loopback(),
        }
    }

    /// Whether a path is about orders.
    pub(super) fn knows(path: &str) -> bool {
        PATHS.contains(&path) || captures::knows(path)
    }

    pub(super) async fn answer(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Answer {
        if let Err(refused) = admits(self.token.as_deref(), self.loopback, headers) {
            return refused;
        }
        if captures::knows(path) {
            return captures::answer(&self.recorder, method, path, query);
        }
        let device = match target(query.or((method == Method::GET).then_some("device=all"))) {
            Ok(device) => device,
            Err(why) => return (StatusCode::BAD_REQUEST, format!("{why}\n")),
        };
        let mode = match (method.as_str(), path) {
            ("GET", "/bypass") => return self.state(device.as_ref()).await,
            ("POST", "/bypass") => Some(BypassMode::Bypass),
            ("POST", "/release") => Some(BypassMode::Release),
            ("POST", "/emergency-bypass") => Some(BypassMode::Emergency),
            ("POST", "/restore") => None,
            _ => {
                return (
                    StatusCode::METHOD_NOT_ALLOWED,
                    "orders are POSTs; GET /bypass says how they stand\n".into(),
                );
            }
        };
        match self.fleet.order_bypass(device.as_ref(), mode).await {
            Ok(()) => self.state(device.as_ref()).await,
            Err(error @ OrderError::Unknown) => (StatusCode::NOT_FOUND, format!("{error}\n")),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    async fn state(&self, device: Option<&EndpointId>) -> Answer {
        let state = self.fleet.bypass_state(device).await.map_err(|error| error.to_string());
        let text = state.and_then(|state| serde_json::to_string(&state).map_err(|error| error.to_string()));
        match text {
            Ok(text) => (StatusCode::OK, text + "\n"),
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
        }
    }
}

/// Whether somebody may order. A browser says by `Origin` that a page of elsewhere asks: no page has to.
fn admits(token: Option<&str>, loopback: bool, headers: &HeaderMap) -> Result<(), Answer> {
    if headers.contains_key(ORIGIN) {
        return Err((StatusCode::FORBIDDEN, "no orders are taken from web pages\n".into()));
    }
    let Some(token) = token else {
        let why =
            "admin.listen is no loopback address, and there is no admin.token_file: no orders are taken\n";
        return if loopback { Ok(()) } else { Err((StatusCode::FORBIDDEN, why.into())) };
    };
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match shown.is_some_and(|shown| is_same(shown.as_bytes(), token.as_bytes())) {
        true => Ok(()),
        false => Err((StatusCode::UNAUTHORIZED, "the token of admin.token_file is needed\n".into())),
    }
}

/// Compares without telling by its time where texts differ.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

/// The device of a query, `None` for all.
fn target(query: Option<&str>) -> Result<Option<EndpointId>, String> {
    let wanted = query.and_then(|query| query.strip_prefix("device="));
    let Some(wanted) = wanted else { return Err("say ?device=<endpoint id> or ?device=all".into()) };
    if wanted == "all" {
        return Ok(None);
    }
    // An endpoint's own percent signs come escaped, and nothing else has to be.
    let text = wanted.replace("%25", "%").replace("%3A", ":");
    EndpointId::parse(&text).map(Some).map_err(|error| error.to_string())
}

const PATHS: [&str; 4] = ["/bypass", "/release", "/restore", "/emergency-bypass"];

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn status(token: Option<&str>, loopback: bool, headers: &[(HeaderName, &'static str)]) -> Option<u16> {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        admits(token, loopback, &headers).err().map(|(status, _)| status.as_u16())
    }

    #[test]
    fn orders_come_from_this_machine_or_with_the_token_and_from_no_web_page() {
        assert_eq!(status(None, true, &[]), None);
        assert_eq!(status(None, false, &[]), Some(403));
        assert_eq!(status(None, true, &[(ORIGIN, "http://evil.example")]), Some(403));
        assert_eq!(status(Some("right"), true, &[]), Some(401), "a token counts on this machine too");
        assert_eq!(status(Some("right"), false, &[(AUTHORIZATION, "Bearer right")]), None);
        for wrong in ["Bearer wrong", "Bearer righ", "Bearer rightx", "right", "Basic right"] {
            assert_eq!(status(Some("right"), false, &[(AUTHORIZATION, wrong)]), Some(401), "{wrong}");
        }
    }

    #[test]
    fn an_order_names_its_device_or_all() {
        assert_eq!(target(Some("device=all")), Ok(None));
        let device = target(Some("device=os::A-1%252D2")).unwrap().unwrap();
        assert_eq!(device.as_str(), "os::A-1%2D2");
        for wrong in [None, Some(""), Some("device="), Some("all"), Some("device=nothing")] {
            assert!(target(wrong).is_err(), "{wrong:?}");
        }
    }
}
