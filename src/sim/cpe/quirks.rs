//! What the CPEs of a fleet do wrong on purpose.

use super::demands::FaultRule;

macro_rules! quirks {
    ($($quirk:ident, $name:literal, $what:literal;)*) => {
        /// Something that CPEs of the field do and the standard does not say. Numbers are those of the
        /// catalogue of quirks that the tests of the decoder and the door are named after.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Quirk {
            $(#[doc = $what] $quirk,)*
        }

        impl Quirk {
            pub const ALL: &'static [Quirk] = &[$(Quirk::$quirk),*];

            /// The name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$quirk => $name,)* }
            }

            /// What the CPE does, for people.
            pub fn what(self) -> &'static str {
                match self { $(Self::$quirk => $what,)* }
            }
        }
    };
}

quirks! {
    NoCookies, "no-cookies", "returns no cookies (C02)";
    NewConnection, "new-connection", "opens a connection for each POST (T03)";
    Chunked, "chunked", "sends bodies in chunks (T02)";
    Gzip, "gzip", "compresses bodies (T14)";
    NoSoapAction, "no-soap-action", "sends no SOAPAction (T08)";
    NoContentType, "no-content-type", "sends no Content-Type (T06)";
    BlankPost, "blank-post", "sends a line end for the empty POST, as if it were XML (T07)";
    Latin1, "latin-1", "writes ISO-8859-1 (X25)";
    Utf16, "utf-16", "writes UTF-16 with a byte order mark (X24)";
    NoId, "no-id", "leaves cwmp:ID out (X08, X09)";
    OddPrefixes, "odd-prefixes", "uses prefixes with underscores (X02)";
    Padded, "padded", "puts blanks around names, codes and identity (X17)";
    Cdata, "cdata", "writes values as CDATA (X29)";
    WrongCounts, "wrong-counts", "gives wrong counts in arrayType (X15)";
    NoTypes, "no-types", "leaves the type in xsi:type empty (X22)";
    WordBooleans, "word-booleans", "writes booleans as True and FALSE (D01)";
    IgnoreHold, "ignore-hold", "sends requests of its own under HoldRequests (S08)";
    RepeatSession, "repeat-session", "opens each session twice, the first one still open (S13)";
    Vanish, "vanish", "is gone in the middle of its first session (S17)";
    Oversize, "oversize", "sends 17 MB in its first Inform (H13)";
    Slow, "slow", "takes 300 ms before each message after the Inform (T17)";
}

/// Switches for faults on demand; the default is a CPE that keeps to the standard.
#[derive(Debug, Clone)]
pub struct Quirks {
    pub all: Vec<Quirk>,
    /// RPCs that are refused.
    pub faults: Vec<FaultRule>,
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
            all: Vec::new(),
            faults: Vec::new(),
            drop_before_answer_to: None,
            slow_ms: 0,
            namespace: "urn:dslforum-org:cwmp-1-2".into(),
        }
    }
}

impl Quirks {
    /// A CPE with these quirks.
    pub fn of(all: &[Quirk]) -> Self {
        Self { all: all.to_vec(), ..Self::default() }
    }

    pub fn has(&self, quirk: Quirk) -> bool {
        self.all.contains(&quirk)
    }

    /// The pause before each message after the Inform, in milliseconds.
    pub(super) fn pause_ms(&self) -> u64 {
        if self.has(Quirk::Slow) { self.slow_ms.max(SLOW_MS) } else { self.slow_ms }
    }
}

/// The pause of [`Quirk::Slow`].
const SLOW_MS: u64 = 300;
