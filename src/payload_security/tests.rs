//! Two endpoints with certificates of one CA, their sessions and TLS as it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use crate::identity::EndpointId;
use crate::usp::record::session::{Env, Input, Output, Policy, Role, Session, Status};
use crate::usp::record::{Integrity, Payload, PayloadSecurity, Record};

use super::{Keyring, TlsSessions};

const AGENT: &str = "ops::00256D-HG-S1";
const CONTROLLER: &str = "self::controller";

fn id(text: &str) -> EndpointId {
    EndpointId::parse(text).unwrap()
}

/// A CA and the files of those it signed.
struct Pki {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("dragoman-pki-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    /// The keyring of an endpoint whose certificate bears this name.
    fn keyring(&self, name: &str, signs: bool) -> Arc<Keyring> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "an endpoint");
        params
            .subject_alt_names
            .push(SanType::URI(Ia5String::try_from(format!("urn:bbf:usp:id:{name}")).unwrap()));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |part: &str| self.folder.join(format!("{}.{part}", name.replace([':', '*'], "_")));
        // In one file, as many operators keep them.
        std::fs::write(file("pem"), key.serialize_pem() + &certificate.pem()).unwrap();
        let ca = self.folder.join("ca.pem");
        Arc::new(Keyring::load(&ca, &file("pem"), &file("pem"), signs).unwrap())
    }
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An endpoint as its task holds it.
struct End {
    peer: EndpointId,
    session: Session,
    tls: TlsSessions,
    keyring: Arc<Keyring>,
    policy: Policy,
    /// Each has a randomness of its own.
    salt: u64,
    got: Vec<Bytes>,
    ended: Vec<&'static str>,
}

impl End {
    fn new(name: &str, peer: &str, role: Role, keyring: &Arc<Keyring>) -> Self {
        let security = PayloadSecurity::Tls12;
        let signature_room = keyring.signature_room();
        Self {
            peer: id(peer),
            session: Session::new(id(name), id(peer), role),
            tls: TlsSessions::new(&id(name), Some(Arc::clone(keyring))),
            keyring: Arc::clone(keyring),
            policy: Policy { security, signature_room, ..Policy::default() },
            salt: u64::from(role == Role::Agent),
            got: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// The records that go out for an input.
    fn handle(&mut self, now: u64, input: Input) -> Vec<Bytes> {
        let mut inputs = std::collections::VecDeque::from([input]);
        let mut sent = Vec::new();
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            let seed = (now + self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let env = Env { now, seed, policy: &self.policy };
            self.session.handle(&env, input, &mut out);
            for output in out {
                match output {
                    Output::Send(record) => sent.push(self.keyring.sign(record.encode())),
                    Output::Message(message) => self.got.push(message),
                    Output::Ended { why, .. } => self.ended.push(why),
                    Output::Secure { session_id, request } => {
                        let answer = self.tls.answer(&self.peer, session_id, request);
                        inputs.extend(answer.map(|secured| Input::Secured { session_id, secured }));
                    }
                }
            }
        }
        sent
    }

    fn hear(&mut self, now: u64, bytes: Bytes) -> Vec<Bytes> {
        let integrity = self.keyring.integrity(&bytes);
        self.handle(now, Input::Received { record: Record::decode(bytes).unwrap(), integrity })
    }
}

/// Lets two ends talk until nothing is under way; gives all the records.
fn talk(ends: &mut [End; 2], now: u64, from: usize, records: Vec<Bytes>) -> Vec<Record> {
    let mut flying: std::collections::VecDeque<(usize, Bytes)> =
        records.into_iter().map(|record| (1 - from, record)).collect();
    let mut seen = Vec::new();
    for _ in 0..10_000 {
        let Some((to, bytes)) = flying.pop_front() else { return seen };
        seen.push(Record::decode(bytes.clone()).unwrap());
        flying.extend(ends[to].hear(now, bytes).into_iter().map(|record| (1 - to, record)));
    }
    panic!("they never stop");
}

fn ends(pki: &Pki, agent: &str, controller: &str, signs: bool) -> [End; 2] {
    [
        End::new(AGENT, CONTROLLER, Role::Agent, &pki.keyring(agent, signs)),
        End::new(CONTROLLER, AGENT, Role::Controller, &pki.keyring(controller, signs)),
    ]
}

#[test]
fn r_e2e_40_r_e2e_41_r_e2e_43_tp_469_3_4_messages_are_encrypted_and_records_bear_macs() {
    let pki = Pki::new();
    for (signs, max_record) in [(false, 0), (true, 0), (true, 4_096), (false, 512)] {
        let mut ends = ends(&pki, AGENT, CONTROLLER, signs);
        ends.iter_mut().for_each(|end| end.policy.max_record = max_record);
        let question = Bytes::from_static(b"a question that nobody else may read");
        let records = ends[1].handle(1_000, Input::Send(question.clone()));
        let seen = talk(&mut ends, 1_000, 1, records);
        assert_eq!(ends[0].got, std::slice::from_ref(&question), "{:?} {:?}", ends[0].ended, ends[1].ended);
        assert!(seen.iter().all(|record| record.payload_security == PayloadSecurity::Tls12));
        let readable = |record: &Record| {
            let Payload::Session(fields) = &record.payload else { return true };
            fields.payload.concat().windows(question.len()).any(|part| part == question)
        };
        assert!(!seen.iter().any(readable));
        // Some of several TLS records, more than rustls buffers by itself.
        let answer = Bytes::from(vec![7; 100_000]);
        let records = ends[0].handle(2_000, Input::Send(answer.clone()));
        if max_record > 0 {
            assert!(records.len() > 20 && records.iter().all(|record| record.len() <= max_record));
        }
        let seen = talk(&mut ends, 2_000, 0, records);
        assert_eq!(ends[1].got, [answer]);
        assert!(seen.iter().all(|record| record.mac_signature.len() == 32 && record.sender_cert.is_empty()));
        assert_eq!(ends.each_ref().map(|end| end.session.status()), [Status::Up, Status::Up]);
    }
}

#[test]
fn r_sec_11_one_certificate_serves_the_agents_that_its_wildcard_names() {
    let pki = Pki::new();
    let mut ends = ends(&pki, "ops::00256D-*", CONTROLLER, false);
    let records = ends[1].handle(1_000, Input::Send(Bytes::from_static(b"q")));
    talk(&mut ends, 1_000, 1, records);
    assert_eq!(ends[0].got.len(), 1);
}

#[test]
fn r_sec_0a_tp_469_3_7_a_certificate_of_another_endpoint_is_rejected_on_either_side() {
    let pki = Pki::new();
    for (agent, controller) in [(AGENT, "self::somebody-else"), ("ops::00256D-HG-S2", CONTROLLER)] {
        let mut ends = ends(&pki, agent, controller, false);
        let records = ends[1].handle(1_000, Input::Send(Bytes::from_static(b"q")));
        talk(&mut ends, 1_000, 1, records);
        assert!(ends[0].got.is_empty(), "a message passed between {agent} and {controller}");
        assert!(ends.iter().any(|end| end.ended.contains(&"TLS failed")));
        assert!(ends.iter().all(|end| end.session.status() != Status::Up));
    }
    // And one of another CA.
    let other = Pki::new();
    let mut ends = [
        End::new(AGENT, CONTROLLER, Role::Agent, &pki.keyring(AGENT, false)),
        End::new(CONTROLLER, AGENT, Role::Controller, &other.keyring(CONTROLLER, false)),
    ];
    let records = ends[1].handle(1_000, Input::Send(Bytes::from_static(b"q")));
    talk(&mut ends, 1_000, 1, records);
    assert!(ends[0].got.is_empty());
}

#[test]
fn r_e2e_29_r_e2e_30_r_e2e_31_records_are_signed_and_what_was_changed_is_found() {
    let pki = Pki::new();
    let (agent, controller) = (pki.keyring(AGENT, true), pki.keyring(CONTROLLER, true));
    let plain = Record::plain(&id(CONTROLLER), &id(AGENT), Bytes::from_static(b"message")).encode();
    let signed = controller.sign(plain.clone());
    assert!(signed.len() <= plain.len() + controller.signature_room());
    assert_eq!(agent.integrity(&signed), Integrity::Signed);
    let shown = String::from_utf8(Record::decode(signed.clone()).unwrap().sender_cert.into()).unwrap();
    assert!(shown.starts_with("-----BEGIN CERTIFICATE-----\n") && !shown.contains("PRIVATE"), "{shown}");
    assert_eq!(agent.integrity(&plain), Integrity::Unproven, "TP-469 3.2");
    let changed = |change: &dyn Fn(&mut Record)| {
        let mut record = Record::decode(signed.clone()).unwrap();
        change(&mut record);
        agent.integrity(&record.encode())
    };
    assert_eq!(changed(&|record| record.to_id.push('x')), Integrity::Unproven);
    assert_eq!(changed(&|record| record.from_id = AGENT.into()), Integrity::Unproven);
    assert_eq!(changed(&|record| record.sender_cert = Bytes::new()), Integrity::Unproven);
    assert_eq!(changed(&|record| record.mac_signature = vec![0; 70].into()), Integrity::Unproven);
    // Somebody else of the same CA signs in the controller's name.
    assert_eq!(agent.integrity(&pki.keyring("self::other", true).sign(plain.clone())), Integrity::Unproven);
    assert_eq!(
        agent.integrity(&Pki::new().keyring(CONTROLLER, true).sign(plain.clone())),
        Integrity::Unproven
    );
    // Where transports are trusted nothing is signed, and a signature that is there must still be right.
    let trusting = pki.keyring(AGENT, false);
    assert_eq!(trusting.sign(plain.clone()), plain);
    assert_eq!(trusting.integrity(&plain), Integrity::Trusted);
    assert_eq!(trusting.integrity(&signed), Integrity::Signed);
}

#[test]
fn a_context_survives_garbage_for_tls_by_another_one() {
    let pki = Pki::new();
    let mut ends = ends(&pki, AGENT, CONTROLLER, false);
    let records = ends[1].handle(1_000, Input::Send(Bytes::from_static(b"one")));
    talk(&mut ends, 1_000, 1, records);
    // Bytes that are no TLS, within an honest record: the peer's own doing.
    let first = ends[1].handle(2_000, Input::Send(Bytes::from_static(b"two")));
    let mut record = Record::decode(first[0].clone()).unwrap();
    let Payload::Session(fields) = &mut record.payload else { panic!() };
    fields.payload = vec![Bytes::from_static(b"no TLS at all")];
    let answers = ends[0].hear(2_000, record.encode());
    talk(&mut ends, 2_000, 0, answers);
    assert!(ends[0].ended.contains(&"TLS failed"));
    let records = ends[0].handle(3_000, Input::Send(Bytes::from_static(b"three")));
    talk(&mut ends, 3_000, 0, records);
    assert_eq!(
        ends[1].got,
        ["three"],
        "{:?}",
        ends.each_ref().map(|end| (&end.ended, end.session.status(), end.session.retry_count()))
    );
}

#[test]
fn r_e2e_31_a_key_of_another_curve_is_refused_at_the_start() {
    let pki = Pki::new();
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let params = CertificateParams::new(Vec::<String>::new()).unwrap();
    let certificate = params.signed_by(&key, &pki.issuer).unwrap();
    let file = |part: &str| pki.folder.join(part);
    std::fs::write(file("a.pem"), certificate.pem()).unwrap();
    std::fs::write(file("a.key"), key.serialize_pem()).unwrap();
    let loaded = Keyring::load(&file("ca.pem"), &file("a.pem"), &file("a.key"), false);
    assert!(loaded.is_err_and(|error| error.to_string().contains("P-256")));
}
