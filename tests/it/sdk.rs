//! The 25 steps of tests/sdk, through the SDK of every language, against the built program (ecosystem.md section 3).

use crate::otter;
use otternauts_harness::skip::skip;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");

/// Builds the SDK of a language with the strictest checks it has. `None`, and a loud skip, where the machine lacks the language.
pub fn built(language: &str, programs: &[&str]) -> Option<()> {
    for program in programs {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            skip(&format!("the SDK for {language}"), &format!("{program} is not installed"));
            return None;
        }
    }
    let build = Command::new(Path::new(FOLDER).join("build")).arg(language).output().expect("bash runs");
    assert!(build.status.success(), "the SDK for {language} does not build:\n{}", said(&build));
    Some(())
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

#[test]
fn the_python_sdk_passes_the_25_steps_waiting_and_awaited() {
    if built("python", &["python3"]).is_some() {
        passes("python");
        passes("python-async");
    }
}

#[test]
fn the_typescript_sdk_passes_the_25_steps() {
    if built("typescript", &["node", "npm"]).is_some() {
        passes("typescript");
    }
}

#[test]
fn the_go_sdk_passes_the_25_steps() {
    if built("go", &["go", "gcc"]).is_some() {
        passes("go");
    }
}

#[test]
fn the_java_sdk_passes_the_25_steps() {
    if built("java", &["java", "javac"]).is_some() {
        passes("java");
    }
}
