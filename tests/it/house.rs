//! The rules of the house (docs/ARCHITECTURE.md), read from the crate graph and from the tree.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Which rooms of the workspace each room may import. Names are without the `otternauts-` prefix.
const EDGES: &[(&str, &[&str])] = &[
    ("meta", &[]),
    ("types", &[]),
    ("schema", &["meta"]),
    ("patch", &["meta", "schema"]),
    ("compose", &["meta", "types"]),
    ("rules", &[]),
    ("telemetry", &[]),
    ("dashboards", &["telemetry"]),
    ("store", &["meta", "telemetry"]),
    ("vault", &["meta", "schema"]),
    ("backup", &["meta", "schema", "store", "vault"]),
    ("auth", &["meta"]),
    ("openapi", &["meta", "schema"]),
    ("generate", &["meta", "types", "schema", "openapi"]),
    ("registry", &["meta", "types", "schema", "patch", "compose", "rules", "store", "vault", "auth", "telemetry"]),
    ("http", &["meta", "schema", "registry", "auth", "openapi", "telemetry"]),
    ("fleet", &["meta", "types", "telemetry"]),
    ("reconciler", &["telemetry"]),
    ("onboarding", &["meta", "types", "fleet", "telemetry", "reconciler"]),
    ("deploy", &["meta", "types", "compose", "fleet", "telemetry", "reconciler"]),
    ("health", &["types", "compose", "fleet", "telemetry", "reconciler"]),
    ("ingress", &["meta", "types", "compose", "fleet", "reconciler"]),
    ("courier", &["meta"]),
    ("healing", &["meta", "types", "rules", "fleet", "telemetry", "courier", "reconciler"]),
    ("notify", &["meta", "types", "telemetry", "reconciler", "courier"]),
    ("cli", &["meta", "types", "compose", "rules", "telemetry"]),
    (
        "boot",
        &[
            "meta",
            "types",
            "schema",
            "store",
            "vault",
            "backup",
            "auth",
            "registry",
            "http",
            "fleet",
            "onboarding",
            "deploy",
            "health",
            "ingress",
            "healing",
            "notify",
            "telemetry",
        ],
    ),
    ("harness", &[]),
    ("faults", &["harness", "store"]),
    ("bench", &["store"]),
    ("otternauts", &["boot", "cli"]),
];

/// Outside crates that one room alone may know.
const OWNED: &[(&str, &[&str])] = &[
    ("rusqlite", &["store", "bench", "faults"]),
    ("russh", &["fleet"]),
    ("bollard", &["fleet"]),
    ("age", &["vault"]),
    ("prometheus-client", &["telemetry"]),
    ("clap", &["cli", "boot", "bench", "otternauts"]),
    ("rcgen", &["auth"]),
];

/// What no room under `api/` may depend on: an async runtime, a server, a database, a connection.
const NOT_IN_API: &[&str] =
    &["tokio", "axum", "hyper", "rusqlite", "russh", "bollard", "futures", "kube", "tracing", "rand"];

struct Room {
    folder: String,
    imports: BTreeSet<String>,
}

fn rooms() -> BTreeMap<String, Room> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(ROOT)
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).expect("cargo prints JSON");
    let short = |name: &str| name.strip_prefix("otternauts-").unwrap_or(name).to_owned();
    let mut rooms = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("a list of packages") {
        let manifest = package["manifest_path"].as_str().expect("a path");
        let folder = manifest.strip_prefix(ROOT).unwrap_or(manifest).trim_matches('/').replace("/Cargo.toml", "");
        let imports = package["dependencies"].as_array().expect("a list of dependencies").iter();
        let imports = imports.filter(|d| d["kind"].is_null()).map(|d| d["name"].as_str().expect("a name"));
        // A room keeps its prefix here: `otternauts-http` is ours, `http` is not.
        let imports = imports.map(str::to_owned).collect();
        rooms.insert(short(package["name"].as_str().expect("a name")), Room { folder, imports });
    }
    rooms
}

#[test]
fn every_room_imports_only_what_the_house_allows() {
    let rooms = rooms();
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    for (name, room) in &rooms {
        let may = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the table of the house"));
        for import in room.imports.iter().filter_map(|i| i.strip_prefix("otternauts-")) {
            assert!(may.contains(&import), "{name} must not import {import}");
        }
    }
}

/// AO-1: whoever builds the client commands alone gets nothing of the server, of SSH or of Docker.
#[test]
fn the_minimal_program_has_no_server_in_it() {
    let out = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "otternauts",
            "--no-default-features",
            "--features",
            "minimal",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--locked", "--offline"])
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .current_dir(ROOT)
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let tree = String::from_utf8(out.stdout).expect("names of crates");
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(crates.contains("otternauts-cli"), "{tree}");
    for heavy in ["otternauts-boot", "otternauts-store", "otternauts-fleet", "rusqlite", "russh", "bollard", "age"] {
        assert!(!crates.contains(heavy), "{heavy} is in the minimal program");
    }
}

/// Release builds take too long for each run of the tests; at least the linker is asked for what it knows.
#[test]
fn the_release_builds_give_the_linker_whole_options() {
    let out =
        Command::new("make").args(["--dry-run", "build", "minimal"]).current_dir(ROOT).output().expect("make runs");
    let commands = String::from_utf8(out.stdout).expect("commands");
    assert!(out.status.success() && commands.contains("link-arg=-Wl,-Map="), "{commands}");
    let empty = commands.split_whitespace().find(|word| word.ends_with("-Wl"));
    assert_eq!(empty, None, "{commands}");
}

#[test]
fn what_one_room_owns_no_other_imports() {
    for (name, room) in &rooms() {
        for (owned, owners) in OWNED {
            assert!(!room.imports.contains(*owned) || owners.contains(&name.as_str()), "{name} must not know {owned}");
        }
        if room.folder.starts_with("api/") {
            for heavy in NOT_IN_API {
                assert!(!room.imports.contains(*heavy), "{name} is pure and must not know {heavy}");
            }
        }
    }
}

#[test]
fn every_room_is_named_after_its_folder_and_says_what_it_promises() {
    for (name, room) in &rooms() {
        if name == "otternauts" {
            continue;
        }
        assert_eq!(room.folder.rsplit('/').next(), Some(name.as_str()), "crate and folder");
        let readme = Path::new(ROOT).join(&room.folder).join("README.md");
        let text = std::fs::read_to_string(&readme).unwrap_or_else(|e| panic!("{}: {e}", readme.display()));
        assert!(text.contains("romises"), "{} does not say what it promises", readme.display());
        assert!(text.contains("ust never"), "{} does not say what it must never know", readme.display());
    }
}

/// Files git tracks, or everything but build results where this is no git checkout.
fn tracked() -> Vec<PathBuf> {
    let out = Command::new("git").args(["ls-files", "-z"]).current_dir(ROOT).output().expect("git runs");
    let list = String::from_utf8_lossy(&out.stdout).into_owned();
    list.split('\0').filter(|f| !f.is_empty()).map(|f| Path::new(ROOT).join(f)).collect()
}

#[test]
fn no_file_is_named_after_nothing() {
    for file in tracked() {
        let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let empty = ["util", "utils", "helper", "helpers", "manager", "common", "misc"];
        assert!(!empty.contains(&stem), "{}: name it after the noun it holds", file.display());
        assert_ne!(file.file_name().and_then(|s| s.to_str()), Some("mod.rs"), "{}: foo.rs beside foo/", file.display());
    }
}

#[test]
fn product_code_fits_the_house() {
    let mut long = Vec::new();
    for file in tracked().into_iter().filter(|f| f.extension().is_some_and(|e| e == "rs")) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let own = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default().lines().count();
        if own > 600 {
            long.push(format!("{} ({own})", file.display()));
        }
    }
    assert!(long.is_empty(), "over 600 lines of own code: {long:?}");
}
