//! Who is subscribed to what: a tree of topic levels (MQTT 5.0 4.7).

use std::collections::HashMap;
use std::sync::Arc;

/// The tree, or a branch of it. Finding the subscribers of a topic costs as much as the topic has levels,
/// however many subscriptions there are.
#[derive(Debug, Default)]
pub(super) struct Topics {
    children: HashMap<String, Topics>,
    /// Subscribers of filters that end here, with the QoS granted.
    here: Vec<(Arc<str>, u8)>,
    /// Subscribers of filters that go on with `#`: they match here and all below.
    below: Vec<(Arc<str>, u8)>,
}

impl Topics {
    /// Subscribes a client. Subscribing again changes the QoS.
    pub fn insert(&mut self, filter: &str, client: &Arc<str>, qos: u8) {
        let slot = match filter.split_once('/') {
            _ if filter == "#" => &mut self.below,
            Some((level, rest)) => {
                return self.children.entry(level.to_owned()).or_default().insert(rest, client, qos);
            }
            None => &mut self.children.entry(filter.to_owned()).or_default().here,
        };
        match slot.iter_mut().find(|(known, _)| known == client) {
            Some((_, known)) => *known = qos,
            None => slot.push((Arc::clone(client), qos)),
        }
    }

    /// Ends a subscription; branches that nobody needs any more go with it.
    pub fn remove(&mut self, filter: &str, client: &str) {
        if filter == "#" {
            return self.below.retain(|(known, _)| &**known != client);
        }
        let (level, rest) = filter.split_once('/').map_or((filter, None), |(a, b)| (a, Some(b)));
        let Some(child) = self.children.get_mut(level) else { return };
        match rest {
            Some(rest) => child.remove(rest, client),
            None => child.here.retain(|(known, _)| &**known != client),
        }
        if child.is_empty() {
            self.children.remove(level);
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.here.is_empty() && self.below.is_empty()
    }

    /// The subscribers of a topic, each once, with the highest QoS granted to it.
    pub fn subscribers(&self, topic: &str) -> HashMap<Arc<str>, u8> {
        let mut found = HashMap::new();
        // Wildcards do not reach what the server keeps under `$` (MQTT-4.7.2-1).
        self.collect(Some(topic), !topic.starts_with('$'), &mut found);
        found
    }

    fn collect(&self, rest: Option<&str>, wild: bool, found: &mut HashMap<Arc<str>, u8>) {
        if wild {
            note(&self.below, found);
        }
        let Some(rest) = rest else { return note(&self.here, found) };
        let (level, after) = rest.split_once('/').map_or((rest, None), |(a, b)| (a, Some(b)));
        if let Some(child) = self.children.get(level) {
            child.collect(after, true, found);
        }
        if let Some(child) = self.children.get("+").filter(|_| wild) {
            child.collect(after, true, found);
        }
    }
}

fn note(subscribers: &[(Arc<str>, u8)], found: &mut HashMap<Arc<str>, u8>) {
    for (client, qos) in subscribers {
        let known = found.entry(Arc::clone(client)).or_insert(*qos);
        *known = (*known).max(*qos);
    }
}

/// Whether a text can be subscribed to.
pub(super) fn is_filter(text: &str) -> bool {
    let levels = text.split('/').count();
    let well_placed = text.split('/').enumerate().all(|(index, level)| match level {
        "#" => index + 1 == levels,
        "+" => true,
        level => !level.contains(['+', '#']),
    });
    well_placed && is_bounded(text)
}

/// Whether a text can be published to.
pub(super) fn is_topic(text: &str) -> bool {
    !text.contains(['+', '#']) && is_bounded(text)
}

fn is_bounded(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TOPIC
        && text.split('/').count() <= MAX_LEVELS
        && !text.contains('\0')
}

/// Longest topic, in bytes.
const MAX_TOPIC: usize = 2_048;
/// Levels of a topic.
const MAX_LEVELS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, topic: &str) -> bool {
        let mut topics = Topics::default();
        topics.insert(filter, &Arc::from("c"), 1);
        !topics.subscribers(topic).is_empty()
    }

    #[test]
    fn wildcards_match_what_the_standard_says() {
        for (filter, topic) in [
            ("a/b", "a/b"),
            ("a/+", "a/b"),
            ("a/+/c", "a/b/c"),
            ("+/+", "/finance"),
            ("a/#", "a"),
            ("a/#", "a/b/c"),
            ("#", "a/b"),
            ("$SYS/#", "$SYS/x"),
            ("a/", "a/"),
        ] {
            assert!(matches(filter, topic), "{filter} missed {topic}");
        }
        for (filter, topic) in
            [("a/+", "a"), ("a/+", "a/b/c"), ("a", "a/"), ("a/b", "a"), ("#", "$SYS/x"), ("+/x", "$SYS/x")]
        {
            assert!(!matches(filter, topic), "{filter} took {topic}");
        }
    }

    #[test]
    fn a_client_with_overlapping_filters_gets_one_copy_at_the_highest_qos() {
        let mut topics = Topics::default();
        let client = Arc::from("c");
        topics.insert("a/#", &client, 0);
        topics.insert("a/b", &client, 1);
        assert_eq!(topics.subscribers("a/b"), HashMap::from([(Arc::clone(&client), 1)]));
        topics.remove("a/b", "c");
        assert_eq!(topics.subscribers("a/b"), HashMap::from([(client, 0)]));
        topics.remove("a/#", "c");
        assert!(topics.is_empty(), "an empty branch stays for ever");
    }

    #[test]
    fn malformed_filters_and_topics_are_refused() {
        for filter in ["", "a/#/b", "a+", "a/b#", "#/a"] {
            assert!(!is_filter(filter), "{filter:?} passed");
        }
        assert!(is_filter("+/a/#"));
        assert!(!is_topic("a/+") && !is_topic("") && !is_topic(&"a/".repeat(100)));
    }
}
