//! Whether what the encoder writes is CWMP: every RPC with awkward contents against the schema in `xsd/`, by
//! `xmllint`, in the namespace of every version; and whether the decoder reads it back.

#![expect(clippy::unwrap_used, reason = "a test that cannot do its work must fail loudly")]

mod schema_samples;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;

use dragoman::cwmp::rpc::{
    Array, Request, Response, SetParameterAttributes, SetParameterAttributesStruct, SetParameterValuesFault,
};
use dragoman::cwmp::soap::{Envelope, Header, Limits, Message, decode, decode_charset, encode};
use schema_samples::{AWKWARD, Sample, samples};

/// Namespaces with their schemas, oldest first.
const VERSIONS: [&str; 3] = ["cwmp-1-0", "cwmp-1-1", "cwmp-1-2"];
/// RPCs that came after 1.0, with the place of their version in [`VERSIONS`].
const LATER: [(&str, usize); 7] = [
    ("GetAllQueuedTransfers", 1),
    ("AutonomousTransferComplete", 1),
    ("ScheduleDownload", 2),
    ("CancelTransfer", 2),
    ("ChangeDUState", 2),
    ("DUStateChangeComplete", 2),
    ("AutonomousDUStateChangeComplete", 2),
];

#[test]
fn every_rpc_has_a_sample_that_the_schema_judges() {
    let mut sampled: Vec<String> =
        samples().iter().filter_map(|sample| sample.request()).map(|it| it.name().to_owned()).collect();
    sampled.sort();
    sampled.dedup();
    let mut known = Request::NAMES.to_vec();
    known.sort_unstable();
    assert_eq!(sampled, known);
    let answered: Vec<String> =
        samples().iter().filter_map(|sample| sample.response()).map(|it| it.name().to_owned()).collect();
    for name in known {
        assert!(answered.contains(&format!("{name}Response")), "no sample of {name}Response");
    }
}

#[test]
fn what_is_sent_is_valid_in_the_namespace_of_every_version() {
    let folder = Folder::new("valid");
    for (index, version) in VERSIONS.iter().enumerate() {
        let files: Vec<PathBuf> = bodies(index)
            .iter()
            .map(|(name, body)| folder.write(&format!("{version}-{name}"), body))
            .collect();
        assert!(files.len() > 40, "most samples are missing in {version}");
        let (refused, complaints) = refused(version, &files);
        assert!(refused.is_empty(), "not valid in {version}:\n{complaints}");
    }
}

#[test]
fn rpcs_are_refused_in_versions_that_do_not_have_them() {
    let folder = Folder::new("early");
    let mut files = Vec::new();
    for sample in samples().into_iter().filter(|sample| since(sample.name()) > 0) {
        let name = format!("{}-{:03}", sample.label(), files.len());
        files.push(folder.write(&name, &encoded(VERSIONS[0], Header::default(), sample.message)));
    }
    let (refused, _) = refused(VERSIONS[0], &files);
    assert_eq!(refused, files);
}

#[test]
fn lightweight_notifications_are_of_1_2_and_later() {
    let folder = Folder::new("notification");
    for (version, notifications) in [(0, 0..=2), (1, 0..=2), (2, 0..=6)] {
        let attribute = |notification| SetParameterAttributesStruct {
            notification,
            access_list: Array(Vec::new()),
            ..SetParameterAttributesStruct::default()
        };
        for notification in -1..=7 {
            let list = Array(vec![attribute(notification)]);
            let request = Request::SetParameterAttributes(SetParameterAttributes { parameter_list: list });
            let body = encoded(VERSIONS[version], Header::default(), Message::Request(request));
            let file = folder.write(&format!("{version}-{notification}"), &body);
            let (refused, complaints) = refused(VERSIONS[version], &[file]);
            let valid = notifications.contains(&notification);
            assert_eq!(refused.is_empty(), valid, "{notification} in {}\n{complaints}", VERSIONS[version]);
        }
    }
}

#[test]
fn the_schema_refuses_what_cpes_refuse() {
    let folder = Folder::new("broken");
    let body = |wanted: &str| {
        let found = bodies(2).into_iter().find(|(name, _)| name.starts_with(wanted));
        String::from_utf8(found.unwrap().1).unwrap()
    };
    let mut files = Vec::new();
    for (name, from, to) in [
        ("Request-SetParameterValues-", "ParameterKey", "parameterKey"),
        ("Request-SetParameterValues-", "ParameterValueStruct>", "ParameterStruct>"),
        ("Request-SetParameterValues-", " SOAP-ENC:arrayType=", " arrayType="),
        ("Request-SetParameterValues-", "cwmp:ParameterValueStruct[", "ParameterValueStruct["),
        ("Request-SetParameterValues-", "xsi:type=\"xsd:int\">-", "xsi:type=\"xsd:unsignedInt\">-"),
        ("Request-SetParameterValues-", "xsi:type=\"xsd:int\"", "xsi:type=\"xsd:integral\""),
        ("Request-GetParameterNames-", "<NextLevel>1", "<NextLevel>TRUE"),
        ("Request-GetParameterNames-", "<NextLevel>1</NextLevel>", ""),
        ("Request-GetParameterNames-", "<cwmp:GetParameterNames>", "<cwmp:GetParameterNames x=\"1\">"),
        ("Request-ChangeDUState-", "cwmp:InstallOpStruct", "InstallOpStruct"),
        ("Request-ChangeDUState-", "cwmp:InstallOpStruct", "cwmp:OperationStruct"),
        ("Request-ChangeDUState-", "cwmp:UninstallOpStruct", "cwmp:UpdateOpStruct"),
        ("Request-ChangeDUState-", "<UUID>0", "<UUID>x"),
        ("Request-Inform-", "<OUI>", "<OUI>0"),
        ("Request-Inform-", "<MaxEnvelopes>1</MaxEnvelopes>", ""),
        ("Request-Inform-", "<CurrentTime>2", "<CurrentTime>x2"),
        ("Request-Inform-", "cwmp:ID SOAP-ENV:mustUnderstand=\"1\"", "cwmp:ID"),
        ("Request-Inform-", "cwmp:ID", "cwmp:Id"),
        ("Request-Inform-", "cwmp:UseCWMPVersion SOAP-ENV:mustUnderstand=\"1\"", "cwmp:UseCWMPVersion"),
        ("Request-TransferComplete-", "<FaultCode>9010", "<FaultCode>9013"),
        ("Request-DUStateChangeComplete-", "<FaultCode>9022", "<FaultCode>9010"),
        ("Fault", "<FaultCode>9003", "<FaultCode>03"),
        ("Fault", "CWMP fault", "a fault"),
        ("Fault", "<detail>", "<detail/><detail>"),
        ("Response-AddObjectResponse-", "<Status>", "<Status>7"),
        ("Response-RebootResponse-", "</cwmp:RebootResponse>", "<Status>0</Status></cwmp:RebootResponse>"),
        ("Response-RebootResponse-", "</SOAP-ENV:Body>", "<cwmp:Reboot/></SOAP-ENV:Body>"),
    ] {
        let sound = body(name);
        assert!(sound.contains(from), "{name} has no {from}");
        files.push(folder.write(&format!("{:02}", files.len()), sound.replace(from, to).as_bytes()));
    }
    let (refused, complaints) = refused(VERSIONS[2], &files);
    let taken: Vec<&PathBuf> = files.iter().filter(|file| !refused.contains(file)).collect();
    assert!(taken.is_empty(), "taken: {taken:?}\n{complaints}");
}

#[test]
fn what_is_sent_is_read_back_without_loss() {
    for (index, version) in VERSIONS.iter().enumerate() {
        for (name, body) in bodies(index) {
            let text = decode_charset(&body, None).unwrap();
            let mut envelope = decode(&text, &Limits::default()).unwrap();
            assert!(!matches!(
                envelope.message,
                Message::Request(Request::Unknown(_)) | Message::Response(Response::Unknown(_))
            ));
            if let Message::Fault(_) = envelope.message {
                // A fault stands in SOAP's own namespace.
                envelope.namespace = Cow::Owned(format!("urn:dslforum-org:{version}"));
            }
            let mut again = Vec::new();
            encode(&mut again, &envelope);
            assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&body), "{version} {name}");
        }
    }
}

#[test]
fn what_is_read_back_is_what_was_said() {
    let body = bodies(2).into_iter().find(|(name, _)| name.starts_with("Fault")).unwrap().1;
    let text = decode_charset(&body, None).unwrap();
    let envelope = decode(&text, &Limits::default()).unwrap();
    assert_eq!(envelope.header, header(2));
    let Message::Fault(fault) = envelope.message else { panic!("no fault") };
    let expected = SetParameterValuesFault {
        parameter_name: "Device.A".into(),
        fault_code: 9007,
        fault_string: AWKWARD.into(),
    };
    assert_eq!(fault.set_parameter_values_fault[0], expected);
}

/// All samples that a version has, each with a name of its own, in its namespace and with its headers.
fn bodies(version: usize) -> Vec<(String, Vec<u8>)> {
    let present = samples().into_iter().filter(|sample| since(sample.name()) <= version);
    let numbered = present.enumerate();
    numbered
        .map(|(number, sample)| {
            let name = format!("{}-{number:03}", sample.label());
            (name, encoded(VERSIONS[version], header(version), sample.message))
        })
        .collect()
}

fn header(version: usize) -> Header<'static> {
    let latest = version == 2;
    Header {
        id: Some(AWKWARD.into()),
        hold_requests: true,
        no_more_requests: true,
        session_timeout: latest.then_some(30),
        supported_cwmp_versions: latest.then(|| "1.0,1.1,1.2,1.3,1.4".into()),
        use_cwmp_version: latest.then(|| "1.4".into()),
    }
}

fn encoded(version: &str, header: Header<'_>, message: Message<'_>) -> Vec<u8> {
    let namespace = format!("urn:dslforum-org:{version}");
    let mut out = Vec::new();
    encode(&mut out, &Envelope::of(&namespace, header, message));
    out
}

fn since(name: &str) -> usize {
    let method = name.strip_suffix("Response").unwrap_or(name);
    LATER.iter().find(|(later, _)| *later == method).map_or(0, |(_, version)| *version)
}

/// Which files the schema refuses, and why, in one run of xmllint.
fn refused(version: &str, files: &[PathBuf]) -> (Vec<PathBuf>, String) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("xsd/{version}.xsd"));
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--nonet", "--noout", "--schema"]).arg(schema).args(files);
    let output = xmllint.output().unwrap_or_else(|error| panic!("xmllint (libxml2-utils): {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // A file of which nothing is said was not looked at: as when the schema itself is broken.
    for file in files {
        assert!(said.contains(&format!("{} ", file.display())), "{} was not judged:\n{said}", file.display());
    }
    let fails = |file: &&PathBuf| !said.contains(&format!("{} validates", file.display()));
    let complaints = said.lines().filter(|line| !line.ends_with(" validates")).take(40);
    (files.iter().filter(fails).cloned().collect(), complaints.collect::<Vec<_>>().join("\n"))
}

/// A folder of this run that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dragoman-schema-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, body: &[u8]) -> PathBuf {
        let path = self.0.join(format!("{name}.xml"));
        assert!(!path.exists(), "two files of one name");
        std::fs::write(&path, body).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Sample {
    fn request(&self) -> Option<&Request<'static>> {
        if let Message::Request(request) = &self.message { Some(request) } else { None }
    }

    fn response(&self) -> Option<&Response<'static>> {
        if let Message::Response(response) = &self.message { Some(response) } else { None }
    }

    fn name(&self) -> &str {
        match &self.message {
            Message::Request(request) => request.name(),
            Message::Response(response) => response.name(),
            Message::Fault(_) => "Fault",
        }
    }

    /// What tells the samples of different messages apart.
    fn label(&self) -> String {
        match &self.message {
            Message::Request(request) => format!("Request-{}", request.name()),
            Message::Response(response) => format!("Response-{}", response.name()),
            Message::Fault(_) => "Fault".to_owned(),
        }
    }
}
