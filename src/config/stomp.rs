//! `[stomp.NAME]` as meant: what connections are made of, and what controllers may read of them.

use crate::agent::StompConnection;
use crate::mtp::stomp::StompConfig;

use super::file;
use super::settings::{Refusal, client_tls, refuse, retry};
use super::values::Seconds;

pub(super) fn stomp_config(
    name: &str,
    stomp: &file::Stomp,
    controllers: &[file::Controller],
) -> Result<StompConfig, Refusal> {
    let key = format!("stomp.{name}");
    let broker = &stomp.broker.0;
    let tls = client_tls(&key, broker.tls, stomp.ca.clone(), stomp.certificate.clone(), stomp.key.clone())?;
    let login = match (&stomp.username, &stomp.password) {
        (Some(user), Some(password)) => Some((user.clone(), password.clone())),
        (None, None) if broker.tls && stomp.certificate.is_some() => None,
        // R-STOMP.3.
        (None, None) => {
            return refuse(
                format!("{key}.username"),
                "and password are needed where no client certificate is shown (stomps with certificate and key)",
            );
        }
        _ => return refuse(format!("{key}.username"), format!("and {key}.password belong together")),
    };
    let here = controllers.iter().filter_map(|controller| {
        let at = controller.stomp.as_ref().filter(|at| at.broker == name)?;
        Some((controller.endpoint_id.clone(), at.destination.clone()))
    });
    let heart_beat = |seconds: Option<Seconds>| seconds.unwrap_or(Seconds::of(30)).ms();
    Ok(StompConfig {
        host: broker.host.clone(),
        port: broker.port,
        tls: tls.filter(|_| broker.tls),
        login,
        virtual_host: Some(stomp.virtual_host.clone().unwrap_or_else(|| "/".into()))
            .filter(|it| !it.is_empty()),
        destination_prefix: stomp.destination_prefix.clone().unwrap_or_else(|| "/queue/usp.agent.".into()),
        controllers: here.collect(),
        heart_beat_ms: (
            heart_beat(stomp.outgoing_heartbeat_seconds),
            heart_beat(stomp.incoming_heartbeat_seconds),
        ),
        retry_ms: retry(stomp.retry_seconds, stomp.max_retry_seconds),
        retry_multiplier: 2_000,
        own_destination: None,
    })
}

/// What controllers may read of brokers: `Device.STOMP.Connection.{i}.`.
pub(super) fn stomp_connections<'b>(
    brokers: impl Iterator<Item = (&'b String, &'b StompConfig)>,
    mtps_before: usize,
) -> Vec<StompConnection> {
    (1..).zip(brokers).map(|it| stomp_connection(it, mtps_before)).collect()
}

fn stomp_connection(
    (place, (name, broker)): (u32, (&String, &StompConfig)),
    mtps_before: usize,
) -> StompConnection {
    StompConnection {
        instance: place,
        mtp: place + u32::try_from(mtps_before).unwrap_or(0),
        name: name.clone(),
        host: broker.host.clone(),
        port: broker.port,
        encrypted: broker.tls.is_some(),
        login: broker.login.clone(),
        virtual_host: broker.virtual_host.clone().unwrap_or_default(),
        heart_beat_ms: broker.heart_beat_ms,
        retry_ms: broker.retry_ms,
        destination_prefix: broker.destination_prefix.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Settings;

    #[test]
    fn r_stomp_3_a_stomp_broker_that_could_not_be_used_is_refused_with_what_would_be_right() {
        let with = |table: &str, controller: &str| {
            let there = "[cwmp]\nlisten = \"127.0.0.1:0\"\n[store]\nfile = \"x\"\n[stomp.a]\n";
            let controller = format!("[[controller]]\nendpoint_id = \"self::c\"\n{controller}\n");
            format!("{there}broker = \"stomp://b\"\n{table}\n{controller}")
        };
        let login = "username = \"u\"\npassword = \"p\"";
        let controller = "stomp = { broker = \"a\", destination = \"/queue/c\" }";
        let settings = Settings::parse(Path::new("x.toml"), &with(login, controller)).unwrap();
        assert_eq!(settings.stomp[0].heart_beat_ms, (30_000, 30_000));
        for (table, controller, says) in [
            ("", controller, "client certificate"),
            ("username = \"u\"", controller, "belong together"),
            (login, "", "stomp = {...}"),
            (login, &format!("{controller}\nwebsocket = {{ url = \"ws://c\" }}"), "one is enough"),
            (login, &controller.replace("\"a\"", "\"b\""), "there is: a"),
            (login, &controller.replace("/queue/c", ""), "/queue/usp.controller"),
        ] {
            let error =
                Settings::parse(Path::new("x.toml"), &with(table, controller)).err().unwrap().to_string();
            assert!(error.contains(says), "{table} {controller}: {error}");
        }
    }
}
