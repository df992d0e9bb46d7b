//! How browsers are to treat what somebody uploaded: never as a page of this server.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderValue, header};

/// What a browser may do with a content that it shows
/// (<https://spec.matrix.org/v1.19/client-server-api/#content-repository>).
const POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; \
     object-src 'self';",
);
/// Web clients of any origin may show it.
const CROSS_ORIGIN: HeaderValue = HeaderValue::from_static("cross-origin");
/// A name has the same content for ever, but it is for who may see it.
const CACHE: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");
/// What has no type.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Types that are safe to show in place
/// (<https://spec.matrix.org/v1.19/client-server-api/#serving-inline-content>). The rest is offered to be saved.
const INLINE: [&str; 27] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
    "application/ogg",
];

/// Adds what every content is given back with.
pub(super) fn add(headers: &mut HeaderMap, content_type: Option<&str>, filename: Option<&str>) {
    let kind = content_type.and_then(|text| HeaderValue::from_str(text).ok()).unwrap_or(OCTETS);
    headers.insert(header::CONTENT_TYPE, kind);
    if let Ok(disposition) = HeaderValue::try_from(disposition(content_type, filename)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::HeaderName::from_static("cross-origin-resource-policy"), CROSS_ORIGIN);
    headers.insert(header::CACHE_CONTROL, CACHE);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

/// Whether to show or to save a content, and under which name.
fn disposition(content_type: Option<&str>, filename: Option<&str>) -> String {
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut text = if INLINE.contains(&kind.as_str()) { "inline" } else { "attachment" }.to_owned();
    let Some(name) = filename.filter(|name| !name.is_empty()) else { return text };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    if name.bytes().all(is_plain) {
        let _ = write!(text, "; filename={name}");
    } else if name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\%".contains(&byte)) {
        let _ = write!(text, "; filename=\"{name}\"");
    } else {
        text.push_str("; filename*=utf-8''");
        for byte in name.bytes() {
            match byte {
                byte if is_plain(byte) => text.push(char::from(byte)),
                byte => drop(write!(text, "%{byte:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_page_is_saved_and_names_are_escaped() {
        for (kind, name, wanted) in [
            (Some("image/png"), None, "inline"),
            (Some("IMAGE/PNG; a=b"), Some("a.png"), "inline; filename=a.png"),
            (Some("text/html"), Some("a page.html"), "attachment; filename=\"a page.html\""),
            (Some("image/svg+xml"), Some(""), "attachment"),
            (None, Some("a\"b"), "attachment; filename*=utf-8''a%22b"),
            (Some("text/plain"), Some("f\u{fc}r\r\n.txt"), "inline; filename*=utf-8''f%C3%BCr%0D%0A.txt"),
        ] {
            assert_eq!(disposition(kind, name), wanted);
        }
    }
}
