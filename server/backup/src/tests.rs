use super::*;
use otternauts_meta::{Object, Secret};
use otternauts_schema::builtin;
use otternauts_store::{Body, Key, List, Op, Precondition, Range, Store, Write};
use otternauts_vault::{Identity, Recipient, Vault};
use std::path::Path;
use tokio::runtime::Handle;

fn recipient(identity: &Identity) -> Recipient {
    Recipient::parse(&identity.recipient()).expect("a recipient")
}

fn put(resource: &str, name: &str, text: &str) -> Write {
    let split = text.find("REVISION").expect("a place for the revision");
    let (head, tail) = (text[..split].to_owned(), text[split + 8..].to_owned());
    let body = Body { head: head.into(), tail: tail.into(), schema: 7, leaving: false };
    Write { key: Key::new(resource, "default", name), precondition: Precondition::None, op: Op::Put(body) }
}

fn sealed(vault: &Vault, name: &str) -> String {
    let kind = builtin::definitions().into_iter().find(|kind| kind.names.kind == "Secret").expect("there");
    let mut object = Object::from_value(serde_json::json!({
        "metadata": {"name": name, "namespace": "default", "uid": "u", "resourceVersion": "REVISION"}, "data": {"k": "aHVudGVyMg=="},
    }))
    .expect("an object");
    vault.seal_object(&kind, &mut object).expect("sealed");
    object.into_value().to_string()
}

/// 1,200 objects of two kinds, written and changed, and a Secret under each of two data keys.
async fn sample(vault: &Vault) -> Store {
    let store = Store::memory();
    for i in 0..1_200 {
        store.commit(vec![put("widgets.x", &format!("w{i}"), r#"{"v":"REVISION"}"#)]).await.expect("ok");
    }
    store.commit(vec![put("secrets", "old", &sealed(vault, "old"))]).await.expect("ok");
    vault.install(vault.with_new_key().expect("a key"));
    store.commit(vec![put("secrets", "new", &sealed(vault, "new"))]).await.expect("ok");
    store.set_meta("vault", bytes::Bytes::from_static(b"not to go along")).await.expect("ok");
    store.set_meta("other", bytes::Bytes::from_static(b"goes along")).await.expect("ok");
    store
}

fn source<'a>(store: &'a Store, vault: &'a Vault) -> Source<'a> {
    let content = Secret::new(b"certificate".to_vec());
    Source {
        store,
        vault,
        files: vec![FileEntry { name: "pki/ca.crt".to_owned(), mode: 0o644, content }],
        created: "2026-01-02T03:04:05Z".to_owned(),
        version: "0.1.0".to_owned(),
        without: &[KEYRING],
    }
}

async fn all(store: &Store) -> Vec<(Key, u64, bytes::Bytes, u64)> {
    let mut found = Vec::new();
    for resource in ["secrets", "widgets.x"] {
        let list = List { range: Range::resource(resource), at: None, after: None, limit: 0 };
        let records = store.list(list).await.expect("listed").records;
        found.extend(records.into_iter().map(|r| (r.key, r.revision, r.body, r.schema)));
    }
    found
}

async fn blocking<T: Send + 'static>(work: impl FnOnce(&Handle) -> T + Send + 'static) -> T {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || work(&runtime)).await.expect("no panic")
}

/// A backup in a file, and who can open it.
async fn made(dir: &Path) -> (std::path::PathBuf, Identity, Identity, Store) {
    let (root, operator) = (Identity::generate(), Identity::generate());
    let (vault, _) = Vault::open(&root, None).expect("made");
    let store = sample(&vault).await;
    let path = dir.join("a.backup");
    let file = std::fs::File::create(&path).expect("made");
    let (kept, reader) = (store.clone(), recipient(&operator));
    let summary = blocking(move |runtime| {
        let (summary, _) = create(&source(&kept, &vault), &[reader], file, runtime).expect("made");
        summary
    })
    .await;
    assert_eq!((summary.objects, summary.files, summary.keys.clone()), (1_202, 1, vec![1, 2]));
    assert_eq!(summary.header.recipients, [operator.recipient(), root.recipient()]);
    (path, operator, root, store)
}

#[tokio::test]
async fn what_was_backed_up_is_restored_byte_for_byte_with_a_new_root_key_and_no_past() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, operator, old_root, store) = made(dir.path()).await;
    let before = all(&store).await;
    let target = dir.path().join("restored");
    let (from, to) = (path.clone(), target.clone());
    let summary = blocking(move |runtime| restore(&from, &operator, &to, Root::New, runtime)).await.expect("restored");
    assert_eq!(summary.header.revision, store.revision());
    assert_eq!(std::fs::read(target.join("pki/ca.crt")).expect("there"), b"certificate");
    let root = Identity::read(&target.join("secret.key")).expect("a new root key");
    assert_ne!(root.recipient(), old_root.recipient());

    let restored = Store::sqlite(otternauts_store::SqliteOptions::new(target.join(DATABASE))).expect("opens");
    assert_eq!(all(&restored).await, before);
    assert_eq!(restored.revision(), store.revision() + REVISION_BUMP);
    assert_eq!(restored.epoch().await.expect("read"), 1);
    assert_eq!(restored.meta("other").await.expect("read").as_deref(), Some(&b"goes along"[..]));
    let kept = restored.meta(KEYRING).await.expect("read").expect("a keyring");
    let (vault, _) = Vault::open(&root, Some(&kept)).expect("the new root opens it");
    assert_eq!(vault.key_numbers(), [1, 2]);
    assert!(Vault::open(&old_root, Some(&kept)).is_err());
    let names: Vec<_> = std::fs::read_dir(dir.path()).expect("read").flatten().map(|e| e.file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("restoring")), "{names:?}");
}

#[tokio::test]
async fn a_backup_that_nobody_could_decrypt_is_refused_when_it_is_made_a13() {
    let (vault, _) = Vault::open(&Identity::generate(), None).expect("made");
    let store = Store::memory();
    blocking(move |runtime| {
        let source = source(&store, &vault);
        for readers in [vec![], vec![vault.root()]] {
            let mut out = Vec::new();
            let refused = create(&source, &readers, &mut out, runtime).map(|_| ()).expect_err("refused");
            assert!(matches!(refused, Error::NobodyCouldOpen), "{refused}");
            assert!(out.is_empty(), "nothing was written");
        }
        // With a recovery key somebody can.
        let recovery = Identity::generate();
        vault.install(vault.rewrapped(vault.root(), vec![recipient(&recovery)]).expect("wrapped"));
        create(&source, &[], Vec::new(), runtime).map(|_| ()).expect("made");
    })
    .await;
}

#[tokio::test]
async fn a_data_key_under_which_nothing_opens_refuses_the_backup_and_one_damaged_object_does_not() {
    let (vault, _) = Vault::open(&Identity::generate(), None).expect("made");
    let (stranger, _) = Vault::open(&Identity::generate(), None).expect("made");
    let store = Store::memory();
    store.commit(vec![put("secrets", "bad", &sealed(&stranger, "bad"))]).await.expect("ok");
    let reader = recipient(&Identity::generate());
    let (kept, again) = (store.clone(), reader.clone());
    let vault = std::sync::Arc::new(vault);
    let shared = vault.clone();
    let refused =
        blocking(move |runtime| create(&source(&kept, &shared), &[again], Vec::new(), runtime).map(|_| ())).await;
    let refused = refused.expect_err("worth nothing").to_string();
    assert!(refused.contains("data key 1") && refused.contains("secrets default/bad"), "{refused}");
    store.commit(vec![put("secrets", "good", &sealed(&vault, "good"))]).await.expect("ok");
    let made =
        blocking(move |runtime| create(&source(&store, &vault), &[reader], Vec::new(), runtime).map(|made| made.0));
    assert_eq!(made.await.expect("made").damaged, ["secrets default/bad"]);
}

#[tokio::test]
async fn an_object_that_alone_is_left_under_an_old_key_or_under_none_and_does_not_open_is_taken_along_p16() {
    let (vault, _) = Vault::open(&Identity::generate(), None).expect("made");
    let (stranger, _) = Vault::open(&Identity::generate(), None).expect("made");
    let store = Store::memory();
    store.commit(vec![put("secrets", "bad", &sealed(&stranger, "bad"))]).await.expect("ok");
    let clear = sealed(&vault, "clear").replace("otter:v1:", "otter:v0:");
    store.commit(vec![put("secrets", "clear", &clear)]).await.expect("ok");
    vault.install(vault.with_new_key().expect("a key"));
    store.commit(vec![put("secrets", "good", &sealed(&vault, "good"))]).await.expect("ok");
    let dir = tempfile::tempdir().expect("a directory");
    let (path, operator) = (dir.path().join("a.backup"), Identity::generate());
    let (file, reader) = (std::fs::File::create(&path).expect("made"), recipient(&operator));
    let made = blocking(move |runtime| create(&source(&store, &vault), &[reader], file, runtime).map(|made| made.0));
    let made = made.await.expect("made");
    assert_eq!(
        (made.objects, &made.damaged[..]),
        (3, &["secrets default/bad", "secrets default/clear"].map(String::from)[..])
    );
    assert_eq!(verify(&path, &operator).expect("it is whole"), made);
}

#[tokio::test]
async fn a_wrong_key_is_told_the_right_ones_and_damage_is_found_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, operator, root, _) = made(dir.path()).await;
    let wrong = verify(&path, &Identity::generate()).expect_err("refused").to_string();
    assert!(wrong.contains(&operator.recipient()) && wrong.contains(&root.recipient()), "{wrong}");
    verify(&path, &root).expect("the root key opens it too");
    let good = std::fs::read(&path).expect("read");
    let start = good.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).expect("two lines").0 + 1;
    let check = |what: &str, bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        let error = verify(&path, &operator).expect_err(what).to_string();
        assert!(error.starts_with("the backup was cut short or changed"), "{what}: {error}");
        let target = dir.path().join("never");
        let restored = std::thread::scope(|scope| {
            let work = || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                restore(&path, &operator, &target, Root::New, runtime.handle()).map(|_| ())
            };
            scope.spawn(work).join().expect("no panic")
        });
        assert!(restored.is_err() && !target.exists(), "{what}");
        assert!(!dir.path().join(".never.restoring").exists(), "{what}");
    };
    for cut in [good.len() - 1, good.len() - 20, good.len() / 2, start + 400, start] {
        check(&format!("cut at {cut} of {}", good.len()), &good[..cut]);
    }
    for at in (start..good.len()).step_by(good.len() / 17) {
        let mut changed = good.clone();
        changed[at] ^= 0x10;
        if changed[start..].starts_with(b"age-encryption.org/v1\n") && at < start + 400 {
            // The stanzas of the readers: any change there is a wrong key or a broken header, both refused.
            std::fs::write(&path, &changed).expect("written");
            assert!(verify(&path, &operator).is_err(), "changed at {at}");
            continue;
        }
        check(&format!("changed at {at}"), &changed);
    }
    // The header in clear is checked against the one inside.
    let text = String::from_utf8_lossy(&good[..start]).replace("2026-01-02", "2026-01-03");
    check("another header", &[text.as_bytes(), &good[start..]].concat());
    for (bytes, expected) in
        [(&b"SQLite format 3\0"[..], "this is not a backup"), (b"otternauts-backup 9\n{}\n", "format 9")]
    {
        std::fs::write(&path, bytes).expect("written");
        let error = verify(&path, &operator).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_restore_goes_into_a_new_directory_only_and_clears_what_a_killed_one_has_left_a15() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, operator, _, _) = made(dir.path()).await;
    blocking({
        let dir = dir.path().to_owned();
        move |runtime| {
            for leftover in ["otternauts.db-wal", "otternauts.db-shm", "otternauts.db", "note.txt"] {
                let target = dir.join(format!("with-{leftover}"));
                std::fs::create_dir(&target).expect("made");
                std::fs::write(target.join(leftover), b"old").expect("written");
                let error = restore(&path, &operator, &target, Root::New, runtime).expect_err("refused").to_string();
                assert!(error.contains(leftover) && error.contains("is not empty"), "{error}");
                assert_eq!(std::fs::read_dir(&target).expect("read").count(), 1, "nothing was touched");
            }
            // A killed restore, then an empty directory as the target.
            let target = dir.join("new");
            std::fs::create_dir(&target).expect("made");
            let left = dir.join(".new.restoring");
            std::fs::create_dir_all(left.join("pki")).expect("made");
            std::fs::write(left.join("otternauts.db-wal"), b"half").expect("written");
            restore(&path, &operator, &target, Root::New, runtime).expect("restored");
            assert!(!left.exists() && target.join(DATABASE).exists() && !target.join("otternauts.db-wal").exists());
            // A test of it leaves nothing.
            let scratch = dir.join("scratch");
            std::fs::create_dir(&scratch).expect("made");
            test_restore(&path, &operator, &scratch, runtime).expect("good");
            assert_eq!(std::fs::read_dir(&scratch).expect("read").count(), 0);
        }
    })
    .await;
}
