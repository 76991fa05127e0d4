//! A restore into etcd that is cut short, and what is refused before anything is done.

use super::*;
use crate::config::EtcdConfig;
use crate::storage;
use otternauts_backup::{REVISION_BUMP, Source, create};
use otternauts_harness::Etcd;
use otternauts_store::{Body, Key, Op, Precondition, Purpose, Range, Store, Write};
use otternauts_vault::{Recipient, Vault};
use tokio::runtime::Handle;

const OBJECTS: u64 = 1200;
const FILES: [&str; 4] = ["pki/ca.crt", "pki/ca.key", "pki/sa.key", "admin.token"];

fn etcd(test: &str) -> Option<Etcd> {
    if Etcd::is_installed() {
        return Some(Etcd::start(1, &[]));
    }
    otternauts_harness::skip::skip(test, "etcd is not installed");
    None
}

fn options(etcd: &Etcd, prefix: &str) -> EtcdOptions {
    let config = EtcdConfig { endpoints: etcd.endpoints(), prefix: prefix.to_owned(), ..EtcdConfig::default() };
    storage::etcd_options(&config, Purpose::Serve)
}

/// A backup of a store that no replicas shared, and the line of the key that opens it.
async fn backup(dir: &Path) -> (PathBuf, Secret<String>) {
    let (root, operator) = (Identity::generate(), Identity::generate());
    let (vault, _) = Vault::open(&root, None).expect("made");
    let store = Store::memory();
    for number in 0..OBJECTS {
        let head = format!("{{\"n\":{number},\"v\":\"");
        let body = Body { head: head.into(), tail: "\"}".into(), schema: 7, leaving: false };
        let key = Key::new("widgets.example.org", "default", format!("w{number}"));
        let write = Write { key, precondition: Precondition::Absent, op: Op::Put(body) };
        store.commit(vec![write]).await.expect("committed");
    }
    store.set_meta("kept", "along".into()).await.expect("kept");
    let reader = Recipient::parse(&operator.recipient()).expect("one");
    let (path, runtime) = (dir.join("a.backup"), Handle::current());
    let file = std::fs::File::create(&path).expect("made");
    let work = move || {
        let content = |name: &str| Secret::new(format!("what is in {name}").into_bytes());
        let files = FILES.map(|name| FileEntry { name: name.to_owned(), mode: 0o600, content: content(name) });
        let created = "2026-01-02T03:04:05Z".to_owned();
        let (store, vault) = (&store, &vault);
        let source = Source { store, vault, files: files.to_vec(), created, version: "0".to_owned(), without: &[] };
        create(&source, &[reader], file, &runtime).map(drop)
    };
    tokio::task::spawn_blocking(work).await.expect("no panic").expect("made");
    (path, operator.to_line())
}

fn order(file: &Path, key: &Secret<String>, to: &EtcdOptions, data_dir: &Path) -> Order {
    let identity = Identity::parse(key.expose(), "the test").expect("a key");
    Order { file: file.to_owned(), identity, to: to.clone(), data_dir: data_dir.to_owned(), secret_key_file: None }
}

async fn refused(order: Order, expected: &str, code: u8) {
    let error = run(order, None, |_: &str| ()).await.err().expect(expected);
    assert!(format!("{error:#}").contains(expected), "{error:#}");
    assert_eq!(crate::ending::code(&error), code, "{error:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_into_etcd_that_is_cut_short_opens_for_nobody_and_running_it_again_ends_it_r44() {
    let Some(etcd) = etcd("a restore into etcd that is cut short") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (file, key) = backup(dir.path()).await;
    let (to, home) = (options(&etcd, "/cut"), dir.path().join("home"));
    let open = async || {
        let to = to.clone();
        tokio::task::spawn_blocking(move || Store::etcd(to)).await.expect("no panic")
    };
    // Cut short in the middle of the objects, and before the end.
    for seen in [1, 2] {
        let lines = std::sync::atomic::AtomicUsize::new(0);
        let cut = move |_: &str| {
            let line = lines.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            assert!(line < seen, "the plug is pulled");
        };
        assert!(tokio::spawn(run(order(&file, &key, &to, &home), None, cut)).await.expect("no panic here").is_err());
        let refused = format!("{:#}", anyhow::Error::from(open().await.err().expect("refused")));
        assert!(refused.contains("a restore of ") && refused.contains("was not finished"), "{refused}");
    }
    let made = std::fs::read_to_string(home.join("secret.key")).expect("it is durable by then");

    let done = run(order(&file, &key, &to, &home), None, |_: &str| ()).await.expect("ends it");
    assert_eq!((done.summary.objects, done.revision, done.key_in_data_dir), (OBJECTS, OBJECTS + REVISION_BUMP, true));
    assert_eq!(std::fs::read_to_string(home.join("secret.key")).expect("there"), made, "the key that was made before");
    let store = open().await.expect("it is whole");
    assert_eq!(store.meta("kept").await.expect("read").as_deref(), Some(&b"along"[..]));
    assert_eq!(store.epoch().await.expect("read"), 1);
    assert!(store.watch(Range::resource("widgets.example.org"), OBJECTS).await.is_err(), "there is no past");
    let one = store.get(&Key::new("widgets.example.org", "default", "w7")).await.expect("read").expect("there");
    assert_eq!((one.revision, &one.body[..]), (8, &b"{\"n\":7,\"v\":\"8\"}"[..]));
    let shared = store.get(&Key::new("secrets", "otternauts-system", "otternauts-pki")).await.expect("read");
    assert!(shared.is_some(), "what all replicas must share is in the store");
    let kept = store.meta(seal::META).await.expect("read").expect("a keyring");
    Vault::open(&Identity::parse(&made, "the test").expect("a key"), Some(&kept)).expect("the new root key opens it");
    store.close().await.expect("closed");
    for name in FILES {
        assert_eq!(std::fs::read_to_string(home.join(name)).expect("there"), format!("what is in {name}"));
    }
    refused(order(&file, &key, &to, &home), "a control plane has its store there", 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_into_etcd_that_cannot_be_done_writes_nothing() {
    let Some(etcd) = etcd("restores into etcd that are refused") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (file, key) = backup(dir.path()).await;
    let (to, home) = (options(&etcd, "/refused"), dir.path().join("home"));
    let wrong = Identity::generate().to_line();
    refused(order(&file, &wrong, &to, &home), "cannot open this backup; these can: age1", 1).await;
    let nobody = EtcdOptions { endpoints: vec!["http://127.0.0.1:1".to_owned()], ..to.clone() };
    refused(order(&file, &key, &nobody, &home), "no member can be reached", 8).await;
    let cut = dir.path().join("cut.backup");
    let whole = std::fs::read(&file).expect("read");
    std::fs::write(&cut, &whole[..whole.len() - 9]).expect("written");
    refused(order(&cut, &key, &to, &home), "cut short or changed", 1).await;
    assert!(!home.exists());
    for (name, text) in
        [("otternauts.db", ""), ("pki/ca.key", "of another control plane"), ("pki/more", ""), ("notes", "mine")]
    {
        let full = dir.path().join(format!("full-{}", name.replace('/', "-")));
        std::fs::create_dir_all(full.join(name).parent().expect("a directory")).expect("made");
        std::fs::write(full.join(name), text).expect("written");
        refused(order(&file, &key, &to, &full), &format!("is not empty ({name})"), 6).await;
        assert_eq!(std::fs::read_to_string(full.join(name)).expect("there"), text);
    }
    let opened = tokio::task::spawn_blocking(move || Store::etcd(EtcdOptions { purpose: Purpose::Leave, ..to }));
    let error = opened.await.expect("no panic").err().expect("nothing was written there");
    assert!(format!("{:#}", anyhow::Error::from(error)).contains("there is no store of ours"));
}
