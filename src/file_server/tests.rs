//! The stage and its server over real connections.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::agent::{Checksum, Fetch, Staged};
use crate::datamodel::WallTime;
use crate::identity::EndpointId;
use crate::net::{HttpClient, HttpLimits, HttpReply, HttpRequest, HttpUrl};
use crate::policy::Egress;
use crate::sim::files::Files;

use super::{FileServer, ServerConfig, Stage, StageConfig};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dragoman-stage-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn files(&self) -> usize {
        let there = std::fs::read_dir(&self.0).unwrap();
        there.filter(|entry| entry.as_ref().unwrap().path().extension().is_some()).count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn config(folder: &Folder) -> StageConfig {
    StageConfig {
        directory: folder.0.clone(),
        url: "http://127.0.0.1:1/fw/".into(),
        max_bytes: 1_000,
        total_bytes: 1_500,
        fetch_time: Duration::from_secs(5),
        connect: Duration::from_secs(2),
        idle: Duration::from_secs(2),
        link_time: Duration::from_secs(60),
    }
}

fn stage(folder: &Folder, origin: &Files) -> Stage {
    let egress = Arc::new(Egress::of([origin.url("").as_str()]).unwrap());
    Stage::open(config(folder), egress, None).unwrap()
}

fn fetch(url: &str) -> Fetch {
    Fetch { url: url.to_owned(), credentials: None, size: 0, checksum: None }
}

fn sha_1(content: &[u8]) -> Checksum {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, content);
    let value = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    Checksum { algorithm: "SHA-1".into(), value }
}

fn device(name: &str) -> EndpointId {
    EndpointId::parse(&format!("os::00256D-{name}")).unwrap()
}

fn now() -> WallTime {
    WallTime::from(SystemTime::now())
}

#[tokio::test]
async fn tr_181_an_image_with_a_checksum_is_fetched_once_and_one_without_each_time() {
    let (folder, origin) = (Folder::new("once"), Files::start().await.unwrap());
    let stage = stage(&folder, &origin);
    let url = origin.put("a", vec![7; 500]);
    let with = Fetch { checksum: Some(sha_1(&[7; 500])), ..fetch(&url) };
    let all: Vec<_> = (0..5)
        .map(|_| {
            tokio::spawn({
                let (stage, with) = (stage.clone(), with.clone());
                async move { stage.fetch(with).await }
            })
        })
        .collect();
    let mut images = BTreeSet::new();
    for one in all {
        images.insert(one.await.unwrap().unwrap().image);
    }
    assert_eq!((images.len(), origin.loads("a")), (1, 1));
    let image = images.pop_first().unwrap();
    assert_eq!(stage.check(image.clone(), with.clone()).await, Ok(()));
    assert_eq!(stage.fetch(with.clone()).await, Ok(Staged { image: image.clone(), size: 500 }));
    assert_eq!(origin.loads("a"), 1, "what is known by its checksum is fetched again");
    let wrong = Fetch { checksum: Some(sha_1(b"other")), ..with };
    assert!(stage.check(image.clone(), wrong).await.unwrap_err().contains("SHA-1"));
    assert_eq!(stage.fetch(fetch(&url)).await.unwrap().image, image);
    assert_eq!(stage.fetch(fetch(&url)).await.unwrap().image, image);
    assert_eq!((origin.loads("a"), folder.files()), (3, 1));
}

#[tokio::test]
async fn what_cannot_be_fetched_is_told_and_leaves_nothing_behind() {
    let (folder, origin) = (Folder::new("failed"), Files::start().await.unwrap());
    let stage = stage(&folder, &origin);
    let other = Files::start().await.unwrap();
    origin.put("secret", "x");
    origin.ask_login("secret");
    let loop_url = origin.url("loop");
    for (url, says) in [
        (origin.url("absent"), "404"),
        (origin.put("large", vec![0; 1_001]), "larger than 1000"),
        (origin.url("secret"), "401"),
        (origin.lead_on("away", &other.put("x", "x")), "egress policy"),
        (origin.lead_on("loop", &loop_url), "more than 4 times"),
        (other.url("x"), "egress policy"),
        ("nonsense".to_owned(), ""),
    ] {
        let error = stage.fetch(fetch(&url)).await.expect_err(&url);
        assert!(error.contains(says), "{url}: {error}");
    }
    let hinted = Fetch { size: 5_000, ..fetch(&origin.put("small", "x")) };
    assert!(stage.fetch(hinted).await.unwrap_err().contains("larger"));
    assert_eq!((other.loads("x"), folder.files()), (0, 0));
    let known = Fetch { credentials: Some(("u".into(), "p".into())), ..fetch(&origin.url("secret")) };
    assert_eq!(stage.fetch(known).await.unwrap().size, 1);
}

#[tokio::test]
async fn images_are_kept_as_long_as_a_device_needs_them_over_restarts_and_room_is_bounded() {
    let (folder, origin) = (Folder::new("kept"), Files::start().await.unwrap());
    let first = stage(&folder, &origin);
    let [a, b, c] = [1_u8, 2, 3].map(|byte| origin.put(&byte.to_string(), vec![byte; 600]));
    let image = |stage: &Stage, url: &str| {
        let (stage, fetch) = (stage.clone(), fetch(url));
        async move { stage.fetch(fetch).await.map(|staged| staged.image) }
    };
    let (a, b) = (image(&first, &a).await.unwrap(), image(&first, &b).await.unwrap());
    assert!(image(&first, &c).await.unwrap_err().contains("no room"));
    first.hold(&device("1"), [a.clone(), b.clone()].into());
    first.hold(&device("2"), [a.clone()].into());
    first.hold(&device("1"), [b.clone()].into());
    first.sweep(Duration::ZERO);
    assert_eq!(folder.files(), 2, "given up before all devices were asked");
    drop(first);
    std::fs::write(folder.0.join("9.part"), "half").unwrap();
    let second = stage(&folder, &origin);
    assert_eq!(folder.files(), 2);
    second.hold(&device("2"), BTreeSet::new());
    second.hold(&device("1"), [b.clone()].into());
    // What was stored of device 1 is older than what it has said since.
    second.adopt(&device("1"), [a.clone()].into());
    second.complete();
    second.sweep(Duration::ZERO);
    assert!(second.offer(&a, "a", now()).is_err() && second.offer(&b, "b", now()).is_ok());
    assert!(image(&second, &c).await.is_ok(), "what nobody needs does not make way");
}

/// A server with one image of 200,000 bytes; gives the image's link.
async fn serving(
    folder: &Folder,
    downloads: usize,
    bytes_per_second: Option<u64>,
) -> (Stage, String, Bytes, CancellationToken) {
    let origin = Files::start().await.unwrap();
    let content: Bytes = (0..200_000_u32).map(|at| (at % 251) as u8).collect::<Vec<_>>().into();
    let egress = Arc::new(Egress::of([origin.url("").as_str()]).unwrap());
    let config = StageConfig { max_bytes: 1 << 20, total_bytes: 1 << 20, ..config(folder) };
    let stage = Stage::open(config, egress, None).unwrap();
    let image = stage.fetch(fetch(&origin.put("image", content.clone()))).await.unwrap().image;
    let server = ServerConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)).into(),
        tls: None,
        downloads,
        bytes_per_second,
        connection_time: Duration::from_secs(10),
    };
    let stop = CancellationToken::new();
    let server = FileServer::open(server, stage.clone(), stop.clone()).await.unwrap();
    let link = stage.offer(&image, "fw.bin", now()).unwrap().url;
    (stage, link.replace("127.0.0.1:1/", &format!("{}/", server.address)), content, stop)
}

async fn ask(url: &str, method: &'static str, headers: &[(&str, &str)]) -> HttpReply {
    let limits =
        HttpLimits { connect: Duration::from_secs(5), answer: Duration::from_secs(5), body: 1 << 20 };
    let url = HttpUrl::parse(url).unwrap();
    let mut client = HttpClient::connect(&url, None, limits).await.unwrap();
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request = HttpRequest { method, target: url.target.clone(), headers, body: Bytes::new() };
    client.send(request).await.unwrap()
}

#[tokio::test]
async fn rfc_9110_a_link_gives_its_file_whole_and_in_parts_and_nothing_else_is_given() {
    let folder = Folder::new("served");
    let (stage, link, content, stop) = serving(&folder, 4, None).await;
    let whole = ask(&link, "GET", &[]).await;
    assert_eq!((whole.status, &whole.body), (200, &content));
    let head = ask(&link, "HEAD", &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("200000"), 0));
    let tag = whole.header("etag").unwrap().to_owned();
    let part = ask(&link, "GET", &[("Range", "bytes=70000-139999"), ("If-Range", &tag)]).await;
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 70000-139999/200000")));
    assert_eq!(part.body, content.slice(70_000..140_000));
    assert_eq!(ask(&link, "GET", &[("Range", "bytes=0-9"), ("If-Range", "\"old\"")]).await.status, 200);
    let beyond = ask(&link, "GET", &[("Range", "bytes=200000-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */200000")));
    assert_eq!(ask(&link, "POST", &[]).await.status, 405);
    let forged = link.replace("fw.bin", "fw2.bin");
    for wrong in [forged, format!("{link}/x"), link.replace("/fw/", "/"), link.replace("/fw/", "/fw/../fw/")]
    {
        assert_eq!(ask(&wrong, "GET", &[]).await.status, 404, "{wrong}");
    }
    let image = stage.offer("gone", "x", now());
    assert!(image.is_err());
    stop.cancel();
}

#[tokio::test]
async fn who_comes_when_too_many_load_is_told_to_come_again() {
    let folder = Folder::new("busy");
    let (_stage, link, content, stop) = serving(&folder, 1, Some(200_000)).await;
    let url = HttpUrl::parse(&link).unwrap();
    let limits = HttpLimits { connect: Duration::from_secs(5), answer: Duration::from_secs(5), body: 0 };
    let mut slow = HttpClient::connect(&url, None, limits).await.unwrap();
    let request = HttpRequest {
        method: "GET",
        target: url.target.clone(),
        headers: Default::default(),
        body: Bytes::new(),
    };
    let mut download = slow.receive(request).await.unwrap();
    let mut got = download.piece().await.unwrap().unwrap().len();
    let refused = ask(&link, "GET", &[]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")));
    assert_eq!(ask(&link, "HEAD", &[]).await.status, 200);
    while let Some(piece) = download.piece().await.unwrap() {
        got += piece.len();
    }
    assert_eq!(got, content.len());
    assert_eq!(ask(&link, "GET", &[]).await.status, 200);
    stop.cancel();
}
