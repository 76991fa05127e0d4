//! Killed between its last two steps: the source is left, and the target not given free yet. And what is refused before anything is done.

use super::*;
use otternauts_harness::Etcd;
use otternauts_store::{Body, Key, Op, Precondition, Write};

fn etcd(test: &str) -> Option<Etcd> {
    if Etcd::is_installed() {
        return Some(Etcd::start(1, &[]));
    }
    otternauts_harness::skip::skip(test, "etcd is not installed");
    None
}

async fn sample(dir: &std::path::Path) {
    let store = storage::open_file(&dir.join(storage::DATABASE)).expect("opens");
    for number in 0..1200 {
        let body =
            Body { head: format!("{{\"n\":{number},\"v\":\"").into(), tail: "\"}".into(), schema: 7, leaving: false };
        let key = Key::new("widgets.example.org", "default", format!("w{number}"));
        let write = Write { key, precondition: Precondition::Absent, op: Op::Put(body) };
        store.commit(vec![write]).await.expect("committed");
    }
    store.set_meta("kept", "along".into()).await.expect("kept");
    store.close().await.expect("closed");
}

fn order(from: &Place, to: &Place) -> Order {
    Order { from: from.clone(), to: to.clone(), tls: EtcdConfig::default(), secret_key_file: None, dry_run: false }
}

fn place(etcd: &Etcd, prefix: &str) -> Place {
    Place::Etcd { endpoints: etcd.endpoints(), prefix: prefix.to_owned() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_leaving_and_arriving_nobody_can_serve_and_running_again_ends_it() {
    let Some(etcd) = etcd("a migration that is cut short") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    sample(dir.path()).await;
    let (sqlite, cluster) = (Place::Sqlite(dir.path().to_owned()), place(&etcd, "/cut"));
    // The steps of a migration but the last.
    {
        let order = order(&sqlite, &cluster);
        let migration = Migration::open(&order).expect("opens");
        let at = migration.source.revision();
        let (target, sent) = migration.copy(at, |_: &str| ()).await.expect("copied");
        assert_eq!(sent.objects, 1200);
        let note = format!("to {cluster} at some time");
        migration.source.leave(at, &note).await.expect("left");
        migration.source.close().await.expect("closed");
        drop(target);
    }
    let data = DataDir::open(dir.path()).expect("opens");
    let refused = storage::open_plain(&data).await.err().expect("refused").to_string();
    assert!(refused.contains("was moved to etcd:"), "{refused}");
    drop(data);
    let Place::Etcd { endpoints, prefix } = &cluster else { panic!("etcd") };
    let config = EtcdConfig { endpoints: endpoints.clone(), prefix: prefix.clone(), ..EtcdConfig::default() };
    let refused = Store::etcd(storage::etcd_options(&config, Purpose::Serve)).err().expect("refused");
    let refused = format!("{:#}", anyhow::Error::from(refused));
    assert!(refused.contains("a migration from sqlite:") && refused.contains("was not finished"), "{refused}");

    let elsewhere = run(order(&sqlite, &place(&etcd, "/elsewhere")), None, |_| ()).await.expect_err("refused");
    assert!(format!("{elsewhere:#}").contains("what is there is old"), "{elsewhere:#}");
    let report = run(order(&sqlite, &cluster), None, |_| ()).await.expect("ends it");
    assert_eq!((report.objects, report.source_revision), (1200, 1200));
    let store = Store::etcd(storage::etcd_options(&config, Purpose::Serve)).expect("it is whole");
    assert_eq!(store.meta("kept").await.expect("read").as_deref(), Some(&b"along"[..]));
    store.close().await.expect("closed");

    let again = run(order(&sqlite, &cluster), None, |_| ()).await.expect_err("refused");
    assert!(format!("{again:#}").contains("a control plane has its store there"), "{again:#}");
    assert_eq!(crate::ending::code(&again), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_moved_is_refused_with_its_reason_and_exit_code() {
    let Some(etcd) = etcd("migrations that are refused") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (sqlite, cluster) = (Place::Sqlite(dir.path().to_owned()), place(&etcd, "/refused"));
    let refused = async |from: &Place, to: &Place, expected: &str, code: u8| {
        let error = run(order(from, to), None, |_| ()).await.expect_err(expected);
        assert!(format!("{error:#}").contains(expected), "{error:#}");
        assert_eq!(crate::ending::code(&error), code, "{error:#}");
    };
    refused(&sqlite, &cluster, "there is no ", 5).await;
    refused(&cluster, &sqlite, "there is no store of ours in etcd", 1).await;
    refused(&cluster, &place(&etcd, "/b"), "one of --from and --to is sqlite:DIR", 1).await;
    sample(dir.path()).await;
    let nobody = Place::Etcd { endpoints: vec!["http://127.0.0.1:1".to_owned()], prefix: "/x".to_owned() };
    refused(&sqlite, &nobody, "no member can be reached", 8).await;
    let running = DataDir::open(dir.path()).expect("opens");
    refused(&sqlite, &cluster, "another otter already runs", 6).await;
    drop(running);
    let to = tempfile::tempdir().expect("a directory");
    sample(to.path()).await;
    run(order(&sqlite, &cluster), None, |_| ()).await.expect("moved");
    std::fs::copy(dir.path().join("secret.key"), to.path().join("secret.key")).expect("copied");
    refused(&cluster, &Place::Sqlite(to.path().to_owned()), "move it away, or name another directory", 6).await;
}
