//! The certificates that an agent keeps of controllers and CAs.

use rcgen::{CertificateParams, DnType, KeyPair, SerialNumber};

use super::*;
use crate::usp::Certificate;
use crate::usp::message::operate_resp::operation_result::OperationResp;

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
