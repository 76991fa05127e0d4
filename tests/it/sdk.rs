//! The 25 steps of tests/sdk, through the SDK of every language, against the built program (ecosystem.md section 3).

use crate::otter;
use otternauts_harness::skip::skip;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");

/// Languages that were tried in this run, and whether they are there: each is built once.
static BUILT: Mutex<BTreeMap<&str, bool>> = Mutex::new(BTreeMap::new());

/// Builds the SDK of a language with the strictest checks it has. False where the machine lacks the language, and `test` is skipped loudly.
pub fn built(test: &str, language: &'static str, programs: &[&str]) -> bool {
    for program in programs {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            skip(test, &format!("{program} is not installed"));
            return false;
        }
    }
    let mut all = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let good = *all.entry(language).or_insert_with(|| {
        let build = Command::new(Path::new(FOLDER).join("build")).arg(language).output().expect("bash runs");
        if !build.status.success() {
            let _best_effort = writeln!(std::io::stderr(), "{}", said(&build));
        }
        build.status.success()
    });
    drop(all);
    assert!(good, "the SDK for {language} does not build, or its compiler complains");
    true
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
    if built("the SDK for Python", "python", &["python3"]) {
        begins("python");
        passes("python");
        passes("python-async");
    }
}

#[test]
fn the_typescript_sdk_passes_the_25_steps_and_its_readme_runs() {
    if built("the SDK for TypeScript", "typescript", &["node", "npm"]) {
        begins("typescript");
        passes("typescript");
    }
}

#[test]
fn the_go_sdk_passes_the_25_steps_and_its_readme_runs() {
    if built("the SDK for Go", "go", &["go", "gcc"]) {
        begins("go");
        passes("go");
    }
}

#[test]
fn the_java_sdk_passes_the_25_steps_and_its_readme_runs() {
    if built("the SDK for Java", "java", &["java", "javac"]) {
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
