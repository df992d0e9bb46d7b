//! Which part of a content is wanted: a `Range` of bytes (RFC 9110, section 14).

/// A part of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// All of it: no range was asked for, or none that we know; the RFC has those passed by.
    Whole,
    /// From the byte `begin` on, `length` bytes; at least one.
    Part {
        /// The first byte, from 0.
        begin: u64,
        /// How many.
        length: u64,
    },
    /// What lies beyond the end.
    Beyond,
}

/// The part of `bytes` bytes that the header `text` asks for. Of several parts at once, which nobody who plays a video asks
/// for, the whole is given.
pub(super) fn parse(text: Option<&str>, bytes: u64) -> Range {
    let Some((first, last)) = text
        .and_then(|text| text.trim().strip_prefix("bytes="))
        .filter(|set| !set.contains(','))
        .and_then(|set| set.trim().split_once('-'))
    else {
        return Range::Whole;
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (begin, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(bytes)),
        (Some(first), None) if last.is_empty() => (first, bytes),
        (None, Some(count)) if first.is_empty() => (bytes.saturating_sub(count), bytes),
        _ => return Range::Whole,
    };
    match end.checked_sub(begin) {
        None | Some(0) => Range::Beyond,
        Some(length) => Range::Part { begin, length },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        let part = |begin, length| Range::Part { begin, length };
        for (text, wanted) in [
            ("bytes=0-3", part(0, 4)),
            ("bytes=4-", part(4, 6)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=8-99", part(8, 2)),
            ("bytes=9-9", part(9, 1)),
            ("bytes=10-", Range::Beyond),
            ("bytes=10-20", Range::Beyond),
            ("bytes=-0", Range::Beyond),
            ("bytes=3-1", Range::Whole),
            ("bytes=0-1,4-5", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("lines=1-2", Range::Whole),
            ("bytes=0-18446744073709551615", part(0, 10)),
            ("bytes=0-99999999999999999999", Range::Whole),
        ] {
            assert_eq!(parse(Some(text), 10), wanted, "{text}");
        }
        assert_eq!(parse(None, 10), Range::Whole);
        assert_eq!(parse(Some("bytes=0-"), 0), Range::Beyond);
    }
}
