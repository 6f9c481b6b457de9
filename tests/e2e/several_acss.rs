//! Several ACSs behind one gateway: whose a session is, and that nothing of one reaches another.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::command_line::http_get;
use super::gateway::Setup;
use super::relay::{RawCpe, odd_inform};

/// An ACS that acknowledges Informs, has no RPCs, gives a cookie with its name, and keeps the heads of all POSTs.
struct NamedAcs {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl NamedAcs {
    fn start(name: &'static str) -> Self {
        Self::answering(name, None)
    }

    /// One that sends all sessions elsewhere.
    fn redirecting(to: &str) -> Self {
        Self::answering(
            "redirecting",
            Some(format!("HTTP/1.1 307 There\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")),
        )
    }

    fn answering(name: &'static str, always: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let (kept, count) = (Arc::clone(&heads), Arc::clone(&connections));
        // Both end with the test's process; a test opens few connections.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten().take(50) {
                count.fetch_add(1, Ordering::SeqCst);
                let (kept, always) = (Arc::clone(&kept), always.clone());
                std::thread::spawn(move || serve(stream, name, always.as_deref(), &kept));
            }
        });
        Self { port, heads, connections }
    }

    /// The heads since the last look.
    fn heads(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }

    fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }
}

fn serve(stream: TcpStream, name: &str, always: Option<&str>, heads: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        heads.lock().unwrap().push(head);
        let answer = if body.is_empty() { "" } else { INFORM_RESPONSE };
        let status = if body.is_empty() { "204 No Content" } else { "200 OK" };
        let answer = format!(
            "HTTP/1.1 {status}\r\nSet-Cookie: {name}=1\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        reader.get_mut().write_all(always.unwrap_or(&answer).as_bytes()).unwrap();
    }
}

/// A whole session; the statuses of its answers.
fn session(
    gateway: std::net::SocketAddr,
    serial: &str,
    target: &'static str,
    host: &'static str,
) -> (u16, u16) {
    let mut cpe = RawCpe::connect(gateway);
    (cpe.target, cpe.host) = (target, host);
    let opened = cpe.post(odd_inform(serial).as_bytes()).0;
    if opened != 200 {
        return (opened, 0);
    }
    // Whatever it says later, the session stays where it was opened.
    (cpe.target, cpe.host) = ("/else?where=1", "elsewhere.example");
    (opened, cpe.post(b"").0)
}

#[test]
fn paths_virtual_hosts_and_devices_are_kept_apart_and_nothing_of_one_acs_reaches_another() {
    let [main, path, host, device] = ["main", "path", "host", "device"].map(NamedAcs::start);
    let setup = Setup::new(
        0,
        &format!(
            "[acs]\nurl = \"{}\"\n\
             [[acs.route]]\nname = \"by-path\"\nurl = \"{}\"\npath = \"/business\"\nkeep_target = true\n\
             [[acs.route]]\nname = \"by-host\"\nurl = \"{}\"\nhost = \"*.acs.example\"\nkeep_host = true\n\
             [[acs.route]]\nname = \"by-device\"\nurl = \"{}\"\nserial_number = \"DEV*\"\n",
            main.url("/main?its=own"),
            path.url("/path"),
            host.url("/host"),
            device.url("/device"),
        ),
    );
    let gateway = setup.start();
    let all = [&main, &path, &host, &device];
    // Who comes how, to whom, and what the ACS then sees: the targets of both POSTs, and its name.
    let local = |acs: &NamedAcs| format!("127.0.0.1:{}", acs.port);
    for (serial, target, called, own, targets, seen_host) in [
        ("A1", "/acs?q=/business", "gw", 0, ["/main?its=own"; 2], [local(&main), local(&main)]),
        (
            "A2",
            "/business/x?q=1",
            "gw",
            1,
            ["/business/x?q=1", "/else?where=1"],
            [local(&path), local(&path)],
        ),
        // The first route that holds has the session.
        (
            "DEV3",
            "/business",
            "x.acs.example",
            1,
            ["/business", "/else?where=1"],
            [local(&path), local(&path)],
        ),
        (
            "DEV4",
            "/",
            "X.acs.example:7547",
            2,
            ["/host"; 2],
            ["x.acs.example:7547".to_owned(), "elsewhere.example".to_owned()],
        ),
        ("DEV5", "/businesses", "acs.example", 3, ["/device"; 2], [local(&device), local(&device)]),
        // A name that is none is of no virtual host.
        ("A6", "/", "x.acs.example/", 0, ["/main?its=own"; 2], [local(&main), local(&main)]),
    ] {
        assert_eq!(session(gateway.cwmp, serial, target, called), (200, 204), "{serial}");
        for (at, acs) in all.iter().enumerate() {
            let heads = acs.heads();
            if at != own {
                assert!(heads.is_empty(), "{serial}: {heads:?}");
                continue;
            }
            assert_eq!(heads.len(), 2, "{serial}");
            for ((head, target), host) in heads.iter().zip(targets).zip(&seen_host) {
                assert!(head.starts_with(&format!("post {target} ")), "{serial}: {head}");
                assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{serial}: {head}");
                assert_eq!(head.matches("\r\nhost: ").count(), 1, "{serial}: {head}");
            }
            let cookie = format!("cookie: {}=1\r\n", ["main", "path", "host", "device"][own]);
            assert!(!heads[0].contains("cookie") && heads[1].contains(&cookie), "{serial}: {heads:?}");
        }
    }
    // The same device by another way: its new ACS has none of the old one's cookies, and the operator hears of it once.
    assert_eq!(session(gateway.cwmp, "A1", "/business", "gw"), (200, 204));
    assert!(path.heads().iter().all(|head| !head.contains("main=1")) && main.heads().is_empty());
    assert_eq!(session(gateway.cwmp, "A1", "/business", "gw"), (200, 204));
    let log = setup.log();
    assert_eq!(log.matches("has gone from the ACS default to by-path").count(), 1, "{log}");
    assert!(log.contains("acs=\"by-host\""), "{log}");
}

#[test]
fn tr_069_3_4_a_session_goes_where_the_acs_sends_it_if_the_operator_allows_and_the_cpe_never_hears_of_it() {
    let node = NamedAcs::start("node");
    let there = format!("http://localhost:{}/node?n=1", node.port);
    let acs = NamedAcs::redirecting(&there);
    let tables = |more: &str| format!("[acs]\nurl = \"{}\"\n{more}", acs.url("/"));
    let setup = Setup::new(0, &tables(&format!("redirects = [\"http://localhost:{}/node\"]\n", node.port)));
    let gateway = setup.start();
    assert_eq!(session(gateway.cwmp, "R1", "/", "gw"), (200, 204));
    assert_eq!(acs.heads().len(), 1, "the rest of the session goes to the new place");
    let heads = node.heads();
    assert!(heads.len() == 2 && heads.iter().all(|head| head.starts_with("post /node?n=1 ")), "{heads:?}");
    assert!(heads[1].contains("cookie: node=1\r\n"), "{heads:?}");
    let metrics = http_get(gateway.admin, "/metrics");
    assert!(metrics.contains("dragoman_acs_redirects_total{outcome=\"followed\"} 1"), "{metrics}");
    let setup = Setup::new(0, &tables(""));
    let gateway = setup.start();
    assert_eq!(session(gateway.cwmp, "R2", "/", "gw"), (503, 0));
    assert!(node.heads().is_empty());
    let (log, metrics) = (setup.log(), http_get(gateway.admin, "/metrics"));
    let line =
        format!("a redirect of the ACS is not followed: http://localhost:{} is not allowed", node.port);
    assert!(log.contains(&line) && log.contains("ended: acs-redirect"), "{log}");
    assert!(metrics.contains("dragoman_cwmp_sessions_total{outcome=\"acs-redirect\"} 1"), "{metrics}");
}

#[test]
fn an_acs_sees_one_connection_for_a_session_however_many_the_cpe_makes_and_another_for_the_next() {
    let acs = NamedAcs::start("only");
    let setup = Setup::new(0, &format!("[acs]\nurl = \"{}\"\n", acs.url("/")));
    let gateway = setup.start();
    for sessions in 1..3 {
        let mut cpe = RawCpe::connect(gateway.cwmp);
        assert_eq!(cpe.post(odd_inform("C1").as_bytes()).0, 200);
        // It asks for something, each time over another connection.
        for _ in 0..2 {
            cpe = cpe.reconnect(gateway.cwmp);
            assert_eq!(cpe.post(b"<what/>").0, 200);
        }
        assert_eq!(cpe.reconnect(gateway.cwmp).post(b"").0, 204);
        assert_eq!(acs.connections.load(Ordering::SeqCst), sessions);
        let heads = acs.heads();
        assert!(
            !heads[0].contains("cookie: ") && heads[1..].iter().all(|head| head.contains("cookie: only=1"))
        );
    }
}

#[test]
fn a_session_that_a_cpe_cuts_short_on_its_connection_is_cut_short_on_that_of_the_acs_too() {
    let acs = NamedAcs::start("only");
    let setup = Setup::new(0, &format!("[acs]\nurl = \"{}\"\n", acs.url("/")));
    let gateway = setup.start();
    let mut cpe = RawCpe::connect(gateway.cwmp);
    for body in [odd_inform("C1").as_bytes(), b"<what/>", odd_inform("C1").as_bytes(), b"<what/>"] {
        assert_eq!(cpe.post(body).0, 200);
    }
    assert_eq!(acs.connections.load(Ordering::SeqCst), 1, "the ACS knows that its session is over");
    let cookies: Vec<bool> = acs.heads().iter().map(|head| head.contains("cookie: ")).collect();
    assert_eq!(cookies, [false, true, false, true], "a cookie of the session that is over");
    // One that comes over another connection may have two at once, for all that anybody knows.
    assert_eq!(cpe.reconnect(gateway.cwmp).post(odd_inform("C1").as_bytes()).0, 200);
    assert_eq!(acs.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn who_is_of_no_acs_gets_404_and_the_operator_a_line() {
    let acs = NamedAcs::start("only");
    let route = format!(
        "[[acs.route]]\nname = \"only\"\nurl = \"{}\"\npath = \"/only\"\naddress = \"127.0.0.1\"\n\
         [[acs.route]]\nname = \"elsewhere\"\nurl = \"{}\"\naddress = [\"127.0.0.2\", \"127.0.0.1:1\"]\n",
        acs.url("/"),
        acs.url("/elsewhere"),
    );
    let setup = Setup::new(0, &route);
    let gateway = setup.start();
    assert_eq!(session(gateway.cwmp, "N1", "/other?token=1", "gw"), (404, 0));
    assert!(acs.heads().is_empty());
    assert_eq!(session(gateway.cwmp, "N1", "/only", "gw"), (200, 204));
    let log = setup.log();
    assert!(log.contains("no ACS is for this device") && !log.contains("token"), "{log}");
}

const INFORM_RESPONSE: &str = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' \
    xmlns:w='urn:dslforum-org:cwmp-1-1'><e:Header><w:ID e:mustUnderstand='1'>77</w:ID></e:Header><e:Body>\
    <w:InformResponse><MaxEnvelopes>1</MaxEnvelopes></w:InformResponse></e:Body></e:Envelope>";
