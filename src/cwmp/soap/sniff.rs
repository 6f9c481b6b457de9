//! Finds out from whom an Inform is without decoding it: the session's first POST must find its device.

use crate::cwmp::rpc::decode_device_id;
use crate::identity::DeviceId;

use super::cursor::Cursor;
use super::{Limits, decode_charset};

/// The DeviceId of an Inform; `None` if the body is no envelope with an Inform. Reads no further than the
/// end of DeviceId, which nearly always stands first.
pub fn sniff_device_id(body: &[u8]) -> Option<DeviceId> {
    let text = decode_charset(body, None).ok()?;
    let mut cursor = Cursor::new(&text, &Limits::default());
    if cursor.enter().ok()? != Some("Envelope") {
        return None;
    }
    descend(&mut cursor, "Body")?;
    if cursor.enter().ok()?? != "Inform" {
        return None;
    }
    descend(&mut cursor, "DeviceId")?;
    decode_device_id(&mut cursor).ok()
}

/// Enters the next child of that name, past all others.
pub(super) fn descend(cursor: &mut Cursor<'_>, wanted: &str) -> Option<()> {
    while let Some(name) = cursor.enter().ok()? {
        if name == wanted {
            return Some(());
        }
        cursor.skip().ok()?;
    }
    None
}
