//! What an agent must have in its data model for a transport: TP-469 6.1 and 11.1.

use crate::conformance::check::Verdict;
use crate::conformance::expect::{ensure, fail};
use crate::conformance::messages::Lists;
use crate::conformance::session::Session;
use crate::conformance::supported::Model;

/// The parameters of STOMP that the plan names.
pub(super) const STOMP: &[(&str, &[&str])] = &[
    ("Device.LocalAgent.Controller.{i}.MTP.{i}.STOMP.", &["Reference", "Destination"]),
    ("Device.STOMP.", &["ConnectionNumberOfEntries"]),
    (
        "Device.STOMP.Connection.{i}.",
        &[
            "Alias",
            "Enable",
            "Status",
            "Host",
            "Port",
            "VirtualHost",
            "ServerRetryInitialInterval",
            "ServerRetryIntervalMultiplier",
            "ServerRetryMaxInterval",
        ],
    ),
];

/// The parameters of the profiles MQTTClientCon:1, MQTTClientSubscribe:1, MQTTAgent:1 and MQTTController:1.
pub(super) const MQTT: &[(&str, &[&str])] = &[
    ("Device.MQTT.", &["ClientNumberOfEntries"]),
    ("Device.MQTT.Capabilities.", &["ProtocolVersionsSupported", "TransportProtocolSupported"]),
    (
        "Device.MQTT.Client.{i}.",
        &[
            "Enable",
            "Status",
            "ProtocolVersion",
            "BrokerAddress",
            "BrokerPort",
            "CleanSession",
            "KeepAliveTime",
            "Name",
            "ClientID",
            "Username",
            "Password",
            "TransportProtocol",
            "ConnectRetryTime",
            "ConnectRetryIntervalMultiplier",
            "ConnectRetryMaxInterval",
            "ResponseInformation",
            "SubscriptionNumberOfEntries",
        ],
    ),
    (
        "Device.MQTT.Client.{i}.Stats.",
        &["BrokerConnectionEstablished", "MQTTMessagesSent", "MQTTMessagesReceived", "ConnectionErrors"],
    ),
    ("Device.MQTT.Client.{i}.Subscription.{i}.", &["Topic", "QoS", "Enable"]),
    ("Device.LocalAgent.MTP.{i}.MQTT.", &["Reference", "ResponseTopicConfigured", "ResponseTopicDiscovered"]),
    ("Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.", &["Topic"]),
];

/// Asks for the objects of a transport, and fails for what is not there.
pub(super) async fn complete(session: &mut Session, root: &str, wanted: &[(&str, &[&str])]) -> Verdict {
    let lists = Lists { params: true, ..Lists::NONE };
    let response = session.supported_dm(&[root, "Device.LocalAgent."], false, lists).await?;
    if let Some(result) = response.req_obj_results.iter().find(|result| result.err_code != 0) {
        return fail(format!(
            "{} is not supported: {} {}",
            result.req_obj_path, result.err_code, result.err_msg
        ));
    }
    let model = Model::of(&response);
    let names =
        wanted.iter().flat_map(|(object, names)| names.iter().map(move |name| format!("{object}{name}")));
    let missing: Vec<String> = names.filter(|path| !model.has(path)).collect();
    ensure(missing.is_empty(), || format!("not supported is {}", missing.join(", ")))
}
