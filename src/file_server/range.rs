//! Ranges of bytes (RFC 9110 14): one of them is served, of several the whole file is.

/// What of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    /// From the first byte to the last, both included.
    Part(u64, u64),
    /// The file has nothing of it.
    Nothing,
}

/// Reads a `Range` header for a file of so many bytes; one that cannot be read is ignored.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-').filter(|_| !spec.contains(',')) else {
        return Wanted::Whole;
    };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => Wanted::Whole,
        (Ok(first), _) if first >= size => Wanted::Nothing,
        (Ok(first), Ok(last)) => Wanted::Part(first, last.min(size - 1)),
        (Ok(first), Err(_)) if last.is_empty() => Wanted::Part(first, size - 1),
        (Err(_), Ok(0)) if first.is_empty() => Wanted::Nothing,
        (Err(_), Ok(count)) if first.is_empty() && size > 0 => {
            Wanted::Part(size.saturating_sub(count), size - 1)
        }
        (Err(_), Ok(_)) if first.is_empty() => Wanted::Nothing,
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_9110_14_1_2_ranges_are_within_the_file_or_there_is_nothing_of_them() {
        for (header, size, so) in [
            ("bytes=0-4", 10, Wanted::Part(0, 4)),
            ("bytes=5-", 10, Wanted::Part(5, 9)),
            ("bytes=5-99", 10, Wanted::Part(5, 9)),
            ("bytes=-3", 10, Wanted::Part(7, 9)),
            ("bytes=-99", 10, Wanted::Part(0, 9)),
            ("bytes=10-", 10, Wanted::Nothing),
            ("bytes=-0", 10, Wanted::Nothing),
            ("bytes=0-", 0, Wanted::Nothing),
            ("bytes=-5", 0, Wanted::Nothing),
            ("bytes=4-2", 10, Wanted::Whole),
            ("bytes=0-1,3-4", 10, Wanted::Whole),
            ("lines=1-2", 10, Wanted::Whole),
            ("bytes=x-2", 10, Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), size), so, "{header} of {size}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
    }
}
