//! CPE and ACS with the gateway between them and no USP at work.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use dragoman::identity::EndpointId;
use dragoman::sim::acs::{Acs, AcsConfig, Seen};

use super::gateway::Setup;

/// An Inform as no encoder of ours would write it: odd prefixes, blanks, a comment, single quotes.
pub fn odd_inform(serial: &str) -> String {
    format!(
        "<?xml version='1.0'?>\r\n<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' \
         xmlns:q='urn:dslforum-org:cwmp-1-1' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>\
         <!-- odd --><s:Header><q:ID s:mustUnderstand='1'>  77 </q:ID></s:Header>\
         <s:Body ><q:Inform><DeviceId><Manufacturer>A&#38;B</Manufacturer><OUI>00256D</OUI>\
         <ProductClass>Odd</ProductClass><SerialNumber>{serial}</SerialNumber></DeviceId>\
         <Event><EventStruct><EventCode>2 PERIODIC</EventCode><CommandKey/></EventStruct></Event>\
         <MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-01-01T00:00:00</CurrentTime>\
         <RetryCount>0</RetryCount><ParameterList><ParameterValueStruct>\
         <Name>Device.DeviceInfo.SoftwareVersion</Name><Value xsi:type='xsd:string'>1</Value>\
         </ParameterValueStruct></ParameterList></q:Inform></s:Body></s:Envelope>\n\n"
    )
}

/// Who sends it.
pub fn odd(serial: &str) -> EndpointId {
    EndpointId::parse(&format!("ops::00256D-Odd-{serial}")).unwrap()
}

/// A CPE that says what a test writes down, to the gateway as it calls it.
pub struct RawCpe {
    stream: TcpStream,
    cookie: Option<String>,
    pub target: &'static str,
    pub host: &'static str,
}

impl RawCpe {
    pub fn connect(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream, cookie: None, target: "/acs", host: "gw" }
    }

    /// Goes on over another connection, with its cookie.
    pub fn reconnect(self, address: std::net::SocketAddr) -> Self {
        Self { cookie: self.cookie.clone(), ..Self::connect(address) }
    }

    /// Posts a body and returns status and body of the answer.
    pub fn post(&mut self, body: &[u8]) -> (u16, Vec<u8>) {
        let cookie = self.cookie.as_ref().map_or_else(String::new, |it| format!("Cookie: {it}\r\n"));
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/xml; charset=utf-8\r\n\
             SOAPAction: \"\"\r\n{cookie}Content-Length: {}\r\n\r\n",
            self.target,
            self.host,
            body.len()
        );
        self.stream.write_all(head.as_bytes()).unwrap();
        self.stream.write_all(body).unwrap();
        let mut received = Vec::new();
        let end = loop {
            let mut chunk = [0; 4_096];
            let count = self.stream.read(&mut chunk).unwrap();
            assert!(count > 0, "the gateway closed the connection: {}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&chunk[..count]);
            if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8(received[..end].to_vec()).unwrap();
        let header = |name: &str| {
            let found = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            found.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        if let Some(cookie) = header("set-cookie:") {
            self.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        }
        let length = header("content-length:").map_or(0, |length| length.parse().unwrap());
        while received.len() < end + length {
            let mut chunk = [0; 4_096];
            let count = self.stream.read(&mut chunk).unwrap();
            received.extend_from_slice(&chunk[..count]);
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, received[end..].to_vec())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_that_one_side_sends_is_the_byte_that_the_other_gets() {
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    acs.bodies(true);
    let read = dragoman::cwmp::rpc::GetParameterValues {
        parameter_names: dragoman::cwmp::rpc::Array(vec!["Device.DeviceInfo.UpTime".into()]),
    };
    acs.enqueue(&odd("RAW1"), dragoman::cwmp::rpc::Request::GetParameterValues(read));
    let setup = Setup::new(0, &format!("[acs]\nurl = \"{}\"\n", acs.url()));
    let gateway = setup.start();
    let address = gateway.cwmp;
    let inform = odd_inform("RAW1");
    let answer = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body>\
                  <w:GetParameterValuesResponse xmlns:w='urn:dslforum-org:cwmp-1-1'><ParameterList>\
                  <ParameterValueStruct><Name>Device.DeviceInfo.UpTime</Name><Value>&#x31;2</Value>\
                  </ParameterValueStruct></ParameterList></w:GetParameterValuesResponse></e:Body></e:Envelope>";
    let bodies = [inform.clone(), String::new(), answer.to_owned()];
    let said = bodies.clone();
    let heard = tokio::task::spawn_blocking(move || {
        let mut cpe = RawCpe::connect(address);
        said.map(|body| cpe.post(body.as_bytes()))
    });
    let heard = heard.await.unwrap();
    let exchanges = acs.exchanges(&odd("RAW1"));
    assert_eq!(exchanges.len(), 3);
    for ((exchange, sent), (status, received)) in exchanges.iter().zip(&bodies).zip(&heard) {
        assert_eq!(exchange.received, sent.as_bytes(), "what the CPE sent");
        assert_eq!((exchange.status, &exchange.sent[..]), (*status, &received[..]), "what the ACS sent");
    }
    assert_eq!(heard[2].0, 204);
    acs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_acs_is_down_no_inform_is_answered_and_the_cpe_retries() {
    let acs = Acs::start(AcsConfig::default()).await.unwrap();
    let setup = Setup::new(0, &format!("[acs]\nurl = \"{}\"\n", acs.url()));
    let gateway = setup.start();
    let address = gateway.cwmp;
    let post = move || RawCpe::connect(address).post(odd_inform("RAW2").as_bytes());
    acs.refuse(Some(500));
    let (status, body) = tokio::task::spawn_blocking(post).await.unwrap();
    assert_eq!(status, 500, "the ACS's own answer passes");
    assert!(!String::from_utf8_lossy(&body).contains("InformResponse"));
    assert!(setup.log().contains("refused by the ACS: 500"), "{}", setup.log());
    acs.refuse(None);
    let (status, _) = tokio::task::spawn_blocking(post).await.unwrap();
    assert_eq!(status, 200);
    assert!(acs.seen(&odd("RAW2")).iter().any(|seen| matches!(seen, Seen::Inform { .. })));
    acs.stop().await;
    // Nobody listens there any more.
    let gone = Setup::new(0, "[acs]\nurl = \"http://127.0.0.1:1/\"\n");
    let gateway = gone.start();
    let address = gateway.cwmp;
    let post = move || RawCpe::connect(address).post(odd_inform("RAW3").as_bytes());
    let (status, _) = tokio::task::spawn_blocking(post).await.unwrap();
    assert_eq!(status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_acs_the_gateway_answers_the_cpe_itself() {
    let setup = Setup::new(0, "");
    let gateway = setup.start();
    let address = gateway.cwmp;
    let session = move || {
        let mut cpe = RawCpe::connect(address);
        [cpe.post(odd_inform("RAW4").as_bytes()), cpe.post(b"")]
    };
    let [inform, empty] = tokio::task::spawn_blocking(session).await.unwrap();
    assert_eq!(inform.0, 200);
    assert!(String::from_utf8_lossy(&inform.1).contains("InformResponse"));
    assert_eq!(empty, (204, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acs_that_asks_for_digest_is_answered_by_the_cpe_or_by_the_gateway() {
    let credentials = Some(("dragoman".to_owned(), "secret".to_owned()));
    let acs = Acs::start(AcsConfig { credentials, ..AcsConfig::default() }).await.unwrap();
    let own = format!("[acs]\nurl = \"{}\"\nusername = \"dragoman\"\npassword = \"secret\"\n", acs.url());
    let setup = Setup::new(0, &own);
    let gateway = setup.start();
    let address = gateway.cwmp;
    let session = move || {
        let mut cpe = RawCpe::connect(address);
        [cpe.post(odd_inform("RAW5").as_bytes()), cpe.post(b"")]
    };
    let [inform, empty] = tokio::task::spawn_blocking(session).await.unwrap();
    assert_eq!((inform.0, empty.0), (200, 204), "the CPE saw a challenge that was the gateway's to answer");
    // Passed through: the CPE sees the ACS's own challenge.
    let setup = Setup::new(0, &format!("[acs]\nurl = \"{}\"\n", acs.url()));
    let gateway = setup.start();
    let address = gateway.cwmp;
    let post = move || RawCpe::connect(address).post(odd_inform("RAW6").as_bytes());
    let (status, _) = tokio::task::spawn_blocking(post).await.unwrap();
    assert_eq!(status, 401);
    let model = std::sync::Arc::new(dragoman::sim::cpe::Model::parse(super::usp::TR_181).unwrap());
    let mut config = dragoman::sim::cpe::FleetConfig::new(gateway.url(), model, 1);
    config.acs_credentials = Some(("dragoman".into(), "secret".into()));
    config.first_serial = 77;
    let fleet = dragoman::sim::cpe::Fleet::start(config).await.unwrap();
    let informed = |seen: &[Seen]| seen.iter().any(|it| it.is_inform_with("1 BOOT"));
    assert!(
        acs.until(&fleet.device_ids()[0].endpoint_id(), super::usp::PATIENCE, informed).await,
        "the CPE's digest did not pass"
    );
    fleet.stop().await;
    acs.stop().await;
}
