//! The images that are kept, for whom, and how much room there is.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use crate::agent::{Checksum, Fetch, Offer, Staged};
use crate::datamodel::WallTime;
use crate::identity::EndpointId;
use crate::net::TlsClient;
use crate::policy::Egress;

use super::fetch::{FetchError, Origin};
use super::links::{Links, Target};

/// Where images are kept, and what they may cost.
#[derive(Debug, Clone)]
pub struct StageConfig {
    pub directory: PathBuf,
    /// What CPEs call, without the names of files.
    pub url: String,
    /// Bytes of one image.
    pub max_bytes: u64,
    /// Bytes of all of them.
    pub total_bytes: u64,
    /// For one image, from the request to its last byte.
    pub fetch_time: Duration,
    /// Until the origin answers, and between pieces.
    pub connect: Duration,
    pub idle: Duration,
    /// How long a link is good.
    pub link_time: Duration,
}

/// Why there is no stage.
#[derive(Debug, Error)]
#[error("failed to use {directory} for firmware images: {why}")]
pub struct StageError {
    directory: String,
    why: io::Error,
}

/// The stage; a clone is the same one.
#[derive(Clone)]
pub struct Stage(Arc<Inner>);

struct Inner {
    config: StageConfig,
    egress: Arc<Egress>,
    tls: Option<TlsClient>,
    links: Links,
    fetching: Semaphore,
    parts: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    images: HashMap<String, Image>,
    holders: HashMap<EndpointId, BTreeSet<String>>,
    /// By what was asked for, with a checksum that was found true.
    known: HashMap<Wanted, String>,
    under_way: HashMap<Wanted, watch::Receiver<Option<Result<Staged, String>>>>,
    /// Bytes of images that are being fetched.
    coming: u64,
    /// Whether all holders have been told of since the start: before that nothing is given up.
    complete: bool,
}

struct Image {
    size: u64,
    holders: usize,
    /// When somebody had to do with it last.
    at: Instant,
}

/// An image that is the same whoever asks for it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Wanted {
    url: String,
    credentials: Option<(String, String)>,
    checksum: Checksum,
}

/// Room for an image that is being fetched; given back when this is dropped.
pub(super) struct Room<'s> {
    stage: &'s Stage,
    bytes: u64,
}

impl Stage {
    /// Opens the directory, which is made if it is not there, with what is in it.
    pub fn open(
        config: StageConfig,
        egress: Arc<Egress>,
        tls: Option<TlsClient>,
    ) -> Result<Self, StageError> {
        let directory = config.directory.display().to_string();
        let opened = open(&config.directory).map_err(|why| StageError { directory, why });
        let (secret, images) = opened?;
        let links = Links::new(&secret, &config.url);
        let kept = Mutex::new(Kept { images, ..Kept::default() });
        let (fetching, parts) = (Semaphore::new(FETCHES), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { config, egress, tls, links, fetching, parts, kept })))
    }

    pub fn config(&self) -> &StageConfig {
        &self.0.config
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches an image. One with a checksum is fetched once for all who want it; what has none may be another one
    /// each time (TR-181), and is fetched each time.
    pub async fn fetch(&self, fetch: Fetch) -> Result<Staged, String> {
        let Some(checksum) = fetch.checksum.clone() else { return self.fetch_once(&fetch).await };
        let wanted = Wanted { url: fetch.url.clone(), credentials: fetch.credentials.clone(), checksum };
        let mut end = match self.join(&wanted) {
            Joined::There(staged) => return Ok(staged),
            Joined::UnderWay(end) => end,
            Joined::First(told, end) => {
                let stage = self.clone();
                tokio::spawn(async move {
                    let result = stage.fetch_once(&fetch).await;
                    stage.kept().under_way.remove(&wanted);
                    told.send_replace(Some(result));
                });
                end
            }
        };
        let result = end.wait_for(Option::is_some).await;
        let gone = || Err("the gateway stopped before the image was there".to_owned());
        result.map_or_else(|_| gone(), |result| result.clone().unwrap_or_else(gone))
    }

    fn join(&self, wanted: &Wanted) -> Joined {
        let mut kept = self.kept();
        if let Some(image) = kept.known.get(wanted).cloned()
            && let Some(size) = kept.touch(&image)
        {
            return Joined::There(Staged { image, size });
        }
        if let Some(end) = kept.under_way.get(wanted) {
            return Joined::UnderWay(end.clone());
        }
        let (told, end) = watch::channel(None);
        kept.under_way.insert(wanted.clone(), end.clone());
        Joined::First(told, end)
    }

    async fn fetch_once(&self, fetch: &Fetch) -> Result<Staged, String> {
        let Ok(_turn) = self.0.fetching.acquire().await else { return Err("the gateway stops".into()) };
        let number = self.0.parts.fetch_add(1, Ordering::Relaxed);
        let part = self.0.config.directory.join(format!("{}-{number}.{PART}", std::process::id()));
        let patience = self.0.config.fetch_time;
        let fetched = tokio::time::timeout(patience, self.fetch_to(fetch, &part)).await;
        let result = match fetched {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("the image was not there within {} s", patience.as_secs())),
        };
        if result.is_err() {
            // It may never have been made.
            let _ = tokio::fs::remove_file(&part).await;
        }
        result
    }

    async fn fetch_to(&self, fetch: &Fetch, part: &Path) -> Result<Staged, FetchError> {
        if fetch.size > self.0.config.max_bytes {
            return Err(FetchError::TooLarge(self.0.config.max_bytes));
        }
        let origin = Origin { egress: &self.0.egress, tls: self.0.tls.as_ref() };
        let fetched = origin.fetch(fetch, part, self).await?;
        let (image, size) = (fetched.name, fetched.size);
        tracing::info!(url = bare(&fetch.url), image, size, "a firmware image was fetched");
        let mut kept = self.kept();
        // Under the lock: one of the same content may be on its way out.
        std::fs::rename(part, self.file(&image))?;
        let fresh = Image { size, holders: kept.count(&image), at: Instant::now() };
        kept.images.insert(image.clone(), fresh);
        Ok(Staged { image, size })
    }

    /// Compares an image with its checksum.
    pub async fn check(&self, image: String, of: Fetch) -> Result<(), String> {
        let Fetch { url, credentials, checksum: Some(checksum), .. } = of else { return Ok(()) };
        let wanted = Wanted { url, credentials, checksum };
        if self.kept().known.get(&wanted) == Some(&image) {
            // Another device's image was found to be so.
            return Ok(());
        }
        let (file, checksum) = (self.file(&image), wanted.checksum.clone());
        let checked = tokio::task::spawn_blocking(move || compare(&file, &checksum)).await;
        let result = checked.unwrap_or_else(|error| Err(error.to_string()));
        let mut kept = self.kept();
        kept.touch(&image);
        if result.is_ok() {
            if kept.known.len() >= MAX_KNOWN {
                kept.known.clear();
            }
            kept.known.insert(wanted, image);
        }
        result
    }

    /// A link by which a CPE can load an image from now on.
    pub fn offer(&self, image: &str, name: &str, now: WallTime) -> Result<Offer, String> {
        let size = self.kept().touch(image);
        let size = size.ok_or_else(|| "the image is not in the gateway any more".to_owned())?;
        let expires = now.0 / 1_000 + self.0.config.link_time.as_secs();
        Ok(Offer { url: self.0.links.sign(image, name, expires), size })
    }

    /// The file that a path, below the public URL, leads to: its image, its path and its size in bytes.
    pub(super) fn find(&self, path: &str, now: WallTime) -> Option<(String, PathBuf, u64)> {
        let Target { image, .. } = self.0.links.open(path, now.0 / 1_000)?;
        let size = self.kept().touch(image)?;
        Some((image.to_owned(), self.file(image), size))
    }

    /// A device needs these images from now on, and no others.
    pub fn hold(&self, device: &EndpointId, images: BTreeSet<String>) {
        let mut kept = self.kept();
        let before = match images.is_empty() {
            true => kept.holders.remove(device),
            false => kept.holders.insert(device.clone(), images.clone()),
        };
        for image in before.iter().flatten().filter(|image| !images.contains(*image)) {
            kept.change(image, |holders| holders.saturating_sub(1));
        }
        let before = before.unwrap_or_default();
        for image in images.iter().filter(|image| !before.contains(*image)) {
            kept.change(image, |holders| holders + 1);
        }
    }

    /// What a device was stored to need, unless it has said so itself meanwhile.
    pub fn adopt(&self, device: &EndpointId, images: BTreeSet<String>) {
        if !self.kept().holders.contains_key(device) {
            self.hold(device, images);
        }
    }

    /// All devices have been told of: what nobody needs can be given up.
    pub fn complete(&self) {
        self.kept().complete = true;
    }

    /// Gives up, now and then, what nobody needs any more. Ends with the gateway.
    pub async fn tidy(self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.sweep(GRACE);
        }
    }

    /// Gives up what nobody needs, nor had to do with for a while.
    pub(super) fn sweep(&self, grace: Duration) {
        let mut kept = self.kept();
        if !kept.complete {
            return;
        }
        let old = kept.images.iter().filter(|(_, image)| image.holders == 0 && image.at.elapsed() >= grace);
        let old: Vec<String> = old.map(|(name, _)| name.clone()).collect();
        for name in old {
            kept.images.remove(&name);
            kept.known.retain(|_, image| *image != name);
            if let Err(error) = std::fs::remove_file(self.file(&name)) {
                tracing::warn!(image = name, %error, "an old firmware image could not be deleted");
            }
        }
    }

    /// Room for an image of which so many bytes are expected.
    pub(super) fn room(&self, bytes: u64) -> Result<Room<'_>, FetchError> {
        let mut room = Room { stage: self, bytes: 0 };
        room.grow(bytes)?;
        Ok(room)
    }

    fn file(&self, image: &str) -> PathBuf {
        self.0.config.directory.join(format!("{image}.{IMAGE}"))
    }
}

enum Joined {
    There(Staged),
    UnderWay(watch::Receiver<Option<Result<Staged, String>>>),
    First(watch::Sender<Option<Result<Staged, String>>>, watch::Receiver<Option<Result<Staged, String>>>),
}

impl Kept {
    /// Somebody has to do with an image, whose size this is.
    fn touch(&mut self, image: &str) -> Option<u64> {
        let image = self.images.get_mut(image)?;
        image.at = Instant::now();
        Some(image.size)
    }

    fn change(&mut self, image: &str, by: impl Fn(usize) -> usize) {
        if let Some(image) = self.images.get_mut(image) {
            image.holders = by(image.holders);
            image.at = Instant::now();
        }
    }

    fn count(&self, image: &str) -> usize {
        self.holders.values().filter(|held| held.contains(image)).count()
    }

    fn bytes(&self) -> u64 {
        self.coming + self.images.values().map(|image| image.size).sum::<u64>()
    }
}

impl Room<'_> {
    /// Takes so many bytes in all; what nobody needs makes way.
    pub fn grow(&mut self, bytes: u64) -> Result<(), FetchError> {
        let more = bytes.saturating_sub(self.bytes);
        let total = self.stage.0.config.total_bytes;
        if self.stage.kept().bytes() + more > total {
            self.stage.sweep(HASTE);
        }
        let mut kept = self.stage.kept();
        let taken = kept.bytes();
        if taken + more > total {
            return Err(FetchError::Full(taken));
        }
        kept.coming += more;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut kept = self.stage.kept();
        kept.coming = kept.coming.saturating_sub(self.bytes);
    }
}

/// The secret of links and the images that are there. What was left half done is removed.
fn open(directory: &Path) -> io::Result<(Vec<u8>, HashMap<String, Image>)> {
    std::fs::create_dir_all(directory)?;
    let mut images = HashMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(PART) if is_fetched(&path) => {}
            Some(PART) => std::fs::remove_file(&path)?,
            Some(IMAGE) => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                images.insert(name, Image { size: entry.metadata()?.len(), holders: 0, at: Instant::now() });
            }
            _ => {}
        }
    }
    Ok((secret(&directory.join(SECRET))?, images))
}

/// Whether the process that fetches this part is alive: the one that hands over to this one ends what it has begun.
fn is_fetched(part: &Path) -> bool {
    let name = part.file_stem().and_then(|name| name.to_str());
    let process = name.and_then(|name| name.split('-').next());
    let process =
        process.and_then(|process| process.parse::<u32>().ok()).filter(|it| *it != std::process::id());
    process.is_some_and(|process| Path::new("/proc").join(process.to_string()).exists())
}

/// Links that a CPE was given before a restart of the gateway stay good.
fn secret(file: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(file) {
        Ok(secret) if secret.len() == SECRET_BYTES => return Ok(secret),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut secret = vec![0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut secret).map_err(io::Error::other)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::Write::write_all(&mut options.open(file)?, &secret)?;
    Ok(secret)
}

fn compare(file: &Path, checksum: &Checksum) -> Result<(), String> {
    let algorithm = match checksum.algorithm.as_str() {
        "SHA-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "SHA-224" => &digest::SHA224,
        "SHA-256" => &digest::SHA256,
        "SHA-384" => &digest::SHA384,
        "SHA-512" => &digest::SHA512,
        other => return Err(format!("there is no algorithm {other} for checksums")),
    };
    let unreadable = |error: io::Error| format!("the image could not be read: {error}");
    let mut file = std::fs::File::open(file).map_err(unreadable)?;
    let mut context = digest::Context::new(algorithm);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            read => context.update(&buffer[..read]),
        }
    }
    let found: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let wanted = checksum.value.to_ascii_lowercase();
    let same: bool = found.as_bytes().ct_eq(wanted.as_bytes()).into();
    if same {
        Ok(())
    } else {
        Err(format!("the {} of the image is {found}, not {wanted}", checksum.algorithm))
    }
}

/// A URL without its query, which may hold secrets.
fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

const IMAGE: &str = "image";
const PART: &str = "part";
const SECRET: &str = "link-secret";
const SECRET_BYTES: usize = 32;
/// Images that are fetched at a time; more wait their turn.
const FETCHES: usize = 8;
/// Images that are known by their checksum.
const MAX_KNOWN: usize = 4_096;
/// How often is looked for what can go, and how long nobody must have had to do with it.
const SWEEP: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(600);
/// The same where room is needed.
const HASTE: Duration = Duration::from_secs(30);
