//! A RabbitMQ of the test's own, with its STOMP plugin: a node with its own name, folder, ports and epmd, none
//! of which is there any more when the test is over, or its process has ended in whatever way.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::mosquitto::{folder, free_port, wait_for_port, wait_for_port_within};
use super::pki::Pki;

/// A running broker; dropping it ends it.
pub struct RabbitMq {
    /// Erlang's name server, which would otherwise be started to stay.
    epmd: Child,
    node: Option<Child>,
    /// Ends both when this process is no more.
    guard: Option<Child>,
    epmd_port: u16,
    /// Of the Erlang distribution.
    dist_port: u16,
    pub port: u16,
    /// With TLS, for those who show a certificate.
    pub secure: u16,
    pub pki: Pki,
    folder: PathBuf,
}

/// It takes six seconds on an idle machine.
const STARTING: Duration = Duration::from_secs(90);
/// Who may log in: by this password, or by a certificate with this common name.
pub const USER: &str = "gateway";
pub const PASSWORD: &str = "not a secret: a\\b";

impl RabbitMq {
    pub fn start() -> Self {
        let folder = folder("rabbitmq");
        let pki = Pki::within(folder.clone(), &["broker", "gateway"]);
        let [epmd_port, dist_port, port, secure] = std::array::from_fn(|_| free_port());
        let text = format!(
            "listeners.tcp = none\nloopback_users = none\ndefault_user = {USER}\ndefault_pass = {PASSWORD}\n\
             stomp.listeners.tcp.1 = 127.0.0.1:{port}\nstomp.listeners.ssl.1 = 127.0.0.1:{secure}\n\
             stomp.ssl_cert_login = true\nssl_cert_login_from = common_name\n\
             ssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n",
            pki.path("ca"),
            pki.path("broker"),
            pki.path("broker-key")
        );
        std::fs::write(folder.join("rabbitmq.conf"), text).unwrap();
        std::fs::write(folder.join("enabled_plugins"), "[rabbitmq_stomp].").unwrap();
        let epmd = Command::new("epmd")
            .args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("epmd does not start");
        let mut broker =
            Self { epmd, node: None, guard: None, epmd_port, dist_port, port, secure, pki, folder };
        wait_for_port(epmd_port);
        broker.start_node();
        broker
    }

    /// As a crash of the machine: what the broker has on disk is all that is left.
    pub fn kill(&mut self) {
        // First: a pid that has been waited for can be another's.
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.kill();
            let _ = guard.wait();
        }
        if let Some(mut node) = self.node.take() {
            let _ = node.kill();
            let _ = node.wait();
        }
    }

    /// Starts it, with what an earlier one has left.
    pub fn start_node(&mut self) {
        let file = |name: &str| self.folder.join(name);
        let program = "/usr/lib/rabbitmq/bin/rabbitmq-server";
        assert!(std::path::Path::new(program).exists(), "rabbitmq-server is not installed: see scripts/test");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(file("console")).unwrap();
        let node = Command::new(program)
            .env("HOME", &self.folder)
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("dragoman-{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_CONF_ENV_FILE", file("none"))
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", file("mnesia"))
            .env("RABBITMQ_LOG_BASE", file("log"))
            .env("RABBITMQ_PID_FILE", file("pid"))
            // The script becomes the node, so that the process that we end is the node.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("RabbitMQ does not start");
        self.guard = Some(self.guard(node.id()));
        self.node = Some(node);
        wait_for_port_within(self.port, STARTING);
        wait_for_port_within(self.secure, STARTING);
    }

    /// A shell whose standard input ends with this process, be it by a signal: nothing is dropped then.
    fn guard(&self, node: u32) -> Child {
        Command::new("sh")
            .args(["-c", GUARD, "guard", &node.to_string(), &self.epmd.id().to_string()])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the guard does not start")
    }
}

/// An interrupt at the terminal reaches it as well, and must not end it.
const GUARD: &str = "trap '' HUP INT TERM; read _; kill -9 \"$1\" \"$2\"; sleep 1; rm -rf -- \"$3\"";

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
        let _ = self.epmd.kill();
        let _ = self.epmd.wait();
        if std::thread::panicking() {
            eprintln!("the broker's log: {}", self.folder.join("console").display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
