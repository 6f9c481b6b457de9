//! Destinations of agents and controllers.

use crate::identity::EndpointId;

/// Where an agent is reached unless its broker says otherwise: `<prefix><endpoint id>`, or nowhere without a
/// prefix. What separates the two is the prefix's last character, since brokers differ in it.
pub(super) fn agent_destination(prefix: &str, agent: &EndpointId) -> String {
    if prefix.is_empty() { String::new() } else { format!("{prefix}{agent}") }
}

/// Whether a destination given by a peer can be sent to.
pub(super) fn is_destination(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_DESTINATION && !text.contains(char::is_control)
}

const MAX_DESTINATION: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_a_destination_only_with_a_prefix() {
        let agent = EndpointId::parse("ops::00256D-HG%20100-S1").unwrap();
        let destination = agent_destination("/queue/usp.agent.", &agent);
        assert_eq!(destination, "/queue/usp.agent.ops::00256D-HG%20100-S1");
        assert_eq!(agent_destination("", &agent), "");
        assert!(is_destination(&destination));
        for wrong in ["", "a\nb", "a\0b", &"x".repeat(1_025)] {
            assert!(!is_destination(wrong), "{wrong:?}");
        }
    }
}
