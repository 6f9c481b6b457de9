//! The SOAP 1.1 envelope of CWMP (TR-069 3.4): a streaming decoder over the received text that borrows
//! from it, and an encoder that follows the schema to the letter.

mod charset;
mod cursor;
mod decode;
mod encode;
mod envelope;
mod error;
mod leaves;
mod reshape;
mod sniff;
mod splice;

pub use charset::{Text, decode_charset};
pub(in crate::cwmp) use cursor::Cursor;
pub use decode::{Limits, decode};
pub(in crate::cwmp) use encode::Sink;
pub use encode::{encode, escape};
pub use envelope::{Envelope, Header, Message};
pub use error::SoapError;
pub use leaves::{Leaf, message_id, message_name, rewrite_leaves};
pub use reshape::{Item, Reshape, drop_items, reshape_inform, restate_attributes};
pub use sniff::sniff_device_id;
pub use splice::{Edit, splice};

#[cfg(test)]
mod tests;
