//! Topics that agents give, and the topic for answers that MQTT 3.1.1 puts into a topic (R-MQTT.24, 25).

/// A topic that tells the receiver where answers go.
pub(super) fn with_reply_to(topic: &str, own: &str) -> String {
    format!("{topic}{REPLY_TO}{}", own.replace('/', "%2F"))
}

/// Where the sender of a message to this topic wants its answers.
pub(super) fn reply_to(topic: &str) -> Option<String> {
    let (_, own) = topic.rsplit_once(REPLY_TO)?;
    Some(own.replace("%2F", "/").replace("%2f", "/"))
}

/// Whether one can publish to it.
pub(super) fn is_topic(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TOPIC && !text.contains(['+', '#', '\0'])
}

const REPLY_TO: &str = "/reply-to=";
/// Longest topic taken from an agent, in bytes.
const MAX_TOPIC: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_mqtt_24_the_topic_for_answers_survives_the_topic() {
        let topic = with_reply_to("usp/agent/os::1-2", "usp/controller/c");
        assert_eq!(topic, "usp/agent/os::1-2/reply-to=usp%2Fcontroller%2Fc");
        assert_eq!(reply_to(&topic).as_deref(), Some("usp/controller/c"));
        assert_eq!(reply_to("usp/controller/c"), None);
        assert!(!is_topic("usp/+"));
    }
}
