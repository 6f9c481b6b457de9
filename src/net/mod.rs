//! What the shells and the simulators share: streams with and without TLS, an HTTP/1.1 client on one
//! connection, hosts and their addresses, listening, back-off.
//!
//! Layer 4, its base. Knows nothing of CWMP, USP or devices.

mod anchors;
mod authority;
mod backoff;
mod buffered;
mod certificate;
mod challenge;
mod headers;
mod host;
mod http;
mod identity;
mod listen;
mod networks;
mod secret_file;
mod sockets;
mod spelling;
mod stream;
mod tls;
mod url;

pub use anchors::Anchors;
pub(crate) use authority::room;
pub use authority::{Authority, AuthorityError};
pub use backoff::Backoff;
pub use buffered::{Buffered, Round};
pub use certificate::certificate;
pub use challenge::authorization;
pub use headers::{put, received};
pub use host::Host;
pub use http::{HttpClient, HttpDownload, HttpError, HttpLimits, HttpReply, HttpRequest};
pub use identity::{Identity, pem_of};
pub use listen::{Incoming, OpenError, Opening, Place, listen};
pub use networks::{NetworkError, Networks};
pub use secret_file::write_secret;
pub use sockets::{At, Sockets};
pub use spelling::as_written;
pub use stream::Stream;
pub use tls::{TlsClient, TlsError, TlsServer, certificates, private_key, roots};
pub use url::{HttpUrl, UrlError};
