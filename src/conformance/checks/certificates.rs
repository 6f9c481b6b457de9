//! Certificates that agents keep: TP-469 9.2. The connection that the plan makes with the new certificate is left
//! out: to keep a certificate trusts nobody, and whom a transport trusts is its operator's to say.

use rcgen::{CertificateParams, KeyPair, SanType};
use sha2::{Digest as _, Sha256};

use crate::conformance::check::{Check, Stop, Verdict};
use crate::conformance::expect::{equal, fail, operated};
use crate::conformance::session::Session;
use crate::usp::message::operate_resp::operation_result::OperationResp;
use crate::usp::urn;

pub(super) const CHECKS: &[Check] = &[Check::conditional(
    9,
    2,
    "A certificate is added, shown and deleted",
    &[ADD, "Device.LocalAgent.Certificate.{i}.", "Device.LocalAgent.Certificate.{i}.Delete()"],
    |s| Box::pin(added_and_deleted(s)),
)];

async fn added_and_deleted(session: &mut Session) -> Verdict {
    let (pem, digest) = self_signed(session.setup.config.endpoint_id.as_str())?;
    let alias = session.name("addedCert");
    output(session, ADD, &[("Alias", &alias), ("Certificate", &pem)]).await?;
    let rows = session.read(TABLE).await?;
    let named = |(name, value): &(&String, &String)| name.ends_with(".Alias") && **value == alias;
    let Some(row) = rows.iter().find(named).map(|(name, _)| name.trim_end_matches("Alias").to_owned()) else {
        return fail(format!("no instance of {TABLE} has the Alias {alias}"));
    };
    // The row goes whatever is found of it.
    let fingerprint = fingerprint_of(session, &row, &digest).await;
    output(session, &format!("{row}Delete()"), &[]).await?;
    fingerprint?;
    let left = session.read(TABLE).await?;
    let is_gone = left.keys().all(|name| !name.starts_with(&row));
    if is_gone { Ok(()) } else { fail(format!("{row} is there after Delete()")) }
}

/// That it is the same certificate shows by its fingerprint, where the agent tells it.
async fn fingerprint_of(session: &mut Session, row: &str, digest: &str) -> Verdict {
    if !session.has(&format!("{TABLE}{{i}}.GetFingerprint()")) {
        return Ok(());
    }
    let command = format!("{row}GetFingerprint()");
    let told = output(session, &command, &[("FingerprintAlgorithm", "SHA-256")]).await?;
    let told = told.get("Fingerprint").map(|told| told.to_ascii_uppercase());
    equal("the Fingerprint", told.as_deref().unwrap_or(""), digest)
}

/// Carries a command out; gives its output arguments.
async fn output(
    session: &mut Session,
    command: &str,
    arguments: &[(&str, &str)],
) -> Result<std::collections::HashMap<String, String>, Stop> {
    let response = session.operate(command, "test92", arguments).await?;
    match operated(&response, command)? {
        OperationResp::ReqOutputArgs(args) => Ok(args.output_args.clone().into_iter().collect()),
        OperationResp::ReqObjPath(path) => Ok([("".to_owned(), path.clone())].into()),
        OperationResp::CmdFailure(failure) => {
            fail(format!("{command} fails: {} {}", failure.err_code, failure.err_msg))
        }
    }
}

/// A certificate of the controller's that nobody has seen, and its fingerprint.
fn self_signed(endpoint: &str) -> Result<(String, String), Stop> {
    let made = || -> Result<rcgen::Certificate, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.subject_alt_names.push(SanType::URI(urn(endpoint).as_str().try_into()?));
        params.self_signed(&KeyPair::generate()?)
    };
    let made =
        made().map_err(|error| Stop::NotApplicable(format!("no certificate could be made: {error}")))?;
    let digest = Sha256::digest(made.der()).iter().map(|byte| format!("{byte:02X}")).collect();
    Ok((crate::net::pem_of(made.der()), digest))
}

const ADD: &str = "Device.LocalAgent.AddCertificate()";
const TABLE: &str = "Device.LocalAgent.Certificate.";
