//! Data model paths as text: objects end in a dot, instances are numbers.

/// The object that holds `path`: `A.B.` of `A.B.C` and of `A.B.C.`; `None` of a root.
pub fn parent(path: &str) -> Option<&str> {
    let trimmed = path.strip_suffix('.').unwrap_or(path);
    trimmed.rfind('.').map(|at| &path[..=at])
}

/// Whether the path is an object's.
pub fn is_object(path: &str) -> bool {
    path.ends_with('.')
}

/// The last segment without its dot.
pub fn name(path: &str) -> &str {
    let trimmed = path.strip_suffix('.').unwrap_or(path);
    trimmed.rfind('.').map_or(trimmed, |at| &trimmed[at + 1..])
}

/// The instance number, if the path is an instance's.
pub fn instance(path: &str) -> Option<u32> {
    if is_object(path) { name(path).parse().ok().filter(|number| *number > 0) } else { None }
}

/// The second segment: by it a shadow is stored in parts.
pub fn top_level(path: &str) -> &str {
    let mut segments = path.split('.');
    let root = segments.next().unwrap_or("");
    segments.next().filter(|top| !top.is_empty()).unwrap_or(root)
}

/// What a path's top-level object is kept under: the first two segments with their dots. Paths that have it
/// in common stand together in byte order.
pub(super) fn part(path: &str) -> &str {
    let dots = path.match_indices('.').nth(1);
    dots.map_or(path, |(at, _)| &path[..=at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_apart_at_their_dots() {
        assert_eq!(parent("Device.WiFi.SSID.1.Enable"), Some("Device.WiFi.SSID.1."));
        assert_eq!(parent("Device.WiFi."), Some("Device."));
        assert_eq!(parent("Device."), None);
        assert_eq!(name("Device.WiFi.SSID.12."), "12");
        assert_eq!(instance("Device.WiFi.SSID.12."), Some(12));
        assert_eq!(instance("Device.WiFi.SSID."), None);
        assert_eq!(top_level("Device.WiFi.SSID.1.Enable"), "WiFi");
        assert_eq!(top_level("Device."), "Device");
    }
}
