//! The configuration as meant: what the parts of the gateway are built from.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::admin::AdminConfig;
use crate::agent::{AgentConfig, ControllerConfig, ControllerMtp, MqttClient, RoleConfig};
use crate::connection_request;
use crate::mtp::mqtt::{MqttConfig, SESSION_EXPIRY, Sharing};
use crate::mtp::stomp::StompConfig;
use crate::mtp::websocket::{ListenerConfig, WebSocketConfig};
use crate::net::{Authority, TlsClient, TlsServer};
use crate::observe::{LogFormat, RecorderConfig};
use crate::payload_security::Keyring;
use crate::policy::AcsRule;
use crate::proxy::ProxyConfig;
use crate::southbound::DoorConfig;
use crate::store::{EmbeddedConfig, SealKeys};
use crate::transport::mqtt::Version;
use crate::upstream::Acs;

use super::acs::{answer_when_down, servers};
use super::capture;
use super::certificates::{self, Known};
use super::door::{Calls, connection_requests, door};
use super::egress;
use super::error::ConfigError;
use super::file::{self, File};
use super::firmware::{self, FirmwareSettings};
use super::ownership::ownership;
use super::roles::{MAX_INSTANCE, roles, roles_of};
use super::stage::stages;
use super::stomp::{stomp_config, stomp_connections};
use super::takeover::{Taken, takeover};
use super::values::Seconds;

/// Everything that the gateway is built from.
pub struct Settings {
    pub door: DoorConfig,
    /// Each with the CPEs that it is for, in the order in which they are asked; none, if the gateway is the ACS.
    pub acs: Vec<(AcsRule, Arc<Acs>)>,
    pub store: EmbeddedConfig,
    pub agent: AgentConfig,
    pub proxy: ProxyConfig,
    /// Where the ACS's connection requests come, if they come to the gateway.
    pub calls: Option<connection_request::DoorConfig>,
    pub mqtt: Vec<MqttConfig>,
    pub stomp: Vec<StompConfig>,
    pub websocket: Vec<WebSocketConfig>,
    pub keyring: Option<Arc<Keyring>>,
    /// Who issues a certificate to each agent.
    pub authority: Option<Arc<Authority>>,
    /// For places that controllers name.
    pub egress_tls: Option<TlsClient>,
    pub listener: Option<ListenerConfig>,
    /// Without it agents offer no firmware.
    pub firmware: Option<FirmwareSettings>,
    pub rest_after: Duration,
    pub admin: Option<AdminConfig>,
    /// Without it no other process can take over.
    pub upgrade: Option<UpgradeSettings>,
    /// Without it nothing is captured.
    pub capture: Option<RecorderConfig>,
    pub log_filter: String,
    pub log_format: LogFormat,
}

/// How another process takes over.
#[derive(Debug, Clone)]
pub struct UpgradeSettings {
    /// Where the two meet.
    pub socket: PathBuf,
    /// How long open sessions have to end.
    pub drain: Duration,
}

impl Settings {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|why| ConfigError::Read { file: path.to_owned(), why })?;
        Self::parse(path, &text)
    }

    /// Checks a text; `path` is for its messages.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigError::syntax(path, text, &error))?;
        let refuse = |(key, what): Refusal| ConfigError::Value { file: path.to_owned(), key, what };
        Self::mean(file).map_err(refuse)
    }

    fn mean(file: File) -> Result<Self, Refusal> {
        let (calls, acs) = (file.connection_requests.as_ref(), file.acs.is_some());
        let calls = check_controllers(&file).and_then(|()| connection_requests(calls, acs))?;
        let (taken, (mut mqtt, mut stomp)) = (takeover(&file)?, brokers(&file)?);
        let (mut proxy, device) = (proxy(&file, &calls, &taken)?, &file.device);
        let (ownership, (admin, capture)) = (ownership(&file)?, orders(&file)?);
        let acs = servers(file.acs, &mut proxy.acs_names)?;
        let mut websocket: Vec<_> = file.controller.iter().filter_map(websocket).collect::<Result<_, _>>()?;
        let (roles, mut known) = (roles(&file.role)?, Known::default());
        let credentials = certificates::credentials(&file.credential, &roles, &mut known)?;
        let mut controller =
            |(place, it)| controller(place, it, &roles, &mut known, (&file.mqtt, &file.stomp));
        let controllers = (1..).zip(&file.controller).map(&mut controller).collect::<Result<Vec<_>, _>>()?;
        certificates::pin(&mut websocket, &controllers, &known.0);
        let mut egress = egress::egress(&file.egress, &mqtt, &stomp, &websocket)?;
        let listener = file.websocket_server.as_ref().map(egress::listener).transpose()?;
        let firmware = file.firmware.as_ref().map(firmware::firmware).transpose()?;
        let authority = file.agent_certificates.as_ref();
        let authority = authority.map(|it| certificates::authority(it, &file.store.file)).transpose()?;
        if let Some(authority) = &authority {
            certificates::equip(authority, &mut mqtt, &mut stomp, &mut websocket, &mut egress.tls);
        }
        let keyring = file.payload_security.as_ref();
        let keyring = keyring.map(|it| certificates::keyring(it, authority.as_ref())).transpose()?;
        let agent = AgentConfig {
            controllers,
            roles,
            certificates: known.0,
            credentials,
            mqtt: (1..).zip(file.mqtt.keys().zip(&mqtt)).map(mqtt_client).collect(),
            stomp: stomp_connections(file.stomp.keys().zip(&stomp), mqtt.len()),
            listener: listener.as_ref().map(|listener| listener.shown(mqtt.len() + stomp.len())),
            egress: Arc::new(egress.policy),
            firmware: firmware.is_some(),
            ownership: Arc::new(ownership),
            stages: Arc::new(stages(device, &file.stage)?),
            request_timeout_ms: device.request_timeout_seconds.unwrap_or(Seconds::of(60)).ms(),
            discovery: device.discovery.unwrap_or(true),
            discovery_calls: device.discovery_calls.unwrap_or(acs.is_empty()),
            notification_attributes: device.notification_attributes.unwrap_or(true),
            acs: !acs.is_empty(),
            payload_security: keyring.is_some(),
            signature_room: keyring.as_ref().map_or(0, |keyring| keyring.signature_room()),
            fresh_ms: device.fresh_seconds.map_or(0, Seconds::ms),
            ..taken.agent(calls.secret)
        };
        Ok(Self {
            door: door(file.cwmp)?,
            proxy,
            calls: calls.door,
            acs,
            store: store_of(file.store)?,
            agent,
            mqtt,
            stomp,
            websocket,
            keyring,
            authority,
            egress_tls: egress.tls,
            listener: listener.map(|listener| listener.server),
            firmware,
            rest_after: device.rest_after_seconds.unwrap_or(Seconds::of(30)).0,
            admin,
            upgrade: file.upgrade.map(upgrade),
            capture,
            log_filter: file.log.filter.unwrap_or_else(|| "info".into()),
            log_format: log_format(file.log.format),
        })
    }
}

/// The brokers, each with the controllers that are met there.
fn brokers(file: &File) -> Result<(Vec<MqttConfig>, Vec<StompConfig>), Refusal> {
    let mqtt = file.mqtt.iter().map(|(name, it)| mqtt_config(name, it, &file.controller));
    let stomp = file.stomp.iter().map(|(name, it)| stomp_config(name, it, &file.controller));
    Ok((mqtt.collect::<Result<_, _>>()?, stomp.collect::<Result<_, _>>()?))
}

/// Key and what is wrong with its value.
pub(super) type Refusal = (String, String);

/// A file of keys that is there must be usable; one that is not is made when the store is opened.
fn store_of(store: file::Store) -> Result<EmbeddedConfig, Refusal> {
    if let Some(keys) = &store.key_file {
        SealKeys::read(keys).or_else(|error| refuse("store.key_file", error))?;
    }
    Ok(EmbeddedConfig { file: store.file, key_file: store.key_file })
}

pub(super) fn refuse<T>(key: impl Into<String>, what: impl ToString) -> Result<T, Refusal> {
    Err((key.into(), what.to_string()))
}

pub(super) fn server_tls(key: &str, tls: &file::ServerTls, in_handshake: bool) -> Result<TlsServer, Refusal> {
    let required = tls.client_certificate == file::ClientCertificate::Required;
    if required && tls.client_ca.is_none() {
        return refuse(format!("{key}.client_ca"), "is needed where client certificates are required");
    }
    TlsServer::new(&tls.certificate, &tls.key, tls.client_ca.as_deref(), required && in_handshake)
        .or_else(|error| refuse(key, error))
}

pub(super) fn client_tls(
    key: &str,
    wanted: bool,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    private: Option<PathBuf>,
) -> Result<Option<TlsClient>, Refusal> {
    let identity = match (&certificate, &private) {
        (Some(certificate), Some(private)) => Some((certificate.as_path(), private.as_path())),
        (None, None) => None,
        _ => return refuse(key, "certificate and key belong together"),
    };
    match ca {
        Some(ca) => TlsClient::new(&ca, identity).map(Some).or_else(|error| refuse(key, error)),
        None if wanted => refuse(format!("{key}.ca"), "is needed with TLS: the CA that signed the server"),
        None => Ok(None),
    }
}

fn upgrade(upgrade: file::Upgrade) -> UpgradeSettings {
    let drain = upgrade.drain_seconds.unwrap_or(Seconds::of(60)).0;
    UpgradeSettings { socket: upgrade.socket, drain }
}

/// Where operators give orders, and what captures of theirs may be.
fn orders(file: &File) -> Result<(Option<AdminConfig>, Option<RecorderConfig>), Refusal> {
    let capture = file.capture.as_ref().map(capture::capture).transpose()?;
    if capture.is_some() && file.admin.is_none() {
        return refuse("capture", "needs [admin]: captures are ordered there");
    }
    Ok((file.admin.as_ref().map(admin).transpose()?, capture))
}

fn admin(admin: &file::Admin) -> Result<AdminConfig, Refusal> {
    let token = admin.token_file.as_deref().map(admin_token).transpose();
    let token = token.or_else(|error| refuse("admin.token_file", error))?;
    Ok(AdminConfig { listen: admin.listen.into(), token: token.map(Into::into) })
}

/// The token in a file: what operators show to give orders.
///
/// # Errors
/// The file cannot be read, or holds no token that is worth something.
pub fn admin_token(file: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(file)?;
    let token = text.trim();
    let fits = token.len() >= MIN_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    let why = || format!("{} holds no token: {MIN_TOKEN} printable characters or more", file.display());
    if fits { Ok(token.to_owned()) } else { Err(std::io::Error::other(why())) }
}

fn log_format(format: file::Format) -> LogFormat {
    match format {
        file::Format::Text => LogFormat::Text,
        file::Format::Json => LogFormat::Json,
    }
}

fn proxy(file: &File, calls: &Calls, taken: &Taken) -> Result<ProxyConfig, Refusal> {
    let (device, acs) = (&file.device, file.acs.is_some());
    let defaults = ProxyConfig::default();
    let park_ms = device.park_seconds.map_or(defaults.park_ms, Seconds::ms);
    if park_ms > MAX_PARK_MS {
        return refuse("device.park_seconds", "is 25 at most: CPEs give up a silent session");
    }
    let wake_credentials = match (&device.connection_request_username, &device.connection_request_password) {
        (Some(user), Some(password)) => Some((user.clone(), password.clone())),
        (None, None) => None,
        _ => return refuse("device.connection_request_username", "and ..._password belong together"),
    };
    let wake_ms = match &device.connection_request_retry_seconds {
        Some(waits) => waits.iter().copied().map(Seconds::ms).collect(),
        None => defaults.wake_ms,
    };
    Ok(ProxyConfig {
        acs,
        acs_names: Vec::new(),
        acs_calls: calls.base.clone(),
        takeover: taken.urls.clone(),
        hide_bootstrap: taken.known.clone(),
        answer_when_down: answer_when_down(file)?,
        refuse_opaque: file.cwmp.identity.is_some(),
        answer_alone: calls.answer_alone,
        park_ms,
        session_idle_ms: device.session_idle_seconds.map_or(defaults.session_idle_ms, Seconds::ms),
        commit_wait_ms: defaults.commit_wait_ms,
        wake_ms,
        wake_credentials,
    })
}

fn controller(
    place: u32,
    controller: &file::Controller,
    roles: &[RoleConfig],
    known: &mut Known,
    (mqtt_brokers, brokers): (&BTreeMap<String, file::Mqtt>, &BTreeMap<String, file::Stomp>),
) -> Result<ControllerConfig, Refusal> {
    let key = format!("controller {}", controller.endpoint_id);
    let instance = controller.instance.unwrap_or(place);
    if !(1..=MAX_INSTANCE).contains(&instance) {
        return refuse(format!("{key}: instance"), format!("is from 1 to {MAX_INSTANCE}"));
    }
    let roles = roles_of(&key, controller.role.as_ref(), roles)?;
    let mtp = match (&controller.websocket, &controller.stomp, &controller.mqtt) {
        (Some(websocket @ file::ControllerWebSocket { url, .. }), ..) => ControllerMtp::WebSocket {
            host: url.0.host.clone(),
            port: url.0.port,
            path: url.0.target.clone(),
            encrypted: url.0.tls,
            ping_ms: websocket.ping_seconds.unwrap_or(Seconds::of(30)).ms(),
            retry_ms: retry(websocket.retry_seconds, websocket.max_retry_seconds),
        },
        (None, Some(stomp), _) => ControllerMtp::Stomp {
            connection: brokers.keys().position(|name| *name == stomp.broker).unwrap_or_default(),
            destination: stomp.destination.clone(),
        },
        (None, None, mqtt) => {
            let (broker, topic) =
                mqtt.as_ref().map(|it| (it.broker.clone(), it.topic.clone())).unwrap_or_default();
            let client = mqtt_brokers.keys().position(|name| *name == broker).unwrap_or_default();
            ControllerMtp::Mqtt { client, topic }
        }
    };
    let onboard = controller.onboard.unwrap_or(true);
    let endpoint_id = controller.endpoint_id.clone();
    let pinned = controller.instance.is_some();
    let certificates = controller.certificates.iter();
    let certificates = certificates.map(|file| known.place_of(&format!("{key}: certificates"), file));
    let certificates = certificates.collect::<Result<_, _>>()?;
    Ok(ControllerConfig { instance, pinned, endpoint_id, roles, onboard, certificates, mtp })
}

fn check_controllers(file: &File) -> Result<(), Refusal> {
    let (mut seen, mut numbers) = (HashSet::new(), HashSet::new());
    for (place, controller) in (1..).zip(&file.controller) {
        let key = format!("controller {}", controller.endpoint_id);
        if !numbers.insert(controller.instance.unwrap_or(place)) {
            return refuse(format!("{key}: instance"), "another controller has this number");
        }
        if !seen.insert(&controller.endpoint_id) {
            return refuse(key, "is there twice");
        }
        let ways = [controller.mqtt.is_some(), controller.stomp.is_some(), controller.websocket.is_some()];
        match ways.into_iter().filter(|way| *way).count() {
            1 => {}
            0 => return refuse(key, "needs one of mqtt = {...}, stomp = {...} and websocket = {...}"),
            _ => return refuse(key, "has more than one of mqtt, stomp and websocket; one is enough"),
        }
        if let Some(mqtt) = &controller.mqtt {
            check_broker(&key, "mqtt", &mqtt.broker, &file.mqtt)?;
        }
        if let Some(stomp) = &controller.stomp {
            check_broker(&key, "stomp", &stomp.broker, &file.stomp)?;
            if stomp.destination.is_empty() {
                let such = "is empty; such as \"/queue/usp.controller\"";
                return refuse(format!("{key}: stomp.destination"), such);
            }
        }
    }
    Ok(())
}

fn check_broker<T>(
    key: &str,
    protocol: &str,
    name: &str,
    brokers: &BTreeMap<String, T>,
) -> Result<(), Refusal> {
    if brokers.contains_key(name) {
        return Ok(());
    }
    let known: Vec<&str> = brokers.keys().map(String::as_str).collect();
    let known = known.join(", ");
    refuse(format!("{key}: {protocol}.broker"), format!("there is no [{protocol}.{name}]; there is: {known}"))
}

fn mqtt_config(
    name: &str,
    mqtt: &file::Mqtt,
    controllers: &[file::Controller],
) -> Result<MqttConfig, Refusal> {
    let key = format!("mqtt.{name}");
    let tls = client_tls(&key, mqtt.broker.tls, mqtt.ca.clone(), mqtt.certificate.clone(), mqtt.key.clone())?;
    let here = controllers.iter().filter_map(|controller| {
        let at = controller.mqtt.as_ref().filter(|at| at.broker == name)?;
        Some((controller.endpoint_id.clone(), at.topic.clone()))
    });
    let login = mqtt.username.clone().map(|user| (user, mqtt.password.clone().unwrap_or_default()));
    Ok(MqttConfig {
        host: mqtt.broker.host.clone(),
        port: mqtt.broker.port,
        tls: tls.filter(|_| mqtt.broker.tls),
        version: match mqtt.version {
            file::MqttVersion::V5 => Version::V5,
            file::MqttVersion::V311 => Version::V311,
        },
        login,
        sharing: match mqtt.shared_connections {
            None => Sharing::PerAgent,
            Some(0) => return refuse(format!("{key}.shared_connections"), "is 1 at least"),
            Some(count) if count > MAX_SHARED => {
                return refuse(format!("{key}.shared_connections"), format!("is {MAX_SHARED} at most"));
            }
            Some(count) => Sharing::Shared(count),
        },
        client_id_prefix: mqtt.client_id_prefix.clone().unwrap_or_default(),
        topic_prefix: mqtt.topic_prefix.clone().unwrap_or_else(|| "usp/agent".into()),
        controllers: here.collect(),
        keep_alive: mqtt.keep_alive_seconds.unwrap_or(60),
        retry_ms: retry(mqtt.retry_seconds, mqtt.max_retry_seconds),
        retry_multiplier: 2_000,
        own: None,
    })
}

/// What controllers may read of a broker: `Device.MQTT.Client.{i}.`.
fn mqtt_client((place, (name, broker)): (u32, (&String, &MqttConfig))) -> MqttClient {
    MqttClient {
        instance: place,
        mtp: place,
        name: name.clone(),
        host: broker.host.clone(),
        port: broker.port,
        encrypted: broker.tls.is_some(),
        v5: broker.version == Version::V5,
        login: broker.login.clone(),
        client_id_prefix: broker.client_id_prefix.clone(),
        topic_prefix: broker.topic_prefix.clone(),
        shares: match broker.sharing {
            Sharing::PerAgent => None,
            Sharing::Shared(count) => Some(count),
        },
        keep_alive: broker.keep_alive,
        session_expiry: SESSION_EXPIRY,
        retry_ms: broker.retry_ms,
    }
}

fn websocket(controller: &file::Controller) -> Option<Result<WebSocketConfig, Refusal>> {
    let websocket = controller.websocket.as_ref()?;
    let key = format!("controller {}: websocket", controller.endpoint_id);
    let url = &websocket.url.0;
    let (ca, certificate, private) =
        (websocket.ca.clone(), websocket.certificate.clone(), websocket.key.clone());
    let tls = match client_tls(&key, url.tls, ca, certificate, private) {
        Ok(tls) => tls,
        Err(refusal) => return Some(Err(refusal)),
    };
    Some(Ok(WebSocketConfig {
        controller: controller.endpoint_id.clone(),
        url: url.clone(),
        tls,
        ping: websocket.ping_seconds.unwrap_or(Seconds::of(30)).0,
        retry_ms: retry(websocket.retry_seconds, websocket.max_retry_seconds),
        retry_multiplier: 2_000,
        must_show: None,
    }))
}

pub(super) fn retry(first: Option<Seconds>, most: Option<Seconds>) -> (u64, u64) {
    let first = first.unwrap_or(Seconds::of(1)).ms().max(10);
    (first, most.unwrap_or(Seconds::of(60)).ms().max(first))
}

/// CPEs give up a session that stays silent for much longer.
const MAX_PARK_MS: u64 = 25_000;
const MAX_SHARED: usize = 64;
const MIN_TOKEN: usize = 16;
