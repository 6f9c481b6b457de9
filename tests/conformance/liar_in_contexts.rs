//! The checks of payload security must fail where an agent protects what it says, but believes everything that is
//! said to it: whatever is signed by whom or not at all, and within a context what anybody can read. Where TLS
//! refuses a controller it does not say so.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use dragoman::conformance::{self, Number, Outcome, Setup, SetupConfig};
use dragoman::identity::EndpointId;
use dragoman::payload_security::Keyring;
use dragoman::sim::controller::ContextEnd;
use dragoman::usp::message::{GetResp, Message, MessageBody, Request, Response};
use dragoman::usp::record::session::{Input, Output, Policy};
use dragoman::usp::record::{Integrity, Payload, PayloadSecurity, Record};

use super::liar::{AGENT, CONTROLLER, meet, reply, supported};
use super::pki::Pki;

const SUPPORTED: &[(&str, &[&str])] = &[
    ("Device.LocalAgent.", &["Periodic!"]),
    (
        "Device.LocalAgent.Controller.{i}.E2ESession.",
        &["PayloadSecurity", "SessionMode", "SessionRetryMinimumWaitInterval"],
    ),
];

fn answer(request: &Request) -> Option<Response> {
    Some(match request {
        Request::GetSupportedDm(_) => Response::GetSupportedDmResp(supported(SUPPORTED)),
        _ => Response::GetResp(GetResp::default()),
    })
}

struct Liar {
    end: ContextEnd,
    /// Whether its records have MACs.
    macs: bool,
}

impl Liar {
    fn new(keyring: Arc<Keyring>, macs: bool) -> Self {
        let [me, controller] = [AGENT, CONTROLLER].map(|it| EndpointId::parse(it).unwrap());
        let policy = Policy { security: PayloadSecurity::Tls12, ..Policy::default() };
        Self { end: ContextEnd::new(&me, &controller, policy, Some(keyring)), macs }
    }

    fn speak(&mut self, record: Record) -> Vec<Record> {
        let from = record.from_id.clone();
        let plain = match &record.payload {
            Payload::NoSession(message) => Some(message.clone()),
            Payload::Session(context) if record.payload_security == PayloadSecurity::Plaintext => {
                context.payload.first().cloned()
            }
            _ => None,
        };
        if let Some(message) = plain {
            return reply(&from, message, &mut answer).into_iter().collect();
        }
        let brought = self.end.handle(Input::Received { record, integrity: Integrity::Trusted });
        let mut said = Vec::new();
        for output in brought {
            match output {
                Output::Message(message) => said.extend(self.answer(message)),
                Output::Send(record) => said.push(record),
                _ => {}
            }
        }
        said.retain(|record| !alerts(record));
        if !self.macs {
            said.iter_mut().for_each(|record| record.mac_signature = Bytes::new());
        }
        said
    }

    /// Within the context.
    fn answer(&mut self, message: Bytes) -> Vec<Record> {
        let Ok(Message { msg_id, body: MessageBody::Request(request) }) = Message::decode(message) else {
            return Vec::new();
        };
        let response = Message::response(msg_id, answer(&request).unwrap()).encode();
        let sent = self.end.handle(Input::Send(response));
        sent.into_iter()
            .filter_map(|it| if let Output::Send(record) = it { Some(record) } else { None })
            .collect()
    }
}

fn alerts(record: &Record) -> bool {
    let Payload::Session(context) = &record.payload else { return false };
    context.payload.iter().any(|part| part.first() == Some(&21))
}

/// What each check finds wrong, of one with MACs or without.
const FOUND: &[(bool, u16, u16, &str)] = &[
    (true, 2, 7, "the agent answers"),
    (true, 2, 8, "the agent answers"),
    (true, 3, 3, "the agent goes on with the handshake"),
    (false, 3, 4, "the mac_signature has 0 bytes"),
    (true, 3, 5, "the agent ends the handshake without a TLS alert"),
    (true, 3, 7, "the agent ends the handshake without a TLS alert"),
    (true, 3, 13, "the agent answers"),
];

#[tokio::test]
async fn an_agent_that_believes_everything_fails() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance").join("liar");
    std::fs::create_dir_all(&folder).unwrap();
    let pki = Pki::new(&folder);
    let mut passed = Vec::new();
    for (macs, section, place, found) in FOUND {
        let mut liar = Liar::new(pki.keyring(AGENT), *macs);
        let (controller, lying, config) = meet(move |record| liar.speak(record), None).await;
        let config = SetupConfig { secrets: Some(pki.secrets(CONTROLLER)), ..config };
        let setup = Arc::new(Setup::learn(config).await.unwrap());
        let number = Number(*section, *place);
        let outcome = conformance::run(conformance::find(number).unwrap(), &setup).await.outcome;
        if !matches!(&outcome, Outcome::Fail { why, .. } if why.starts_with(found)) {
            passed.push(format!("{number}: {outcome:?}"));
        }
        controller.stop().await;
        lying.await.unwrap();
    }
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}
