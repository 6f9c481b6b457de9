//! Reads a counter of a gateway.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// The value of a metric, named without the prefix of all; 0 if there is none.
pub fn read(admin: SocketAddr, metric: &str) -> u64 {
    let mut stream = TcpStream::connect(admin).expect("the gateway's metrics");
    let request = b"GET /metrics HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("metrics");
    let wanted = format!("dragoman_{metric} ");
    let found = text.lines().find_map(|line| line.strip_prefix(wanted.as_str()));
    found.map_or(0, |value| value.parse().expect("a count"))
}
