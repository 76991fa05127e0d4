//! The committed files beside what would be made.

use super::*;
use std::path::PathBuf;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_committed_file_is_what_would_be_made() {
    let stale: Vec<String> = files(&root())
        .expect("the table is valid")
        .into_iter()
        .filter(|(path, text)| std::fs::read_to_string(root().join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    assert!(stale.is_empty(), "run `make generate` and commit what it changes: {stale:?}");
}

#[test]
fn making_twice_gives_the_same_bytes() {
    assert_eq!(files(&root()).expect("valid"), files(&root()).expect("valid"));
}

#[test]
fn no_stable_name_type_or_label_is_gone() {
    let committed = std::fs::read_to_string(root().join(STABLE)).expect("it is committed");
    let broken = stable::broken(&committed, &stable::lines());
    assert!(broken.is_empty(), "STABLE metrics keep their name, type and labels:\n{}", broken.join("\n"));
}

#[test]
fn a_stable_name_that_goes_is_found() {
    let mut now = stable::lines();
    let committed = stable::grown("", &now);
    assert!(stable::broken(&committed, &now).is_empty());
    assert!(now.remove("apiserver_request_total label code"));
    assert_eq!(stable::broken(&committed, &now), ["apiserver_request_total label code"]);
    assert_eq!(stable::grown(&committed, &now), committed, "making the list again does not hide it");
}
