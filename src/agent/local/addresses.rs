//! Values that say where an agent is reached and whom it goes to: what can be meant, and what the operator
//! allows.

use crate::policy::Egress;

/// Checks a value of an object about MTPs; all others are fine here.
pub(super) fn check(object: &str, name: &str, value: &str, egress: &Egress) -> Result<(), String> {
    match (object, name) {
        ("Device.MQTT.Client.{i}.", "BrokerAddress") => host(&["mqtt", "mqtts"], value, egress),
        ("Device.STOMP.Connection.{i}.", "Host") => host(&["stomp", "stomps"], value, egress),
        ("Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.", "Host") => {
            host(&["ws", "wss"], value, egress)
        }
        ("Device.BulkData.Profile.{i}.HTTP.", "URL") => url(value, egress),
        ("Device.BulkData.Profile.{i}.HTTP.", "Compression") => one_of(value, &["None", "GZIP"]),
        ("Device.BulkData.Profile.{i}.HTTP.", "Method") => one_of(value, &["POST", "PUT"]),
        ("Device.BulkData.Profile.{i}.", "Protocol") => one_of(value, &["", "HTTP", "MQTT", "USPEventNotif"]),
        ("Device.BulkData.Profile.{i}.", "EncodingType") => one_of(value, &["", "JSON", "CSV"]),
        ("Device.MQTT.Client.{i}.", "ProtocolVersion") => one_of(value, &["3.1.1", "5.0"]),
        ("Device.MQTT.Client.{i}.", "TransportProtocol") => one_of(value, &["TCP/IP", "TLS"]),
        ("Device.LocalAgent.MTP.{i}." | "Device.LocalAgent.Controller.{i}.MTP.{i}.", "Protocol") => {
            one_of(value, &["", "MQTT", "STOMP", "WebSocket"])
        }
        ("Device.LocalAgent.MTP.{i}.MQTT.", "PublishQoS")
        | ("Device.MQTT.Client.{i}.Subscription.{i}.", "QoS") => one_of(value, &["0", "1"]),
        ("Device.LocalAgent.MTP.{i}.MQTT.", "ResponseTopicConfigured")
        | ("Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.", "Topic")
        | ("Device.BulkData.Profile.{i}.MQTT.", "PublishTopic") => topic(value),
        ("Device.MQTT.Client.{i}.Subscription.{i}.", "Topic") => filter(value),
        (_, "Destination" | "VirtualHost" | "Path" | "ClientID" | "Username" | "Password") => line(value),
        _ => Ok(()),
    }
}

/// A host that has something on it which the operator lets agents reach; whether this port of it is meant
/// shows only when all is written.
fn host(schemes: &[&str], value: &str, egress: &Egress) -> Result<(), String> {
    if value.is_empty() || egress.knows_host(schemes, value) {
        return Ok(());
    }
    let scheme = schemes.join(" or ");
    Err(format!("the operator's egress policy names no {scheme} place on host {value}"))
}

fn url(value: &str, egress: &Egress) -> Result<(), String> {
    if value.is_empty() || egress.allows_url(value) {
        return Ok(());
    }
    Err(format!("the operator's egress policy does not allow {value}"))
}

fn one_of(value: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&value) {
        return Ok(());
    }
    let known: Vec<&str> = known.iter().copied().filter(|known| !known.is_empty()).collect();
    Err(format!("'{value}' is not supported; there is {}", known.join(" and ")))
}

fn topic(value: &str) -> Result<(), String> {
    line(value)?;
    if value.len() > MAX_TOPIC {
        return Err(format!("a topic has {MAX_TOPIC} bytes at most"));
    }
    if value.contains(['+', '#']) { Err("a topic to publish to has no wildcards".into()) } else { Ok(()) }
}

/// MQTT 5.0, 4.7.1: `#` is the last level, and wildcards are whole levels.
fn filter(value: &str) -> Result<(), String> {
    line(value)?;
    let levels: Vec<&str> = value.split('/').collect();
    let is_fine = |(at, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => at + 1 == levels.len(),
        level => !level.contains(['+', '#']),
    };
    if levels.iter().enumerate().all(is_fine) {
        Ok(())
    } else {
        Err("'+' and '#' are levels of their own".into())
    }
}

/// What stands in a frame or a packet is one line.
fn line(value: &str) -> Result<(), String> {
    if value.contains(char::is_control) { Err("it has control characters".into()) } else { Ok(()) }
}

/// Longest topic, in bytes: of MQTT's 65,535 what a sensible one needs.
const MAX_TOPIC: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_the_operator_allows_and_topics_can_be_used() {
        let egress = Egress::of(["mqtts://*.example"]).unwrap();
        let client = "Device.MQTT.Client.{i}.";
        let subscription = "Device.MQTT.Client.{i}.Subscription.{i}.";
        for (object, name, value, fine) in [
            (client, "BrokerAddress", "b.example", true),
            (client, "BrokerAddress", "", true),
            (client, "BrokerAddress", "169.254.169.254", false),
            ("Device.STOMP.Connection.{i}.", "Host", "b.example", false),
            (client, "ProtocolVersion", "3.1", false),
            (client, "ClientID", "a\nb", false),
            (subscription, "QoS", "2", false),
            (subscription, "Topic", "a/+/#", true),
            (subscription, "Topic", "a/#/b", false),
            (subscription, "Topic", "a+", false),
            ("Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.", "Topic", "a/#", false),
            ("Device.LocalAgent.MTP.{i}.", "Protocol", "CoAP", false),
            ("Device.BulkData.Profile.{i}.MQTT.", "PublishTopic", "reports/+/x", false),
            ("Device.BulkData.Profile.{i}.MQTT.", "PublishTopic", &"t".repeat(1_025), false),
            ("Device.BulkData.Profile.{i}.MQTT.", "PublishTopic", "reports/x", true),
            ("Device.BulkData.Profile.{i}.", "Protocol", "MQTT", true),
            ("Device.BulkData.Profile.{i}.", "Protocol", "Streaming", false),
        ] {
            assert_eq!(check(object, name, value, &egress).is_ok(), fine, "{object}{name}={value}");
        }
        let refused = check(client, "BrokerAddress", "evil.test", &egress).unwrap_err();
        assert!(refused.contains("egress policy") && refused.contains("evil.test"), "{refused}");
    }
}
