//! How a running gateway hands over to the process that takes its place.
//!
//! Layer 4. The two meet at a Unix socket that only their user can reach, and that asks the kernel who calls. In order:
//!
//! 1. The coming process has read its configuration, with keys and certificates, and says `Hello` with its release and
//!    the name of its store. The leaving one refuses it, with the reason, or passes the sockets that it listens on: the
//!    same file descriptions (SCM_RIGHTS), so that none is closed, bound anew or loses its queue.
//! 2. The coming one opens the store and binds what its configuration names besides. Then it says `Ready`; up to here
//!    the leaving one has gone on as if nothing were. It now stops to accept, and its MTPs end.
//! 3. It names the devices that it still owns (`Held`): those in a session with their CPE or with a request under
//!    way. All others are the coming one's from then on, which starts, accepts, and says `Serving`.
//! 4. A held device is released, one by one, when its session has ended and its requests are answered, at the latest
//!    when the time for draining is over. Until then the coming one starts no task for it: requests of controllers
//!    wait.
//!    Since the leaving one has no MTP any more it says its answers to the coming one (`ToController`).
//! 5. The leaving one ends when it owns nothing and nobody loads a file from it.
//!
//! Connections stay with the process that has accepted them, sessions with the one that owns the device, so that
//! the two
//! can fall apart: a CPE that goes on over another connection, or begins a session anew. Its POST (`Post`) goes to the
//! owner over the link, and the answer comes back.
//!
//! What is guaranteed: no two processes own a device at a time; no connection is refused or reset, but for idle ones
//! without a session, which any HTTP server may close; no open session is broken off before the time for draining is
//! over. Whoever of the two dies, the other serves: the coming one takes over what the dead one held, as after a crash;
//! the leaving one begins anew within its own process, over the same steps, and drains what it has.
//!
//! What is not: a WebSocket is closed and opened anew, by whoever opened it. Session contexts of controllers (R-E2E.4)
//! begin anew, as after a restart. What is relayed over the link has its header names in title case.

mod link;
mod meeting;
mod wire;

pub use link::Link;
pub use meeting::{Door, MeetError, Met, Taking, pair, take};
pub use wire::{Blob, Certificate, Client, Hello, Message, Post, Reply};
