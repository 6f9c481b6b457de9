//! Which open session a POST belongs to: by our cookie, or by the connection for CPEs that return none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;

use crate::identity::EndpointId;
use crate::proxy::{AcsId, SessionId};
use crate::southbound::ConnectionId;

use super::clock::session_name;

/// The sessions that are open.
#[derive(Default)]
pub struct Routes {
    cookies: DashMap<String, Route>,
    /// The cookie of the newest session on a connection (quirk C02).
    connections: DashMap<ConnectionId, String>,
    /// The cookie of a session, so that its end can take the rest away.
    sessions: DashMap<SessionId, String>,
    next: AtomicU64,
    draining: AtomicBool,
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub session: SessionId,
    pub endpoint: EndpointId,
    /// The ACS that it was opened for; it stays.
    pub acs: AcsId,
    pub connection: ConnectionId,
    /// The session has gone on over another connection before: the end of one says little.
    pub roams: bool,
    /// The ACS's answer to the Inform was to repeat it: the next one is this session's too.
    pub again: bool,
}

impl Routes {
    /// A number that has not been used before in this process.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Opens a session and gives its cookie.
    pub(super) fn open(&self, endpoint: EndpointId, acs: AcsId, connection: ConnectionId) -> (String, Route) {
        let session = SessionId(self.number());
        let route = Route { session, endpoint, acs, connection, roams: false, again: false };
        let cookie = session_name();
        self.sessions.insert(route.session, cookie.clone());
        self.cookies.insert(cookie.clone(), route.clone());
        self.connections.insert(connection, cookie.clone());
        (cookie, route)
    }

    /// Whether a cookie names an open session.
    pub(super) fn knows(&self, cookie: &str) -> bool {
        self.cookies.contains_key(cookie)
    }

    /// The session that a cookie names, or else the newest on the connection.
    pub(super) fn find(&self, cookie: Option<&str>, connection: ConnectionId) -> Option<(String, Route)> {
        let by_cookie = cookie.filter(|cookie| self.knows(cookie)).map(str::to_owned);
        let cookie = match by_cookie {
            Some(cookie) => cookie,
            None => self.connections.get(&connection)?.clone(),
        };
        let mut route = self.cookies.get_mut(&cookie)?;
        // A session that goes on over another connection hangs on that one from now on.
        let moved = std::mem::replace(&mut route.connection, connection) != connection;
        route.roams |= moved;
        let found = route.clone();
        drop(route);
        if moved {
            self.connections.insert(connection, cookie.clone());
        }
        Some((cookie, found))
    }

    /// The device of that session, without anything coming of the question.
    pub(super) fn whose(&self, cookie: Option<&str>, connection: ConnectionId) -> Option<EndpointId> {
        let by_cookie =
            cookie.and_then(|cookie| self.cookies.get(cookie).map(|route| route.endpoint.clone()));
        by_cookie.or_else(|| {
            let cookie = self.connections.get(&connection)?.clone();
            self.cookies.get(&cookie).map(|route| route.endpoint.clone())
        })
    }

    /// Whether the next Inform of the CPE goes on with this session.
    pub(super) fn expect_inform(&self, session: SessionId, again: bool) {
        let Some(cookie) = self.sessions.get(&session) else { return };
        if let Some(mut route) = self.cookies.get_mut(&*cookie) {
            route.again = again;
        }
    }

    /// Does something for the session that hangs on a connection, which cannot go on over another one meanwhile:
    /// what is told of a connection's end must not come after a POST over the next.
    pub(super) fn on<T>(&self, connection: ConnectionId, then: impl FnOnce(&Route) -> T) -> Option<T> {
        let cookie = self.connections.get(&connection)?.clone();
        let route = self.cookies.get(&cookie)?;
        (route.connection == connection).then(|| then(&route))
    }

    /// The connection has ended; a session may go on over another one.
    pub(super) fn forget_connection(&self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// The session has ended.
    pub(super) fn close(&self, session: SessionId) {
        let Some((_, cookie)) = self.sessions.remove(&session) else { return };
        if let Some((_, route)) = self.cookies.remove(&cookie) {
            self.connections.remove_if(&route.connection, |_, current| *current == cookie);
        }
    }

    /// From now on no session is opened any more; those that are open go on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The cookies of the sessions that are open.
    pub(super) fn cookies(&self) -> Vec<String> {
        self.cookies.iter().map(|session| session.key().clone()).collect()
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> EndpointId {
        EndpointId::parse("os::00256D-1").unwrap()
    }

    #[test]
    fn a_session_is_found_by_cookie_on_any_connection_and_by_connection_without() {
        let routes = Routes::default();
        let (cookie, route) = routes.open(endpoint(), AcsId(0), ConnectionId(1));
        assert_eq!(routes.find(None, ConnectionId(1)).unwrap().1, route);
        assert_eq!(routes.find(Some("forged"), ConnectionId(2)), None);
        let moved = routes.find(Some(&cookie), ConnectionId(2)).unwrap().1;
        assert_eq!((moved.connection, moved.roams), (ConnectionId(2), true));
        assert_eq!(routes.on(ConnectionId(2), |on| on.session), Some(route.session));
        assert_eq!(routes.on(ConnectionId(1), |on| on.session), None);
    }

    #[test]
    fn a_session_takes_another_inform_only_while_the_acs_has_asked_for_it() {
        let routes = Routes::default();
        let (cookie, route) = routes.open(endpoint(), AcsId(0), ConnectionId(1));
        let again = || routes.find(Some(&cookie), ConnectionId(1)).unwrap().1.again;
        assert!(!again());
        routes.expect_inform(route.session, true);
        assert!(again());
        routes.expect_inform(route.session, false);
        assert!(!again());
    }

    #[test]
    fn a_closed_session_leaves_nothing_behind() {
        let routes = Routes::default();
        let (cookie, route) = routes.open(endpoint(), AcsId(0), ConnectionId(1));
        routes.close(route.session);
        assert_eq!(routes.find(Some(&cookie), ConnectionId(1)), None);
        assert!(routes.is_empty() && routes.connections.is_empty() && routes.cookies.is_empty());
    }
}
