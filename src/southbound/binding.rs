//! Which device a CPE may say to be, by what it has proved: its user name, its certificate.

use crate::identity::{DeviceId, DeviceTemplate};
use crate::transport::client::Client;

/// The names that a device's credentials must have. A rule without templates asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// The user name is one of these.
    pub username: Vec<DeviceTemplate>,
    /// A name of the certificate is one of these.
    pub certificate: Vec<DeviceTemplate>,
}

impl Binding {
    /// Whether who came in as `user`, and with the client's certificate, may be `device`: every rule is met.
    pub(super) fn admits(&self, device: &DeviceId, user: Option<&str>, client: &Client) -> bool {
        let names = client.certificate.as_ref().map(|it| it.names.as_slice()).unwrap_or_default();
        let is_one = |templates: &[DeviceTemplate], name: &str| {
            templates.iter().any(|template| template.names(device, name))
        };
        let by_user = self.username.is_empty() || user.is_some_and(|user| is_one(&self.username, user));
        let by_certificate =
            self.certificate.is_empty() || names.iter().any(|name| is_one(&self.certificate, name));
        by_user && by_certificate
    }
}
