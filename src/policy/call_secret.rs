//! What the gateway calls CPEs with that it has given credentials of its own: made of one secret and the device, so
//! that nothing has to be kept of them.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::identity::EndpointId;

/// The secret of which the passwords are made.
#[derive(Clone, PartialEq, Eq)]
pub struct CallSecret([u8; 32]);

impl CallSecret {
    /// `text` is what stands in the operator's file.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// User name and password of one device: 128 bits that nobody guesses without the secret.
    pub fn credentials(&self, device: &EndpointId) -> (String, String) {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(device.as_str());
        // Half of it, so that it cannot be continued to that of another device.
        let digest = hash.finalize();
        let password = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        ("dragoman".to_owned(), password)
    }
}

// Secrets stay out of logs.
impl fmt::Debug for CallSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallSecret")
    }
}
