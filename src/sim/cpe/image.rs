//! Firmware images of simulated CPEs: a line that says what it is, a line with the version it brings, and padding.

/// An image that brings a version, of so many bytes at least.
pub fn image(version: &str, bytes: usize) -> Vec<u8> {
    let mut image = format!("{MARK}\nversion {version}\n").into_bytes();
    // Not all the same, so that a piece in the wrong place shows.
    let padding = (image.len()..bytes).map(|at| (at % 251) as u8);
    image.extend(padding);
    image
}

/// The version that an image brings; `None` of what is no image.
pub(super) fn version_of(image: &[u8]) -> Option<String> {
    let mut lines = image.splitn(3, |byte| *byte == b'\n');
    let (mark, version) = (lines.next()?, lines.next()?);
    let version = std::str::from_utf8(version).ok()?.strip_prefix("version ")?;
    let fits = !version.is_empty() && version.len() <= MAX_VERSION;
    (mark == MARK.as_bytes() && fits).then(|| version.to_owned())
}

const MARK: &str = "dragoman-sim-image 1";
/// Characters of a version (TR-181).
const MAX_VERSION: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_tells_its_version_and_nothing_else_is_one() {
        let image = image("2.0.1", 4_000);
        assert_eq!(image.len(), 4_000);
        assert_eq!(version_of(&image).as_deref(), Some("2.0.1"));
        for wrong in [&b""[..], b"dragoman-sim-image 1", b"dragoman-sim-image 2\nversion 1\n", b"<html>\n1\n"]
        {
            assert_eq!(version_of(wrong), None);
        }
    }
}
