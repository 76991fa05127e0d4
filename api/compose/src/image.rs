//! Image references: `[host[:port]/]path[:tag][@digest]`.

/// What is wrong with a reference, or `None`.
pub(crate) fn problem(reference: &str) -> Option<&'static str> {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    if digest.is_some_and(|d| !is_digest(d)) {
        return Some("the digest is not sha256: and 64 hex digits");
    }
    let slash = name.rfind('/').map_or(0, |i| i + 1);
    let (path, tag) = match name[slash..].split_once(':') {
        Some((_, tag)) => (&name[..name.len() - tag.len() - 1], Some(tag)),
        None => (name, None),
    };
    if tag.is_some_and(|t| !is_tag(t)) {
        return Some("the tag has letters, digits, _ . and -, at most 128 in all");
    }
    let path = match path.split_once('/') {
        Some((host, rest)) if is_host(host) => rest,
        _ => path,
    };
    if path.is_empty() || path.len() > 255 || !path.split('/').all(is_component) {
        return Some("an image's name has lower-case letters, digits and single . _ - between them");
    }
    None
}

fn is_host(first: &str) -> bool {
    let (name, port) = first.split_once(':').unwrap_or((first, "0"));
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let named = first == "localhost" || first.contains(['.', ':']);
    named && name.split('.').all(label) && port.parse::<u16>().is_ok()
}

fn is_component(part: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    part.bytes().all(fine) && edge(part.as_bytes().first()) && edge(part.as_bytes().last()) && !part.contains("..")
}

fn is_tag(tag: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    !tag.is_empty() && tag.len() <= 128 && tag.bytes().all(fine) && !tag.starts_with(['.', '-'])
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The registry an image comes from: `docker.io` when the reference names none.
pub fn registry(reference: &str) -> String {
    match reference.split_once('/') {
        Some((host, _)) if is_host(host) => host.to_owned(),
        _ => "docker.io".to_owned(),
    }
}
