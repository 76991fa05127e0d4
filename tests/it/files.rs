//! The files of the database, treated as files should not be (A10): a start refuses with the reason, or has everything; never less.

use crate::{OTTER, otter};
use otternauts_harness::kubectl::run;
use otternauts_harness::skip::untested;
use otternauts_harness::{Otter, OtterOptions, Tmpfs, until};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// What comes of a start.
enum Comes {
    /// No start; the log says one of these.
    Refused(&'static [&'static str]),
    /// Everything is there.
    Well,
    /// One or the other: all of the database may be in its log.
    Either(&'static [&'static str]),
}

/// Writes forty objects, waits until the side file knows of the last, and kills the process: the write-ahead log is full.
fn written(otter: &mut Otter) -> Vec<String> {
    for number in 0..40 {
        otter.kubectl(&["create", "configmap", &format!("m{number}"), "--from-literal=a=b"]).ok();
    }
    let list = otter.curl_admin(MAPS, &[]).json();
    let version: u64 = list["metadata"]["resourceVersion"].as_str().expect("a version").parse().expect("a number");
    let head = otter.data_dir().join("otternauts.db.head");
    until("the side file", PATIENCE, || {
        let bytes = std::fs::read(&head).unwrap_or_default();
        let told = bytes.get(..8).map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes")));
        if told >= version { Ok(()) } else { Err((told, version)) }
    });
    otter.kill();
    names(&list)
}

fn names(list: &serde_json::Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
}

/// Every file of the database, to be put back.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for file in std::fs::read_dir(from).expect("listed").map(|file| file.expect("listed")) {
        let name = file.file_name().into_string().expect("UTF-8");
        if name.starts_with("otternauts.db") && !name.ends_with(".ballast") {
            std::fs::copy(file.path(), to.join(name)).expect("copied");
        }
    }
}

fn put_back(from: &Path, to: &Path) {
    for suffix in ["", "-wal", "-shm", ".head", ".index"] {
        let name = format!("otternauts.db{suffix}");
        let target = to.join(&name);
        if target.is_dir() {
            std::fs::remove_dir(&target).expect("removed");
        }
        let _may_be_missing = std::fs::remove_file(&target);
        if from.join(&name).exists() {
            std::fs::copy(from.join(&name), target).expect("copied");
        }
    }
}

/// What a start says that does not go; `None` when it serves.
fn refusal(otter: &Otter) -> Option<String> {
    let mut command = otter.serve_command();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("UTF-8");
    if !line.is_empty() {
        child.kill().expect("killed");
        child.wait().expect("ended");
        return None;
    }
    let out = child.wait_with_output().expect("ended");
    assert!(!out.status.success(), "it refuses with an exit code");
    Some(String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn a_start_on_files_that_were_tampered_with_refuses_or_has_everything_a10() {
    let mut otter = otter();
    let stored = written(&mut otter);
    let safe = tempfile::tempdir().expect("a directory");
    copy(&otter.data_dir(), safe.path());
    let mut other = crate::otter();
    written(&mut other);
    let foreign = other.data_dir().join("otternauts.db-wal");

    type Harm<'a> = Box<dyn Fn(&Path) + 'a>;
    let at = |dir: &Path, suffix: &str| dir.join(format!("otternauts.db{suffix}"));
    let cut = |suffix: &'static str, part: u64| -> Harm<'_> {
        Box::new(move |dir| {
            let file = std::fs::File::options().write(true).open(at(dir, suffix)).expect("opened");
            let length = file.metadata().expect("there").len();
            file.set_len(length * part / 10).expect("cut");
        })
    };
    let back: &[&str] = &["history went back"];
    let cases: Vec<(&str, Harm<'_>, Comes)> = vec![
        ("nothing", Box::new(|_| {}), Comes::Well),
        ("the log is cut in half", cut("-wal", 5), Comes::Refused(back)),
        (
            "the log is gone",
            Box::new(|dir| std::fs::remove_file(at(dir, "-wal")).expect("removed")),
            Comes::Refused(back),
        ),
        (
            "the log is another database's",
            Box::new(|dir| {
                std::fs::copy(&foreign, at(dir, "-wal")).expect("copied");
            }),
            Comes::Refused(&["history went back", "malformed", "not a database of ours"]),
        ),
        (
            "the shared memory is stale",
            Box::new(|dir| std::fs::write(at(dir, "-shm"), vec![0xa5; 32 << 10]).expect("written")),
            Comes::Well,
        ),
        (
            "the shared memory is gone",
            Box::new(|dir| std::fs::remove_file(at(dir, "-shm")).expect("removed")),
            Comes::Well,
        ),
        ("the database is empty", cut("", 0), Comes::Refused(&["is empty, and revision"])),
        ("the database is cut", cut("", 5), Comes::Either(&["malformed", "history went back", "not a database"])),
        (
            "the database is text",
            Box::new(|dir| std::fs::write(at(dir, ""), "hello ".repeat(2000)).expect("written")),
            Comes::Either(&["not a database", "history went back"]),
        ),
        (
            "the database is a directory",
            Box::new(|dir| {
                std::fs::remove_file(at(dir, "")).expect("removed");
                std::fs::create_dir(at(dir, "")).expect("made");
            }),
            Comes::Refused(&["is not a file"]),
        ),
        (
            "the database has a second name",
            Box::new(|dir| std::fs::hard_link(at(dir, ""), safe.path().join("link")).expect("linked")),
            Comes::Refused(&["has another name (a hard link)"]),
        ),
    ];
    for (what, harm, comes) in cases {
        put_back(safe.path(), &otter.data_dir());
        harm(&otter.data_dir());
        let (texts, must) = match comes {
            Comes::Well => (&[] as &[&str], false),
            Comes::Refused(texts) => (texts, true),
            Comes::Either(texts) => (texts, false),
        };
        if let Some(said) = (!texts.is_empty()).then(|| refusal(&otter)).flatten() {
            assert!(texts.iter().any(|text| said.contains(text)), "{what}: {said}");
            if what == "the log is another database's" {
                // Nothing of it went into our database: with its own log everything is there.
                std::fs::copy(at(safe.path(), "-wal"), at(&otter.data_dir(), "-wal")).expect("copied");
                let _may_be_missing = std::fs::remove_file(at(&otter.data_dir(), "-shm"));
            } else {
                put_back(safe.path(), &otter.data_dir());
            }
        } else {
            assert!(!must, "{what}: it started");
        }
        otter.boot();
        assert_eq!(names(&otter.curl_admin(MAPS, &[]).json()), stored, "{what}");
        otter.kill();
    }
}

#[test]
fn a_database_of_somebody_else_or_on_a_disk_that_cannot_be_written_is_refused_a10() {
    let what = "a database of somebody else, or on a disk that cannot be written";
    let Some(disk) = Tmpfs::mount(32) else {
        return untested(what, "needs root to mount and to give files away");
    };
    let options = OtterOptions {
        data_dir: Some(disk.file("data")),
        args: vec!["--min-free-bytes=1000000".to_owned(), "--min-free-percent=0".to_owned()],
        ..OtterOptions::api(OTTER)
    };
    let mut otter = Otter::start(options);
    let stored = written(&mut otter);
    let database = otter.data_dir().join("otternauts.db");
    let owner = std::fs::metadata(&database).expect("there").uid();
    std::os::unix::fs::chown(&database, Some(owner + 12_345), None).expect("given away");
    let said = refusal(&otter).expect("refused");
    assert!(said.contains(&format!("is owned by user {}, and this is user {owner}", owner + 12_345)), "{said}");
    std::os::unix::fs::chown(&database, Some(owner), None).expect("taken back");

    let remount = |how: &str| {
        let mut mount = Command::new("mount");
        otternauts_harness::kubectl::run(mount.args(["-o", how]).arg(disk.path()), "").ok();
    };
    remount("remount,ro");
    let said = refusal(&otter).expect("refused");
    assert!(said.contains("Read-only file system"), "{said}");
    remount("remount,rw");
    otter.boot();
    assert_eq!(names(&otter.curl_admin(MAPS, &[]).json()), stored);
}

#[test]
fn no_write_is_answered_into_a_file_that_was_taken_away_or_replaced_a10() {
    for (suffix, replaced) in [("", true), ("-wal", true), ("", false), ("-wal", false)] {
        let mut otter = otter();
        otter.kubectl(&["create", "configmap", "before"]).ok();
        let path = otter.data_dir().join(format!("otternauts.db{suffix}"));
        let away = path.with_extension("away");
        if replaced {
            std::fs::copy(&path, &away).expect("copied");
            std::fs::rename(&away, &path).expect("put in its place");
        } else {
            std::fs::rename(&path, &away).expect("taken away");
        }
        let case = format!("otternauts.db{suffix}, replaced: {replaced}");
        let ran = otter.curl_admin(
            MAPS,
            &["-H", "Content-Type: application/json", "--data-binary", r#"{"metadata":{"name":"after"}}"#],
        );
        assert!(ran.code != 0, "{case}: answered {}", ran.stdout);
        until("the process to stop", PATIENCE, || {
            if otter.log().contains("was taken away or replaced while it was open") { Ok(()) } else { Err(otter.log()) }
        });
        // What was not answered may be lost; nothing else is.
        otter.kill();
        if !replaced {
            std::fs::rename(&away, &path).expect("brought back");
        }
        otter.boot();
        assert!(names(&otter.curl_admin(MAPS, &[]).json()).contains(&"before".to_owned()), "{case}");
    }
}

/// A snapshot of a machine, put back: consistent, and older than what was answered. The documented way on leads into a new directory.
#[test]
fn a_directory_from_before_is_refused_by_a_mark_that_is_kept_elsewhere_and_goes_on_as_a_backup_a16() {
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name).to_str().expect("UTF-8").to_owned();
    let args = vec!["--high-water-mark".to_owned(), at("mark")];
    let mut otter = Otter::start(OtterOptions { args, ..OtterOptions::api(OTTER) });
    otter.kubectl(&["create", "configmap", "before"]).ok();
    assert_eq!(otter.stop(), 0);
    let data = otter.data_dir();
    let copy = |from: &Path, to: &Path| run(Command::new("cp").arg("-a").arg(from).arg(to), "").ok().to_owned();
    copy(&data, Path::new(&at("snapshot")));
    otter.boot();
    otter.kubectl(&["create", "configmap", "after"]).ok();
    assert_eq!(otter.stop(), 0);
    std::fs::remove_dir_all(&data).expect("lost");
    copy(Path::new(&at("snapshot")), &data);
    let refused = run(&mut otter.serve_command(), "");
    assert!(refused.refused().contains("history went back: the newest revision is"), "{}", refused.stderr);

    let command =
        |args: &[&str]| run(Command::new(OTTER).args(args).env_remove("KUBECONFIG"), "").ok().trim().to_owned();
    let recipient = command(&["keys", "new", "--output", &at("key")]);
    let old = data.to_str().expect("UTF-8");
    command(&["backup", "create", "--data-dir", old, "--recipient", &recipient, "--output", &at("backup")]);
    command(&["backup", "restore", &at("backup"), "--data-dir", &at("new"), "--identity", &at("key")]);
    std::fs::remove_file(at("mark")).expect("it was there");
    std::fs::remove_dir_all(&data).expect("it was there");
    copy(Path::new(&at("new")), &data);
    otter.boot();
    let maps = otter.curl_admin(MAPS, &[]).json();
    assert!(names(&maps).contains(&"before".to_owned()), "{maps}");
    let revision: u64 = maps["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("a number");
    assert!(revision > 1_000_000_000, "who saw more lists anew: {revision}");
}
