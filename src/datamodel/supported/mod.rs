//! The standard data models as tables: Device:2 (TR-181) as USP and as CWMP have it, and
//! InternetGatewayDevice:1 (TR-098).
//!
//! The tables are `*.tsv` beside this file, each with a header that explains its columns. build.rs deflates
//! them (115 kB in the binary), and a table is inflated when it is first asked for and then kept: one copy
//! for all devices. `device-2-cwmp.tsv` holds only what USP does not have. It is needed because a CPE has
//! these parameters (`Device.IP.Diagnostics.IPPing.NumberOfRepetitions`, where USP has arguments of a
//! command), and writing them with SetParameterValues takes their types.

mod facets;
mod row;
mod table;

pub use facets::Misfit;
pub use row::{Access, Default, Kind, Row, Secured, Status, UniqueKey};
pub use table::{Supported, generic, is_direct, is_secret, is_secret_name, secured, standard};
