//! The 25 steps of tests/sdk, through the SDK of every language, against the built program (ecosystem.md section 3).

use crate::otter;
use otternauts_harness::skip::skip;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");

/// Languages that were built in this run, each once, and why one cannot be built here.
static BUILT: Mutex<BTreeMap<&str, Result<(), String>>> = Mutex::new(BTreeMap::new());

/// Builds the SDK of a language with the strictest checks it has. False where the machine lacks the language, and `test` is skipped loudly.
pub fn built(test: &str, language: &'static str) -> bool {
    let mut all = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let found = all.entry(language).or_insert_with(|| {
        let build = Command::new(Path::new(FOLDER).join("build")).arg(language).output().expect("bash runs");
        match build.status.code() {
            Some(0) => Ok(()),
            Some(77) => Err(said(&build).trim().to_owned()),
            _ => panic!("the SDK for {language} does not build, or its compiler complains:\n{}", said(&build)),
        }
    });
    if let Err(why) = found {
        skip(test, why);
    }
    found.is_ok()
}

/// Both streams of a program, for a failure's message.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn passes(runner: &str) {
    let otter = otter();
    let ran = Command::new(Path::new(FOLDER).join("run"))
        .args([runner.as_ref(), otter.data_dir().as_os_str(), otter.url.as_ref(), crate::OTTER.as_ref()])
        .output()
        .expect("bash runs");
    assert!(ran.status.success(), "{runner}:\n{}", said(&ran));
    let lines = String::from_utf8_lossy(&ran.stdout).lines().filter(|line| line.contains(" ok ")).count();
    assert_eq!(lines, 25, "a line for every step:\n{}", said(&ran));
}

/// The first program of the README does what it says there.
fn begins(language: &str) {
    let otter = otter();
    let first = Path::new(FOLDER).join("first");
    let ran = Command::new(first).arg(language).env("KUBECONFIG", otter.kubeconfig()).output().expect("bash runs");
    assert!(ran.status.success(), "{language}:\n{}", said(&ran));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "ADDED shop Manual\n");
}

#[test]
fn the_python_sdk_passes_the_25_steps_waiting_and_awaited_and_its_readme_runs() {
    if built("the SDK for Python", "python") {
        begins("python");
        passes("python");
        passes("python-async");
    }
}

#[test]
fn the_typescript_sdk_passes_the_25_steps_and_its_readme_runs() {
    if built("the SDK for TypeScript", "typescript") {
        begins("typescript");
        passes("typescript");
    }
}

#[test]
fn the_go_sdk_passes_the_25_steps_and_its_readme_runs() {
    if built("the SDK for Go", "go") {
        begins("go");
        passes("go");
    }
}

#[test]
fn the_java_sdk_passes_the_25_steps_and_its_readme_runs() {
    if built("the SDK for Java", "java") {
        begins("java");
        passes("java");
    }
}

#[test]
fn what_the_sdks_are_published_with_names_no_registry() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/sdk");
    let files = [
        "typescript/package.json",
        "typescript/package-lock.json",
        "python/pyproject.toml",
        "go/go.mod",
        "java/pom.xml",
    ];
    for file in files {
        let text = std::fs::read_to_string(sdk.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(!text.contains("\"resolved\""), "{file} says where it was downloaded from");
        let hosts = text.split("://").skip(1).map(|rest| rest.split('/').next().unwrap_or_default());
        for host in hosts {
            assert!(
                ["maven.apache.org", "www.w3.org"].contains(&host),
                "{file} names {host}: only XML namespaces may be there"
            );
        }
    }
}
