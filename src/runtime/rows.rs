//! Which row of an agent's tables each controller, role and broker of the configuration has.
//!
//! Agents remember rows by their numbers: a subscription's recipient, a controller's roles. So a number stays
//! with its name for good, whatever is removed from the configuration or put in another order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::AgentConfig;
use crate::durable::{Change, Kind};
use crate::store::{Store, StoreError};

/// The numbers that were given so far, as they are stored: JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    format: u32,
    controllers: BTreeMap<String, u32>,
    roles: BTreeMap<String, u32>,
    /// Certificates and what they vouch for, by fingerprint.
    #[serde(default)]
    certificates: BTreeMap<String, u32>,
    #[serde(default)]
    credentials: BTreeMap<String, u32>,
    /// Brokers, by the names of their tables.
    #[serde(default)]
    mqtt: BTreeMap<String, u32>,
    #[serde(default)]
    stomp: BTreeMap<String, u32>,
    /// Rows of `Device.LocalAgent.MTP.`, by protocol and name.
    #[serde(default)]
    mtps: BTreeMap<String, u32>,
}

/// Gives everything that has a row its number; those with `pinned` numbers in the configuration have these.
pub async fn number_rows<S: Store>(agent: &mut AgentConfig, store: &S) -> Result<(), StoreError> {
    let stored = store.load_fleet().await?.into_iter().find(|entry| entry.kind == Kind::Rows);
    let known = stored.and_then(|entry| serde_json::from_slice::<Given>(&entry.value).ok());
    let known = known.filter(|given| given.format == FORMAT);
    let mut given = known.clone().unwrap_or(Given {
        format: FORMAT,
        controllers: BTreeMap::new(),
        roles: BTreeMap::new(),
        certificates: BTreeMap::new(),
        credentials: BTreeMap::new(),
        mqtt: BTreeMap::new(),
        stomp: BTreeMap::new(),
        mtps: BTreeMap::new(),
    });
    let controllers = agent.controllers.iter_mut();
    let controllers = controllers.map(|it| (it.endpoint_id.to_string(), it.pinned, &mut it.instance));
    assign(controllers.collect(), &mut given.controllers);
    let roles = agent.roles.iter_mut().map(|it| (it.name.clone(), it.pinned, &mut it.instance));
    assign(roles.collect(), &mut given.roles);
    let fingerprints: Vec<String> = agent.certificates.iter().map(|it| it.fingerprint()).collect();
    let certificates = fingerprints.iter().cloned().zip(&mut agent.certificates);
    let certificates = certificates.map(|(name, it)| (name, false, &mut it.instance));
    assign(certificates.collect(), &mut given.certificates);
    let of = |place: usize| fingerprints.get(place).cloned().unwrap_or_default();
    let credentials = agent.credentials.iter_mut();
    let credentials = credentials.map(|it| (of(it.certificate), false, &mut it.instance));
    assign(credentials.collect(), &mut given.credentials);
    let mqtt = agent.mqtt.iter_mut().map(|it| (it.name.clone(), false, &mut it.instance));
    assign(mqtt.collect(), &mut given.mqtt);
    let stomp = agent.stomp.iter_mut().map(|it| (it.name.clone(), false, &mut it.instance));
    assign(stomp.collect(), &mut given.stomp);
    let mqtt = agent.mqtt.iter_mut().map(|it| (format!("mqtt.{}", it.name), false, &mut it.mtp));
    let stomp = agent.stomp.iter_mut().map(|it| (format!("stomp.{}", it.name), false, &mut it.mtp));
    let listener = agent.listener.iter_mut().map(|it| ("websocket_server".to_owned(), false, &mut it.mtp));
    assign(mqtt.chain(stomp).chain(listener).collect(), &mut given.mtps);
    if known.as_ref() != Some(&given) {
        let value = serde_json::to_vec(&given).unwrap_or_default();
        store.commit_fleet(vec![Change::put(Kind::Rows, "", value)]).await?;
    }
    Ok(())
}

/// A name, whether its number stands in the configuration, and the number.
type Row<'r> = (String, bool, &'r mut u32);

fn assign(mut rows: Vec<Row<'_>>, given: &mut BTreeMap<String, u32>) {
    for (name, pinned, number) in &mut rows {
        if *pinned {
            // Whoever had it gets another.
            given.retain(|_, known| *known != **number);
            given.insert(name.clone(), **number);
        }
    }
    for (name, _, number) in rows.iter_mut().filter(|(_, pinned, _)| !pinned) {
        let fresh = || {
            let free = |candidate: &u32| !given.values().any(|known| known == candidate);
            (1..=LAST).find(free)
        };
        **number = match given.get(name) {
            Some(known) => *known,
            // All numbers were given once: those of names that are gone would have to be used again, which
            // only happens after a hundred controllers; then the order of the file decides.
            None => fresh().unwrap_or(**number),
        };
        given.insert(name.clone(), **number);
    }
}

const FORMAT: u32 = 1;
/// Higher numbers are given by agents to the rows that controllers add.
const LAST: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{CertificateConfig, CredentialConfig};
    use crate::config::Settings;
    use crate::store::{Embedded, EmbeddedConfig};

    fn numbers(names: &[(&str, Option<u32>)], given: &mut BTreeMap<String, u32>) -> Vec<u32> {
        let mut numbers: Vec<u32> = (1..).zip(names).map(|(place, (_, pin))| pin.unwrap_or(place)).collect();
        let rows = names
            .iter()
            .zip(&mut numbers)
            .map(|((name, pin), number)| ((*name).to_owned(), pin.is_some(), number));
        assign(rows.collect(), given);
        numbers
    }

    #[test]
    fn a_number_stays_with_its_controller_whatever_becomes_of_the_others() {
        let mut given = BTreeMap::new();
        assert_eq!(numbers(&[("a", None), ("b", None)], &mut given), [1, 2]);
        assert_eq!(numbers(&[("b", None)], &mut given), [2], "b would get what a's subscriptions are for");
        assert_eq!(numbers(&[("c", None), ("b", None)], &mut given), [3, 2]);
        assert_eq!(numbers(&[("b", None), ("a", None)], &mut given), [2, 1], "a is who it was");
    }

    #[test]
    fn a_number_in_the_configuration_is_taken_from_whoever_has_it() {
        let mut given = BTreeMap::new();
        numbers(&[("a", None), ("b", None)], &mut given);
        assert_eq!(numbers(&[("a", None), ("c", Some(1))], &mut given), [3, 1]);
        assert_eq!(numbers(&[("a", None), ("c", None)], &mut given), [3, 1]);
    }

    #[tokio::test]
    async fn a_certificate_that_is_put_before_others_takes_nobodys_row() {
        let folder = std::env::temp_dir().join(format!("dragoman-certificate-rows-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Embedded::open(&EmbeddedConfig { file: folder.join("d.db"), key_file: None }).unwrap();
        let certificate = || {
            let made = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).unwrap();
            crate::usp::Certificate::from_der(made.cert.der()).unwrap()
        };
        let (a, b) = (certificate(), certificate());
        let agent = |certificates: &[&crate::usp::Certificate]| {
            let known = (1..).zip(certificates);
            let known =
                known.map(|(instance, it)| CertificateConfig { instance, certificate: (*it).clone() });
            let credentials = (1..).zip(0..certificates.len()).map(|(instance, certificate)| {
                CredentialConfig { instance, certificate, roles: Vec::new(), allowed_uses: "MTP-only".into() }
            });
            let (certificates, credentials) = (known.collect(), credentials.collect());
            AgentConfig { certificates, credentials, ..AgentConfig::default() }
        };
        let rows = |agent: &AgentConfig| {
            let certificates = agent.certificates.iter().map(|it| it.instance);
            (
                certificates.collect::<Vec<_>>(),
                agent.credentials.iter().map(|it| it.instance).collect::<Vec<_>>(),
            )
        };
        let mut first = agent(&[&b]);
        number_rows(&mut first, &store).await.unwrap();
        assert_eq!(rows(&first), (vec![1], vec![1]));
        let mut second = agent(&[&a, &b]);
        number_rows(&mut second, &store).await.unwrap();
        assert_eq!(rows(&second), (vec![2, 1], vec![2, 1]));
        let _ = std::fs::remove_dir_all(folder);
    }

    #[tokio::test]
    async fn a_broker_that_is_put_before_others_takes_nobodys_row() {
        let folder = std::env::temp_dir().join(format!("dragoman-rows-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = Embedded::open(&EmbeddedConfig { file: folder.join("d.db"), key_file: None }).unwrap();
        let settings = |tables: &str| {
            let text = format!("[cwmp]\nlisten = \"127.0.0.1:0\"\n[store]\nfile = \"x\"\n{tables}");
            Settings::parse(std::path::Path::new("x.toml"), &text).unwrap().agent
        };
        let (b, a) = ("[mqtt.b]\nbroker = \"mqtt://b\"\n", "[mqtt.a]\nbroker = \"mqtt://a\"\n");
        let stomp = "[stomp.s]\nbroker = \"stomp://s\"\nusername = \"u\"\npassword = \"p\"\n";
        let rows = |agent: &AgentConfig| {
            let mqtt = agent.mqtt.iter().map(|it| (it.name.clone(), it.instance, it.mtp));
            let stomp = agent.stomp.iter().map(|it| (it.name.clone(), it.instance, it.mtp));
            mqtt.chain(stomp).collect::<Vec<_>>()
        };
        let mut agent = settings(&format!("{b}{stomp}"));
        number_rows(&mut agent, &store).await.unwrap();
        assert_eq!(rows(&agent), [("b".into(), 1, 1), ("s".into(), 1, 2)]);
        let mut agent = settings(&format!("{a}{b}{stomp}"));
        number_rows(&mut agent, &store).await.unwrap();
        assert_eq!(rows(&agent), [("a".into(), 2, 3), ("b".into(), 1, 1), ("s".into(), 1, 2)]);
        let _ = std::fs::remove_dir_all(folder);
    }
}
