//! Commands that the agent carries out itself, a file each under the standard's name. What stands in the
//! table is what GetSupportedDM tells.

mod activate;
mod add_certificate;
mod add_my_certificate;
mod arguments;
mod cancel;
mod delete_certificate;
mod download;
mod force_collection;
mod get_fingerprint;
mod reconnect;
mod reset_session;
mod schedule_timer;
mod send_on_board_request;
mod table;

use table::{Call, Command, Done};
pub(super) use table::{FORBIDDEN, events, find, paths};
