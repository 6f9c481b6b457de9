//! What the CPEs of a fleet do wrong on purpose.

/// Switches for faults on demand; the default is a CPE that keeps to the standard.
#[derive(Debug, Clone)]
pub struct Quirks {
    /// Cookies of the ACS are not returned (quirk C02).
    pub no_cookies: bool,
    /// A new connection for each request (quirk T03).
    pub close_after_each_response: bool,
    /// Reading one of these, by itself or with others, is fault 9002.
    pub fault_parameters: Vec<String>,
    /// The first RPC of this name is carried out, but instead of answering it the CPE cuts the connection.
    pub drop_before_answer_to: Option<String>,
    /// A pause before each message after the Inform, in milliseconds.
    pub slow_ms: u64,
    /// The namespace of all that is sent.
    pub namespace: String,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            no_cookies: false,
            close_after_each_response: false,
            fault_parameters: Vec::new(),
            drop_before_answer_to: None,
            slow_ms: 0,
            namespace: "urn:dslforum-org:cwmp-1-2".into(),
        }
    }
}
