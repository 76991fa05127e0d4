//! A new root key where the key is kept outside the directory: cut short, run again, and what is refused.

use super::*;
use otternauts_harness::Etcd;
use otternauts_vault::Recipient;
use std::path::Path;

fn key(path: &Path) -> String {
    let identity = Identity::generate();
    std::fs::write(path, identity.to_line().expose()).expect("written");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("closed");
    identity.recipient()
}

/// A control plane whose replica has run once and stopped.
async fn made(dir: &Path, store: EtcdOptions, old: &Path, recovery: &[Recipient]) {
    let data = DataDir::open(dir).expect("opens");
    let found = seal::find(&data, None, Some(old.to_owned())).expect("found");
    data.protect().expect("closed");
    let serve = EtcdOptions { purpose: Purpose::Serve, ..store };
    let store = tokio::task::spawn_blocking(move || Store::etcd(serve)).await.expect("no panic").expect("opens");
    found.unlock(&data, &store, recovery).await.expect("a first start");
    store.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_root_key_that_is_kept_outside_is_taken_once_and_a_run_that_was_cut_short_is_ended_by_another() {
    if !Etcd::is_installed() {
        return otternauts_harness::skip::skip("a new root key in etcd", "etcd is not installed");
    }
    let (etcd, dir) = (Etcd::start(1, &[]), tempfile::tempdir().expect("a directory"));
    let config = EtcdConfig { endpoints: etcd.endpoints(), prefix: "/root".to_owned(), ..EtcdConfig::default() };
    let store = storage::etcd_options(&config, Purpose::Leave);
    let [old, new, other] = ["old", "new", "other"].map(|name| dir.path().join(name));
    let (before, after, _) = (key(&old), key(&new), key(&other));
    let home = dir.path().join("home");
    let order = |file: &Path, next: Option<&Path>| Order {
        store: store.clone(),
        data_dir: home.clone(),
        with: With::Root(Some(file.to_owned())),
        new_secret_key_file: next.map(Path::to_owned),
    };
    let refused = async |order: Order, expected: &str| {
        let error = format!("{:#}", run(order, None, |_: &str| ()).await.expect_err(expected));
        assert!(error.contains(expected), "{error}");
    };
    refused(order(&old, Some(&new)), "it should be the data directory of a replica").await;
    std::fs::create_dir(&home).expect("made");
    refused(order(&old, Some(&new)), "there is no store of ours in etcd").await;
    made(&home, store.clone(), &old, &[]).await;
    refused(order(&other, Some(&new)), &before).await;
    refused(order(&old, None), "name the new one with --new-secret-key-file").await;
    let public = || std::fs::read_to_string(home.join(seal::PUBLIC)).expect("there");
    assert_eq!(public(), format!("{before}\n"), "nothing was changed");

    assert_eq!(run(order(&old, Some(&new)), None, |_: &str| ()).await.expect("replaced"), after);
    assert_eq!(public(), format!("{after}\n"));
    refused(order(&old, Some(&other)), &after).await;
    // As when it was cut short behind the one step that counts: the file still names both.
    std::fs::write(home.join(seal::PUBLIC), format!("{before}\n{after}\n")).expect("written");
    assert_eq!(run(order(&old, Some(&new)), None, |_: &str| ()).await.expect("ended"), after);
    assert_eq!(public(), format!("{after}\n"));
    assert!(!home.join(seal::PRIVATE).exists(), "its owner keeps it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_root_key_of_a_store_in_etcd_is_replaced_with_a_recovery_key() {
    if !Etcd::is_installed() {
        return otternauts_harness::skip::skip("a lost root key in etcd", "etcd is not installed");
    }
    let (etcd, dir) = (Etcd::start(1, &[]), tempfile::tempdir().expect("a directory"));
    let config = EtcdConfig { endpoints: etcd.endpoints(), prefix: "/lost".to_owned(), ..EtcdConfig::default() };
    let store = storage::etcd_options(&config, Purpose::Leave);
    let [lost, new, recovery, other] = ["lost", "new", "recovery", "other"].map(|name| dir.path().join(name));
    let (root, next, public, _) = (key(&lost), key(&new), key(&recovery), key(&other));
    let home = dir.path().join("home");
    std::fs::create_dir(&home).expect("made");
    made(&home, store.clone(), &lost, &[Recipient::parse(&public).expect("one")]).await;
    std::fs::remove_file(&lost).expect("lost");
    let order = |file: &Path, next: Option<&Path>| Order {
        store: store.clone(),
        data_dir: home.clone(),
        with: With::Recovery(Identity::read(file).expect("a key")),
        new_secret_key_file: next.map(Path::to_owned),
    };
    let refused = run(order(&other, None), None, |_: &str| ()).await.expect_err("no reader").to_string();
    assert!(refused.contains(&root) && refused.contains(&public), "{refused}");
    assert_eq!(std::fs::read_to_string(home.join(seal::PUBLIC)).expect("there"), format!("{root}\n"));

    assert_eq!(run(order(&recovery, Some(&new)), None, |_: &str| ()).await.expect("replaced"), next);
    made(&home, store.clone(), &new, &[]).await;
    assert!(!home.join(seal::PRIVATE).exists(), "its owner keeps it");
    // Without a file it goes into the directory, from where a start takes it.
    let made_here = run(order(&recovery, None), None, |_: &str| ()).await.expect("replaced once more");
    assert_eq!(Identity::read(&home.join(seal::PRIVATE)).expect("a key").recipient(), made_here);
    made(&home, store.clone(), &home.join(seal::PRIVATE), &[]).await;
}
