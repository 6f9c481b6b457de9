//! Topics of agents and what `reply-to` says about them.

use crate::identity::EndpointId;
use crate::transport::mqtt::Version;

use super::config::{MqttConfig, Sharing};

/// Where agents of one connection are reached: `<prefix>/<endpoint id>`. Endpoint ids hold no character
/// that means something in a topic.
pub(super) fn agent_topic(prefix: &str, agent: &EndpointId) -> String {
    format!("{prefix}/{agent}")
}

/// The filter by which an agent on a shared connection is reached, in the form of its own objects.
pub(super) fn agent_filter(config: &MqttConfig, agent: &EndpointId) -> String {
    let share = match config.sharing {
        Sharing::Shared(count) => format!("/{}", agent.share_of(count)),
        Sharing::PerAgent => String::new(),
    };
    let topic = agent_topic(&format!("{}{share}", config.topic_prefix), agent);
    if config.version == Version::V311 { format!("{topic}/#") } else { topic }
}

/// Whether a topic stands below another one.
pub(super) fn is_below(prefix: &str, topic: &str) -> bool {
    !prefix.is_empty() && topic.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

/// The agent that a topic of ours names.
pub(super) fn agent_of(prefix: &str, topic: &str) -> Option<EndpointId> {
    let rest = topic.strip_prefix(prefix)?.strip_prefix('/')?;
    EndpointId::parse(rest.split('/').next()?).ok()
}

/// A topic with the sender's own for answers, as MQTT 3.1.1 has it (R-MQTT.24).
pub(super) fn with_reply_to(topic: &str, reply_to: &str) -> String {
    format!("{topic}/reply-to={}", reply_to.replace('/', "%2F"))
}

/// The topic for answers that a topic carries (R-MQTT.25).
pub(super) fn reply_to(topic: &str) -> Option<String> {
    let (_, encoded) = topic.rsplit_once("/reply-to=")?;
    Some(encoded.replace("%2F", "/").replace("%2f", "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_found_by_their_topics() {
        let agent = EndpointId::parse("ops::00256D-HG%20100-S1").unwrap();
        let topic = agent_topic("usp/a/3", &agent);
        assert_eq!(topic, "usp/a/3/ops::00256D-HG%20100-S1");
        assert_eq!(agent_of("usp/a/3", &topic), Some(agent.clone()));
        assert_eq!(agent_of("usp/a/3", &with_reply_to(&topic, "ctl/1")), Some(agent));
        assert_eq!(agent_of("usp/a/3", "usp/a/33/x"), None);
    }

    #[test]
    fn r_mqtt_24_r_mqtt_25_reply_to_survives_the_topic() {
        let topic = with_reply_to("usp/agent/x", "usp/controller/y");
        assert_eq!(topic, "usp/agent/x/reply-to=usp%2Fcontroller%2Fy");
        assert_eq!(reply_to(&topic).as_deref(), Some("usp/controller/y"));
        assert_eq!(reply_to("usp/agent/x"), None);
    }
}
