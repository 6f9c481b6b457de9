//! The certificates that an agent keeps of controllers and CAs.

use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};

use super::*;
use crate::agent::{CertificateConfig, CredentialConfig};
use crate::usp::Certificate;
use crate::usp::message::operate_resp::operation_result::OperationResp;
use crate::usp::record::session::{self, Secure, Secured};
use crate::usp::record::{KEYING_MATERIAL, MacKeys, PayloadSecurity};

const ADD: &str = "Device.LocalAgent.AddCertificate()";
const TABLE: &str = "Device.LocalAgent.Certificate.";

/// A certificate of its own, by the number that its issuer gave it.
fn pem(serial: u64) -> String {
    let mut params = CertificateParams::new(vec!["usp.example".to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    params.distinguished_name.push(DnType::CommonName, "controller");
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn run(story: &mut Story, command: &str, args: &[(&str, &str)]) -> Result<HashMap<String, String>, u32> {
    let Ok(Response::OperateResp(resp)) = story.ask(operate(command, args)) else { panic!("no OperateResp") };
    match resp.operation_results.into_iter().next().and_then(|it| it.operation_resp) {
        Some(OperationResp::ReqOutputArgs(args)) => Ok(args.output_args.into_iter().collect()),
        Some(OperationResp::CmdFailure(failure)) => Err(failure.err_code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tp469_9_2_a_certificate_is_kept_over_restarts_until_it_is_deleted() {
    let mut story = Story::restless();
    let pem = pem(0xab);
    run(&mut story, ADD, &[("Alias", "addedCert"), ("Certificate", &pem)]).unwrap();
    let row = format!("{TABLE}1.");
    let rows = story.get(TABLE).unwrap();
    let value = |name: &str| rows[&format!("{row}{name}")].clone();
    assert_eq!((value("Alias"), value("Enable")), ("addedCert".into(), "true".into()));
    assert_eq!(value("SerialNumber"), "ab");
    assert!(value("Issuer").contains("CN=controller"), "{}", value("Issuer"));
    let of_agent = story.get("Device.LocalAgent.").unwrap();
    assert_eq!(of_agent["Device.LocalAgent.CertificateNumberOfEntries"], "1");
    let wanted = Certificate::from_pem(&pem).unwrap();
    for algorithm in of_agent["Device.LocalAgent.SupportedFingerprintAlgorithms"].split(',') {
        let command = format!("{row}GetFingerprint()");
        let told = run(&mut story, &command, &[("FingerprintAlgorithm", algorithm)]).unwrap();
        assert_eq!(Some(told["Fingerprint"].clone()), wanted.fingerprint(algorithm), "{algorithm}");
    }
    story.ask(set(&row, &[("Enable", "false")])).unwrap();
    assert_eq!(story.get(&row).unwrap()[&format!("{row}Enable")], "false");
    run(&mut story, &format!("{row}Delete()"), &[]).unwrap();
    assert!(story.get(TABLE).unwrap().is_empty());
    assert!(!story.stored.keys().any(|(_, key)| key.contains("Certificate")), "its bytes are kept");
}

#[test]
fn r_opr_5_what_is_no_certificate_is_refused_and_nothing_is_kept() {
    let mut story = Story::begin();
    let key = KeyPair::generate().unwrap().serialize_pem();
    let long = format!("-----BEGIN CERTIFICATE-----\n{}", "A".repeat(70_000));
    for (text, alias) in
        [("garbage", "a"), (key.as_str(), "a"), (&(pem(1) + &pem(2)), "a"), (&long, "a"), (&pem(1), "1")]
    {
        let refused = run(&mut story, ADD, &[("Certificate", text), ("Alias", alias)]);
        assert_eq!(refused, Err(ErrorCode::INVALID_COMMAND_ARGUMENTS.0), "{}", &text[..7]);
    }
    assert_eq!(run(&mut story, ADD, &[]), Err(ErrorCode::INVALID_COMMAND_ARGUMENTS.0));
    assert!(story.get(TABLE).unwrap().is_empty());
}

#[test]
fn tr181_addcertificate_issuer_with_serial_number_and_alias_are_there_once() {
    let mut story = Story::begin();
    run(&mut story, ADD, &[("Certificate", &pem(1)), ("Alias", "one")]).unwrap();
    let failure = Err(ErrorCode::COMMAND_FAILURE.0);
    assert_eq!(run(&mut story, ADD, &[("Certificate", &pem(1))]), failure, "another key, the same names");
    assert_eq!(run(&mut story, ADD, &[("Certificate", &pem(2)), ("Alias", "one")]), failure);
    run(&mut story, ADD, &[("Certificate", &pem(2))]).unwrap();
    run(&mut story, &format!("{TABLE}1.Delete()"), &[]).unwrap();
    run(&mut story, ADD, &[("Certificate", &pem(1)), ("Alias", "one")]).unwrap();
}

#[test]
fn an_agent_keeps_so_many_certificates_and_no_more() {
    let mut story = Story::begin();
    for serial in 1..=32 {
        run(&mut story, ADD, &[("Certificate", &pem(serial))]).unwrap();
    }
    assert_eq!(run(&mut story, ADD, &[("Certificate", &pem(33))]), Err(ErrorCode::RESOURCES_EXCEEDED.0));
    run(&mut story, &format!("{TABLE}7.Delete()"), &[]).unwrap();
    run(&mut story, ADD, &[("Certificate", &pem(33))]).unwrap();
}

#[test]
fn rows_of_certificates_come_and_go_by_commands_alone_and_by_those_who_may() {
    let mut story = Story::begin();
    assert!(story.ask(add(TABLE, &[])).is_err());
    run(&mut story, ADD, &[("Certificate", &pem(1))]).unwrap();
    let paths = vec![format!("{TABLE}1.")];
    let delete = Request::Delete(message::Delete { allow_partial: false, obj_paths: paths });
    assert!(story.ask(delete).is_err());
    assert!(story.ask(set(&format!("{TABLE}1."), &[("Issuer", "CN=x")])).is_err());
    let Ok(Response::OperateResp(resp)) =
        story.ask_as(&reader(), operate(&format!("{TABLE}1.Delete()"), &[]))
    else {
        panic!("no OperateResp")
    };
    let result = resp.operation_results[0].operation_resp.clone();
    assert!(matches!(result, Some(OperationResp::CmdFailure(it)) if it.err_code == 7_006));
    let unknown =
        run(&mut story, &format!("{TABLE}1.GetFingerprint()"), &[("FingerprintAlgorithm", "SHA-1")]);
    assert_eq!(unknown, Err(ErrorCode::INVALID_COMMAND_ARGUMENTS.0));
    assert!(!story.get(TABLE).unwrap().is_empty());
}

const CONTROLLER_1: &str = "Device.LocalAgent.Controller.1.";
const CREDENTIALS: &str = "Device.LocalAgent.ControllerTrust.Credential.";
const ROLE: &str = "Device.LocalAgent.ControllerTrust.Role.";

fn der(pem: &str) -> Bytes {
    Certificate::from_pem(pem).unwrap().der().clone()
}

/// What somebody has shown: certificates from its own to the CA.
fn path(pems: &[&str]) -> Shown {
    Shown::Path(pems.iter().map(|pem| der(pem)).collect())
}

fn keep(story: &mut Story, pem: &str, alias: &str) -> String {
    run(story, ADD, &[("Certificate", pem), ("Alias", alias)]).unwrap();
    let rows = story.get(TABLE).unwrap();
    let (name, _) = rows.iter().find(|(name, value)| name.ends_with(".Alias") && *value == alias).unwrap();
    name.trim_end_matches(".Alias").to_owned()
}

/// Whether a Get of this controller is answered.
fn is_heard(story: &mut Story, from: &EndpointId) -> bool {
    let request = message::Get { param_paths: vec!["Device.LocalAgent.EndpointID".into()], max_depth: 0 };
    let msg_id = story.send(from, Request::Get(request));
    let before = story.said.len();
    story.said.retain(|(to, message)| to != from || message.msg_id != msg_id);
    story.said.len() < before
}

#[test]
fn r_sec_4_r_sec_8_a_controller_whose_row_names_certificates_must_show_one_of_them() {
    let mut story = Story::restless();
    let (mine, other) = (pem(1), pem(2));
    let (row, second) = (keep(&mut story, &mine, "mine"), keep(&mut story, &other, "other"));
    assert!(is_heard(&mut story, &reader()));
    story.ask(set("Device.LocalAgent.Controller.2.", &[("Credential", &row)])).unwrap();
    for (shown, heard) in [
        (path(&[&mine, &pem(9)]), true),
        (path(&[&other, &mine]), false),
        (path(&[&pem(1)]), false),
        (Shown::Nothing, false),
        (Shown::Untold, true),
    ] {
        story.shown = shown.clone();
        assert_eq!(is_heard(&mut story, &reader()), heard, "{shown:?}");
    }
    assert!(story.log.iter().any(|line| line.contains("self::reader") && line.contains("certificate")));
    // Others are not concerned; more than one may be named, and one that is not enabled is none.
    story.shown = path(&[&other]);
    assert!(is_heard(&mut story, &controller()));
    let both = format!("{row},{second}");
    story.ask(set("Device.LocalAgent.Controller.2.", &[("Credential", &both)])).unwrap();
    assert!(is_heard(&mut story, &reader()));
    story.ask(set(&format!("{second}."), &[("Enable", "false")])).unwrap();
    assert!(!is_heard(&mut story, &reader()));
    // What is deleted is named no more.
    run(&mut story, &format!("{second}.Delete()"), &[]).unwrap();
    let named = story.get("Device.LocalAgent.Controller.2.Credential").unwrap();
    assert_eq!(named["Device.LocalAgent.Controller.2.Credential"], row);
}

/// A controller without roles of its own, and what it inherits when it has shown this.
fn inherited(story: &mut Story, shown: Shown) -> String {
    story.shown = shown;
    is_heard(story, &reader());
    story.shown = Shown::Untold;
    let name = "Device.LocalAgent.Controller.2.InheritedRole";
    story.get(name).unwrap()[name].clone()
}

#[test]
fn r_sec_24_r_sec_25_the_first_credential_on_the_path_gives_its_roles() {
    let mut story = Story::restless();
    story.ask(set("Device.LocalAgent.Controller.2.", &[("AssignedRole", "")])).unwrap();
    let (ca, between, own) = (pem(1), pem(2), pem(3));
    let all = || path(&[&own, &between, &ca]);
    let (ca_row, between_row) = (keep(&mut story, &ca, "ca"), keep(&mut story, &between, "between"));
    let role = |number: u32| format!("{ROLE}{number}");
    let trust = |row: &str, role: &str, uses: &str| {
        add(CREDENTIALS, &[("Enable", "true"), ("Credential", row), ("Role", role), ("AllowedUses", uses)])
    };
    assert_eq!(inherited(&mut story, all()), "", "a certificate that is kept trusts nobody");
    let first = created(&story.ask(trust(&ca_row, &role(2), "MTP-and-USP")).unwrap());
    assert_eq!(inherited(&mut story, all()), role(2));
    // The roles are those of the last proof, for as long as there is none other.
    for other in [Shown::Untold, Shown::Nothing, path(&[&own, &between])] {
        assert_eq!(inherited(&mut story, other), "");
    }
    // It counts for what the controller may do.
    story.shown = all();
    let get = message::Get { param_paths: vec!["Device.LocalAgent.EndpointID".into()], max_depth: 0 };
    let Ok(Response::GetResp(resp)) = story.ask_as(&reader(), Request::Get(get)) else { panic!() };
    assert_eq!(resp.req_path_results[0].err_code, 0);
    // A CA for transports alone gives nothing, also not what one further on would give.
    let second = created(&story.ask(trust(&between_row, &role(1), "MTP-only")).unwrap());
    assert_eq!(inherited(&mut story, all()), "");
    story.ask(set(&second, &[("AllowedUses", "MTP-and-broker")])).unwrap();
    assert_eq!(inherited(&mut story, all()), role(1));
    story.ask(set(&second, &[("Enable", "false")])).unwrap();
    assert_eq!(inherited(&mut story, all()), role(2));
    story.ask(set(&first, &[("Role", &format!("{},{}", role(1), role(2)))])).unwrap();
    assert_eq!(inherited(&mut story, all()), format!("{},{}", role(1), role(2)));
    assert!(story.ask(trust(&ca_row, &role(1), "MTP-only")).is_err(), "a certificate has one credential");
    assert!(story.ask(set("Device.LocalAgent.Controller.2.", &[("InheritedRole", &role(1))])).is_err());
}

#[test]
fn a_role_is_lost_as_soon_as_nobody_vouches_for_it() {
    let mut story = Story::begin();
    story.ask(set("Device.LocalAgent.Controller.2.", &[("AssignedRole", "")])).unwrap();
    let ca = pem(1);
    let row = keep(&mut story, &ca, "ca");
    let settings = [
        ("Enable", "true"),
        ("Credential", row.as_str()),
        ("Role", &format!("{ROLE}2")),
        ("AllowedUses", "MTP-and-USP"),
    ];
    let credential = created(&story.ask(add(CREDENTIALS, &settings)).unwrap());
    let name = "Device.LocalAgent.Controller.2.InheritedRole";
    let role = |story: &mut Story| story.get(name).unwrap()[name].clone();
    assert_ne!(inherited(&mut story, path(&[&ca])), "");
    // The gateway's restart is no news to the controller.
    story.restart();
    assert_ne!(role(&mut story), "");
    story.ask(set(&credential, &[("Enable", "false")])).unwrap();
    assert_eq!(role(&mut story), "");
    story.ask(set(&credential, &[("Enable", "true")])).unwrap();
    assert_ne!(inherited(&mut story, path(&[&ca])), "");
    run(&mut story, &format!("{row}.Delete()"), &[]).unwrap();
    assert_eq!(role(&mut story), "");
    let named = story.get(&format!("{credential}Credential")).unwrap();
    assert_eq!(named[&format!("{credential}Credential")], "");
}

#[test]
fn tr181_addmycertificate_is_for_the_controller_of_the_row_and_for_its_own_certificate() {
    let mut story = Story::begin();
    let of = |name: &str| {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        let uri = format!("urn:bbf:usp:id:{name}");
        params.subject_alt_names.push(rcgen::SanType::URI(uri.as_str().try_into().unwrap()));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    };
    let command = |row: &str| format!("{row}AddMyCertificate()");
    let (mine, foreign) = (of("self::ctl"), of("self::reader"));
    let denied = run(&mut story, &command("Device.LocalAgent.Controller.2."), &[("Certificate", &mine)]);
    assert_eq!(denied, Err(ErrorCode::PERMISSION_DENIED.0));
    let wrong = run(&mut story, &command(CONTROLLER_1), &[("Certificate", &foreign)]);
    assert_eq!(wrong, Err(ErrorCode::INVALID_COMMAND_ARGUMENTS.0));
    assert!(story.get(TABLE).unwrap().is_empty());
    run(&mut story, &command(CONTROLLER_1), &[("Certificate", &mine), ("Alias", "mine")]).unwrap();
    let named = story.get(&format!("{CONTROLLER_1}Credential")).unwrap();
    let row = named[&format!("{CONTROLLER_1}Credential")].clone();
    assert_eq!(story.get(&format!("{row}.")).unwrap()[&format!("{row}.Alias")], "mine");
    story.shown = path(&[&foreign]);
    assert!(!is_heard(&mut story, &controller()));
    story.shown = path(&[&mine]);
    assert!(is_heard(&mut story, &controller()));
}

/// What an operator says in the configuration: a CA whose controllers may read, and who must show what.
fn configured(ca: &str, own: &str) -> Story {
    let certificate = |instance, pem: &str| CertificateConfig {
        instance,
        certificate: Certificate::from_pem(pem).unwrap(),
    };
    let credential = CredentialConfig {
        instance: 1,
        certificate: 0,
        roles: vec![READ_ONLY.into()],
        allowed_uses: "MTP-and-USP".into(),
    };
    let mtp = || ControllerMtp::Mqtt { client: 0, topic: "usp/controller".into() };
    let known = |instance, endpoint_id, role: Option<&str>, certificates| ControllerConfig {
        instance,
        pinned: true,
        endpoint_id,
        roles: role.into_iter().map(str::to_owned).collect(),
        onboard: true,
        certificates,
        mtp: mtp(),
    };
    let controllers =
        vec![known(1, controller(), Some(FULL_ACCESS), vec![]), known(2, reader(), None, vec![1])];
    let settings = AgentConfig {
        certificates: vec![certificate(1, ca), certificate(2, own)],
        credentials: vec![credential],
        fresh_ms: 10_000,
        payload_security: true,
        ..AgentConfig::default()
    };
    let mut story = Story::known_to(controllers, settings, Bench::new(MODEL));
    story.session();
    story.session();
    story.said.clear();
    story
}

#[test]
fn r_sec_24_what_the_configuration_says_of_certificates_holds_for_every_agent() {
    let (ca, own) = (pem(1), pem(2));
    let mut story = configured(&ca, &own);
    story.restless = true;
    let role = "Device.LocalAgent.Controller.2.InheritedRole";
    for (shown, inherits) in [
        (path(&[&own, &ca]), format!("{ROLE}2")),
        (path(&[&own]), String::new()),
        (Shown::Untold, String::new()),
    ] {
        story.shown = shown;
        assert!(is_heard(&mut story, &reader()));
        story.shown = Shown::Untold;
        assert_eq!(story.get(role).unwrap()[role], inherits);
    }
    story.shown = path(&[&pem(3), &ca]);
    assert!(!is_heard(&mut story, &reader()));
    story.shown = Shown::Untold;
    // What the operator gives is not stored; that a controller takes it away is.
    assert!(!story.stored.keys().any(|(_, key)| key.contains("LocalAgent.Certificate")));
    run(&mut story, &format!("{TABLE}1.Delete()"), &[]).unwrap();
    assert!(!story.get(TABLE).unwrap().contains_key(&format!("{TABLE}1.Issuer")));
    story.shown = path(&[&own, &ca]);
    assert!(is_heard(&mut story, &reader()));
    story.shown = Shown::Untold;
    assert_eq!(story.get(role).unwrap()[role], "");
    // Controllers' own come after room for the operator's.
    assert_eq!(keep(&mut story, &pem(5), "later"), format!("{TABLE}101"));
}

#[test]
fn a_device_at_rest_answers_nobody_whose_certificate_is_the_agents_to_judge() {
    let (ca, own) = (pem(1), pem(2));
    let story = configured(&ca, &own);
    let to = story.cpe.id().endpoint_id();
    let get = message::Get { param_paths: vec!["Device.WiFi.SSID.1.SSID".into()], max_depth: 0 };
    let message = Message::request("q", Request::Get(get)).encode();
    let asks = |from: &EndpointId, shown: &Shown| {
        let record = Record::plain(from, &to, message.clone()).encode();
        Question::of(&to, &story.config, &record, shown).is_some()
    };
    assert!(asks(&controller(), &Shown::Untold) && asks(&reader(), &Shown::Untold));
    for shown in [path(&[&pem(9)]), Shown::Nothing] {
        assert!(!asks(&reader(), &shown) && !asks(&controller(), &shown), "{shown:?}");
    }
}

/// TLS that only turns bits, on one side of a context.
#[derive(Default)]
struct Veil {
    client: bool,
}

impl Veil {
    fn answer(&mut self, request: Secure, peer_shows: &Shown) -> Option<Secured> {
        let turned = |bytes: &Bytes| -> Bytes { bytes.iter().map(|byte| !byte).collect() };
        let hello = Bytes::from_static(b"hello");
        let mut secured = Secured::default();
        match request {
            Secure::Start { client } => {
                self.client = client;
                secured.send.extend(client.then_some(hello));
            }
            Secure::Take(bytes) if bytes == hello => {
                secured.send.extend((!self.client).then_some(hello));
                secured.up = Some(MacKeys::new(&[7; KEYING_MATERIAL]));
                secured.shown = peer_shows.clone();
            }
            Secure::Take(bytes) => secured.plain = turned(&bytes),
            Secure::Protect(bytes) => secured.send.push(turned(&bytes)),
            Secure::End => return None,
        }
        Some(secured)
    }
}

/// A controller's end of a context with payload security, and the agent's TLS.
struct Veiled {
    session: session::Session,
    own: Veil,
    agents: Veil,
    /// What the controller shows in the handshake.
    shows: Shown,
    got: Vec<Message>,
}

impl Veiled {
    fn of(story: &Story, shows: Shown) -> Self {
        let session =
            session::Session::new(reader(), story.cpe.id().endpoint_id(), session::Role::Controller);
        Self { session, own: Veil::default(), agents: Veil::default(), shows, got: Vec::new() }
    }

    /// Whether a request in the context is answered.
    fn is_heard(&mut self, story: &mut Story) -> bool {
        let get = message::Get { param_paths: vec!["Device.LocalAgent.EndpointID".into()], max_depth: 0 };
        let message = Message::request("veiled", Request::Get(get)).encode();
        self.drive(story, session::Input::Send(message));
        self.got.drain(..).any(|message| message.msg_id == "veiled")
    }

    fn drive(&mut self, story: &mut Story, input: session::Input) {
        let policy = session::Policy { security: PayloadSecurity::Tls12, ..session::Policy::default() };
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            let env = session::Env { now: story.now, seed: story.now * 77, policy: &policy };
            self.session.handle(&env, input, &mut out);
            for output in out {
                match output {
                    session::Output::Send(record) => story.record(record.encode()),
                    session::Output::Message(message) => self.got.push(Message::decode(message).unwrap()),
                    session::Output::Secure { session_id, request } => {
                        let secured = self.own.answer(request, &Shown::Untold);
                        inputs.extend(secured.map(|it| session::Input::Secured { session_id, secured: it }));
                    }
                    session::Output::Ended { .. } => {}
                }
            }
            while let Some((controller, session_id, request)) = story.secures.pop() {
                if let Some(secured) = self.agents.answer(request, &self.shows) {
                    story.handle(Input::Secured { controller, session_id, secured });
                }
            }
            inputs.extend(story.records.drain(..).map(|record| {
                let sealed = !record.mac_signature.is_empty();
                let integrity = if sealed { Integrity::Unproven } else { Integrity::Trusted };
                session::Input::Received { record, integrity }
            }));
        }
    }
}

#[test]
fn r_sec_4_r_sec_24_a_handshake_within_records_counts_for_its_context_and_a_record_for_itself() {
    let (ca, own) = (pem(1), pem(2));
    let mut story = configured(&ca, &own);
    let role = "Device.LocalAgent.Controller.2.InheritedRole";
    let inherited = |story: &Story| story.agent.local.tree().value(role).unwrap().to_owned();
    let mut stranger = Veiled::of(&story, path(&[&pem(9), &ca]));
    assert!(!stranger.is_heard(&mut story), "another certificate than that of its row");
    assert!(story.log.iter().any(|line| line.contains("refused TLS of self::reader")), "{:?}", story.log);
    assert_eq!(inherited(&story), "");
    let mut story = configured(&ca, &own);
    let mut known = Veiled::of(&story, path(&[&own, &ca]));
    assert!(known.is_heard(&mut story));
    assert_eq!(inherited(&story), format!("{ROLE}2"));
    // What comes through the broker beside the context has the broker's word alone.
    assert!(is_heard(&mut story, &reader()));
    assert_eq!(inherited(&story), "");
    assert!(known.is_heard(&mut story));
    assert_eq!(inherited(&story), format!("{ROLE}2"));
    // A record about the transport asks for nothing.
    let to = story.cpe.id().endpoint_id();
    story.record(Record::of(&reader(), &to, Payload::WebSocketConnect).encode());
    assert_eq!(inherited(&story), format!("{ROLE}2"));
}

#[test]
fn r_sec_23_agents_go_to_a_controller_that_must_show_a_certificate_only_where_it_does() {
    let egress = Arc::new(crate::policy::Egress::of(["wss://ws.example/usp"]).unwrap());
    let mut story = Story::with(AgentConfig { egress, ..AgentConfig::default() });
    story.session();
    story.session();
    let table = format!("{CONTROLLER_1}MTP.");
    let row = story.ask(add(&table, &[("Protocol", "WebSocket"), ("Enable", "true")])).unwrap();
    let way = [("Host", "ws.example"), ("Port", "443"), ("Path", "usp"), ("EnableEncryption", "true")];
    story.ask(set(&format!("{}WebSocket.", created(&row)), &way)).unwrap();
    let must_show = |story: &Story| story.met.last().unwrap().clone().unwrap().websocket[0].must_show.clone();
    assert_eq!(must_show(&story), None);
    let mine = pem(1);
    let row = keep(&mut story, &mine, "mine");
    let der = Certificate::from_pem(&mine).unwrap().der().clone();
    for (object, name, value, wanted) in [
        (CONTROLLER_1, "Credential", row.as_str(), Some(vec![der])),
        (&format!("{row}."), "Enable", "false", Some(Vec::new())),
        (CONTROLLER_1, "Credential", "", None),
    ] {
        story.ask(set(object, &[(name, value)])).unwrap();
        assert_eq!(must_show(&story), wanted, "{name} {value:?}");
    }
}
