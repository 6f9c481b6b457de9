//! What the gateway is compared with and what it might be: a relay that is nothing but HTTP, and either of
//! them on one single-threaded runtime per core.
//!
//! Each is run by this program in a process of its own: the first argument names it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use dragoman::app::Gateway;
use dragoman::config::Settings;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Mutex;

/// How the work is spread over cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Tokio's runtime of many threads.
    Stealing,
    /// A runtime of one thread for each core, which share nothing; each listens on a port of its own, and the
    /// load goes to them in turn.
    PerCore,
}

/// The bare relay to this ACS. Says where it listens and never returns.
pub fn relay(spread: Spread, acs: SocketAddr) {
    let listen = move || async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, acs));
            }
        });
        address
    };
    run(spread, move |_| listen());
}

/// A gateway for each core, each with a configuration of its own.
pub fn gateways(files: Vec<PathBuf>) {
    let start = move |core: usize| {
        let settings = Settings::read(&files[core]).expect("a configuration");
        if core == 0 {
            dragoman::observe::start_log(&settings.log_filter, settings.log_format);
        }
        async move {
            let gateway = Gateway::start(settings).await.expect("a gateway");
            let address = gateway.cwmp;
            // It lives as long as the process.
            std::mem::forget(gateway);
            address
        }
    };
    run(Spread::PerCore, start);
}

fn run<F: Future<Output = SocketAddr>>(spread: Spread, start: impl Fn(usize) -> F + Clone + Send + 'static) {
    let cores = match spread {
        Spread::Stealing => 1,
        Spread::PerCore => cores(),
    };
    let (sender, addresses) = mpsc::channel();
    let threads: Vec<_> = (0..cores)
        .map(|core| {
            let (start, sender) = (start.clone(), sender.clone());
            std::thread::spawn(move || {
                let runtime = match spread {
                    Spread::Stealing => Builder::new_multi_thread().enable_all().build(),
                    Spread::PerCore => Builder::new_current_thread().enable_all().build(),
                };
                runtime.expect("a runtime").block_on(async {
                    sender.send(start(core).await).expect("somebody waits for it");
                    std::future::pending::<()>().await;
                });
            })
        })
        .collect();
    let addresses: Vec<String> = addresses.iter().take(cores).map(|it| it.to_string()).collect();
    println!("{}", addresses.join(" "));
    std::io::stdout().flush().expect("somebody reads it");
    for thread in threads {
        let _ = thread.join();
    }
}

/// Cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn serve(stream: TcpStream, acs: SocketAddr) {
    let upstream: Arc<Mutex<Option<SendRequest<Full<Bytes>>>>> = Arc::default();
    let service = service_fn(move |request| {
        let upstream = Arc::clone(&upstream);
        async move { forward(request, &upstream, acs).await }
    });
    // As the gateway's door has it.
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(75))
        .title_case_headers(true)
        .auto_date_header(false)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service);
    let _ = serving.await;
}

/// One POST to the ACS and its answer, bodies whole, over the session's connection.
async fn forward(
    request: Request<Incoming>,
    upstream: &Mutex<Option<SendRequest<Full<Bytes>>>>,
    acs: SocketAddr,
) -> hyper::Result<Response<Full<Bytes>>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    head.headers.remove(CONNECTION);
    head.headers.remove(TRANSFER_ENCODING);
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    let host = HeaderValue::from_str(&acs.to_string()).expect("an address is a header's value");
    head.headers.insert(HOST, host);
    let mut upstream = upstream.lock().await;
    if upstream.is_none() {
        *upstream = Some(connect(acs).await?);
    }
    let sender = upstream.as_mut().expect("it was put there");
    sender.ready().await?;
    let (mut head, body) =
        sender.send_request(Request::from_parts(head, Full::new(body))).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    head.headers.remove(CONNECTION);
    head.headers.remove(TRANSFER_ENCODING);
    Ok(Response::from_parts(head, Full::new(body)))
}

async fn connect(acs: SocketAddr) -> hyper::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(acs).await.expect("the ACS takes connections");
    let _ = stream.set_nodelay(true);
    let builder = http1::Builder::new().title_case_headers(true).max_buf_size(64 << 10).clone();
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}
