//! Why a body is no CWMP envelope.

use thiserror::Error;

/// Whose fault it is: always the sender's. The text goes to the operator's log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SoapError {
    #[error("body of {0} bytes is over the limit of {1}")]
    TooLarge(usize, usize),
    #[error("unknown character encoding '{0}'")]
    Charset(String),
    #[error("XML is not well-formed: {0}")]
    Xml(String),
    #[error("document type declarations are refused")]
    DocType,
    #[error("an element has more than {0} attributes")]
    Attributes(usize),
    #[error("a zero byte stands within the message")]
    Nul,
    #[error("elements are nested deeper than {0}")]
    Depth(usize),
    #[error("more than {0} elements")]
    Elements(usize),
    #[error("no SOAP envelope at the root but '{0}'")]
    NotSoap(String),
    #[error("the envelope has no body, or more than one")]
    Bodies,
    #[error("the body holds {0} messages; exactly one is allowed")]
    Messages(usize),
    #[error("'{0}' lacks '{1}'")]
    Missing(&'static str, &'static str),
    #[error("'{0}' is no {1}")]
    Value(String, &'static str),
    #[error("text after the end of the envelope")]
    Trailing,
}
