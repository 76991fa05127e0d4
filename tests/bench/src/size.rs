//! The program's size, byte by byte with its owner: read from the map that the linker writes beside it.

use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// What the program is made of: the crates of each component, by how their names begin, and how many MB it may take.
const COMPONENTS: &[(&str, f64, &[&str])] = &[
    ("otter itself", 4.0, &["otter"]),
    ("Kubernetes client and types", 2.0, &["k8s_openapi", "kube", "schemars", "jsonpath"]),
    ("Docker client", 1.0, &["bollard"]),
    (
        "SSH",
        1.5,
        &[
            "russh",
            "ssh_",
            "ed25519",
            "p256",
            "p384",
            "p521",
            "rsa",
            "elliptic",
            "primeorder",
            "crypto_bigint",
            "curve25519",
            "ml_kem",
            "aes",
            "cipher",
        ],
    ),
    ("database", 1.2, &["libsqlite3", "rusqlite"]),
    (
        "TLS and certificates",
        1.5,
        &[
            "rustls",
            "ring",
            "webpki",
            "rcgen",
            "x509",
            "asn1",
            "tokio_rustls",
            "hyper_rustls",
            "der_parser",
            "oid_registry",
        ],
    ),
    ("HTTP", 1.2, &["hyper", "h2", "http", "axum", "tower", "matchit", "httparse", "brotli", "flate2", "miniz"]),
    ("sealing and backups", 0.6, &["age", "chacha20", "poly1305", "scrypt", "i18n", "fluent", "intl", "bech32"]),
    ("traces and metrics", 0.6, &["opentelemetry", "prost", "tracing", "prometheus"]),
    ("YAML and JSON", 0.8, &["serde", "granit", "saphyr", "jsonschema", "json", "annotate", "itoa", "zmij", "ryu"]),
    ("command line", 1.0, &["clap", "console", "indicatif", "anstream", "anstyle", "strsim"]),
    ("mail", 0.5, &["lettre", "email", "quoted_printable", "nom", "mail"]),
    ("etcd", 0.6, &["etcd", "tonic"]),
    ("text and time", 0.8, &["regex", "aho_corasick", "jiff", "chrono", "time", "idna", "icu", "url"]),
    ("async runtime", 0.8, &["tokio", "futures", "mio", "parking_lot"]),
];
/// The language's own library, and what belongs to nobody: unwinding tables, relocations, strings.
const REST: (&str, f64) = ("Rust's library and tables", 8.0);

/// Bytes by owner, from an lld map: a crate for code that is named, an object file else, the section for what the linker makes.
fn owners(map: &str) -> BTreeMap<String, u64> {
    let mut sizes = BTreeMap::new();
    let mut stored = true;
    for line in map.lines().skip(1) {
        let mut fields = line.split_whitespace();
        let (Some(_), Some(_), Some(size), Some(_)) = (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (Ok(size), Some(what)) = (u64::from_str_radix(size, 16), fields.next()) else { continue };
        let Some((file, section)) = what.split_once(":(") else {
            if what.starts_with('.') {
                // What a stripped program does not carry, and what is only memory.
                stored =
                    ![".debug", ".symtab", ".strtab", ".bss", ".tbss", ".comment"].iter().any(|s| what.starts_with(s));
            }
            continue;
        };
        if stored {
            let owner = match section.split_once("_ZN") {
                Some((_, name)) => namespace(name).unwrap_or_else(|| object(file)),
                None if section.starts_with(".eh_frame") => "unwinding".to_owned(),
                None => object(file),
            };
            *sizes.entry(owner).or_default() += size;
        }
    }
    sizes
}

/// The crate of a mangled name: `5tokio7runtime…`, or that of the type whose trait it is: `60_$LT$tokio..runtime…`.
fn namespace(mangled: &str) -> Option<String> {
    let digits = mangled.len() - mangled.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let length: usize = mangled[..digits].parse().ok()?;
    let mut first = mangled.get(digits..digits + length)?;
    // `<T as trait>` of any type belongs to the trait.
    first = first.strip_prefix("_$LT$T$u20$as$u20$").unwrap_or(first);
    while let Some(rest) = first
        .strip_prefix('_')
        .or_else(|| first.strip_prefix("mut$u20$"))
        .or_else(|| first.strip_prefix('$').and_then(|r| r.split_once('$')).map(|r| r.1))
    {
        first = rest;
    }
    let end = first.find("..").or_else(|| first.find('$')).unwrap_or(first.len());
    (!first[..end].is_empty()).then(|| first[..end].to_owned())
}

/// `…/liblibsqlite3_sys-0123456789abcdef.rlib(sqlite3.o)`: libsqlite3_sys.
fn object(file: &str) -> String {
    let name = file.rsplit_once(".rlib").map_or(file, |(path, _)| path);
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.split('-').next().unwrap_or(name);
    name.strip_prefix("lib").unwrap_or(name).to_owned()
}

fn component(owner: &str) -> &'static str {
    let of = |(_, _, crates): &&(&str, f64, &[&str])| crates.iter().any(|c| owner.starts_with(c));
    COMPONENTS.iter().find(of).map_or(REST.0, |(name, _, _)| *name)
}

/// Prints what each component takes of the program on disk, beside its budget. The rest of the file is what the map does not name.
/// Of the `minimal` program only the sum.
pub fn print(program: &Path, map: &Path, minimal: Option<&Path>) -> Result<()> {
    let total = std::fs::metadata(program)?.len();
    #[allow(clippy::cast_precision_loss, reason = "a file size")]
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!("{:<60}{:>12.1}", "binary, MB", mb(total));
    if let Some(path) = minimal {
        println!(
            "{:<60}{:>12.1}",
            "binary of the client commands alone (minimal), MB",
            mb(std::fs::metadata(path)?.len())
        );
    }
    let Ok(text) = std::fs::read_to_string(map) else { return Ok(()) };
    let sizes = owners(&text);
    let mut of: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    sizes.iter().for_each(|(owner, size)| of.entry(component(owner)).or_default().push((owner, *size)));
    let named: u64 = sizes.values().sum();
    of.entry(REST.0).or_default().push(("not named", total.saturating_sub(named)));
    let budget = |name: &str| COMPONENTS.iter().find(|c| c.0 == name).map_or(REST.1, |c| c.1);
    let mut rows: Vec<_> =
        of.into_iter().map(|(name, owners)| (name, owners.iter().map(|o| o.1).sum::<u64>(), owners)).collect();
    rows.sort_by_key(|(_, size, _)| std::cmp::Reverse(*size));
    for (name, size, mut owners) in rows {
        owners.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        let most: Vec<String> = owners.iter().take(4).map(|(o, n)| format!("{o} {:.2}", mb(*n))).collect();
        let over = if mb(size) > budget(name) { "  OVER" } else { "" };
        println!("  {name:<38}{:>8.2} of {:>5.1} MB{over:<6}  {}", mb(size), budget(name), most.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_of_the_map_has_an_owner() {
        let map = "VMA LMA Size Align Out In Symbol\n\
            10 10 100 16 .text\n\
            10 10 20 16         /x/otter-0123.rcgu.o:(.text._ZN5tokio7runtime4park17h0E)\n\
            10 10 20 1                 tokio::runtime::park\n\
            20 20 10 16         /x/otter-0123.rcgu.o:(.eh_frame+0x10)\n\
            30 30 30 16         /x/otter-0123.rcgu.o:(.text._ZN64_$LT$$RF$mut$u20$h2..frame..Head$u20$as$u20$core..fmt..Debug$GT$3fmt17h0E)\n\
            60 60 40 16         /x/liblibsqlite3_sys-0123456789abcdef.rlib(sqlite3.o):(.text.balance)\n\
            0 0 999 1 .debug_info\n\
            0 0 999 1         /x/otter-0123.rcgu.o:(.debug_info)\n";
        let expected = [("h2", 0x30), ("libsqlite3_sys", 0x40), ("tokio", 0x20), ("unwinding", 0x10)];
        assert_eq!(owners(map), expected.map(|(owner, size)| (owner.to_owned(), size)).into());
        let trait_of_any = "52_$LT$T$u20$as$u20$kube_runtime..watcher..ApiMode$GT$4list17h0E";
        assert_eq!(namespace(trait_of_any).as_deref(), Some("kube_runtime"));
        assert_eq!((component("libsqlite3_sys"), component("h2"), component("core")), ("database", "HTTP", REST.0));
    }
}
