//! The door as CPEs and attackers meet it: over real sockets, byte by byte. Quirk numbers in the names.

mod auth;
mod binding;
mod bodies;
mod endings;
mod framing;
mod front;
mod limits;
mod pki;
mod rig;
mod tls;
