//! Backup, restore, new keys and migration, broken off at the system calls that change anything: killed right before one, or told that
//! the disk fails (A2, C4; P14, P15, R44). Nothing is half done: what was there is there, what was to be made is not there or whole, and
//! the same command ends well when it is given again.

use super::{directory, nightly, say};
use crate::OTTER;
use crate::backup::{key, offline, path};
use otternauts_faults::Dice;
use otternauts_faults::contents::{Contents, contents};
use otternauts_harness::kubectl::{Ran, run};
use otternauts_harness::skip::skip;
use otternauts_harness::{Etcd, Otter, OtterOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A system call, and the error that it is given. The runtime wakes its own threads with `write`, which never fails so.
const CALLS: [(&str, &str); 13] = [
    ("openat", "ENOSPC"),
    ("mkdir", "ENOSPC"),
    ("write", NO_ERROR),
    ("writev", "ECONNRESET"),
    ("pwrite64", "ENOSPC"),
    ("fsync", "EIO"),
    ("fdatasync", "EIO"),
    ("ftruncate", "EIO"),
    ("rename", "EIO"),
    ("link", "EIO"),
    ("unlink", "EIO"),
    ("chmod", "EIO"),
    ("fchmod", "EIO"),
];
const NO_ERROR: &str = "";
/// Of one call, at night; where there are more, so many parts of them have one each.
const OF_ONE_CALL: u64 = 20;
/// Of each work but that which looks for 5 s whether a replica is there.
const SOME: usize = 4;
const SLOW_ONES: usize = 20;
const DATABASE: &str = "otternauts.db";
/// What a migration says of a place where another one ended.
const WHOLE: &str = "a control plane has its store there";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Create,
    Restore,
    Rotate,
    ToEtcd,
    FromEtcd,
}

/// `call` for the Nth time of one thread.
#[derive(Clone, Debug)]
struct Break {
    call: &'static str,
    /// Of strace's injection.
    what: String,
    nth: u64,
}

#[tokio::test]
async fn what_is_broken_off_at_any_call_is_not_half_done_and_ends_well_when_asked_again_a2_c4() {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success());
    if !works {
        return skip("commands broken off at system calls", "strace is missing or not allowed here");
    }
    let seed = Dice::seed();
    say(&format!("calls: {}={seed}", otternauts_faults::dice::SEED));
    let control_plane = ControlPlane::make().await;
    let mut works = vec![Work::Create, Work::Restore, Work::Rotate];
    if control_plane.etcd.is_some() {
        works.extend([Work::ToEtcd, Work::FromEtcd]);
    } else {
        skip("migrations broken off at system calls", "etcd is not installed");
    }
    let mut totals = BTreeMap::from([("runs", 0), ("met", 0), ("wholeAtOnce", 0)]);
    for (number, work) in (0..).zip(works) {
        let mut dice = Dice::part(seed, number);
        let (mut runs, mut met, mut whole) = (0, 0, 0);
        for broken in which(work, &control_plane, &mut dice) {
            let why = format!("seed {seed}, {work:?} with {broken:?}");
            let place = Place::make(&control_plane, work);
            let (was_met, ran) = place.broken_off(&broken, &why);
            place.judge(&ran, &why).await;
            runs += 1;
            met += u64::from(was_met);
            whole += u64::from(ran.code == 0);
        }
        say(&format!("{work:?}: {runs} runs, {met} met it, {whole} ended well all the same"));
        for (name, count) in [("runs", runs), ("met", met), ("wholeAtOnce", whole)] {
            *totals.entry(name).or_default() += count;
        }
    }
    assert!(totals["met"] * 2 > totals["runs"], "hardly any met their call: {totals:?}");
    let line = json!({"test": "calls", "seed": seed, "totals": totals, "halfDone": 0});
    say(&line.to_string());
    std::fs::write(directory().join("calls.json"), format!("{line}\n")).expect("target can be written");
}

/// Where it is broken off: at night at each call and in each way, else at some.
fn which(work: Work, control_plane: &ControlPlane, dice: &mut Dice) -> Vec<Break> {
    let counted = Place::make(control_plane, work).counted();
    let mut breaks = Vec::new();
    for (call, error) in CALLS {
        let Some(&most) = counted.get(call) else { continue };
        let ways = ["signal=KILL".to_owned(), format!("error={error}")];
        for what in ways.into_iter().take(if error == NO_ERROR { 1 } else { 2 }) {
            let parts = most.min(OF_ONE_CALL);
            for part in 0..parts {
                let (from, to) = (most * part / parts, most * (part + 1) / parts);
                breaks.push(Break { call, what: what.clone(), nth: from + 1 + dice.below(to - from) });
            }
        }
    }
    let enough = match (nightly(), work) {
        (true, Work::FromEtcd) => SLOW_ONES,
        (true, _) => breaks.len(),
        (false, Work::FromEtcd) => 1,
        (false, _) => SOME,
    };
    while breaks.len() > enough {
        breaks.swap_remove(dice.below(breaks.len() as u64) as usize);
    }
    breaks
}

/// What all of it begins with: a data directory that nobody serves, and a backup of it.
struct ControlPlane {
    dir: TempDir,
    objects: Contents,
    /// Of all objects, as a migration tells it.
    sha256: Value,
    /// Whoever can open the backup.
    public: String,
    etcd: Option<Etcd>,
}

impl ControlPlane {
    async fn make() -> ControlPlane {
        let dir = tempfile::tempdir().expect("a directory");
        let (_, public) = key(dir.path(), "operator.key");
        let mut options = OtterOptions::api(OTTER);
        options.data_dir = Some(dir.path().join("data"));
        options.args.push("--ballast-bytes=0".to_owned());
        let mut otter = Otter::start(options);
        let kinds = [("ConfigMap", "data"), ("Secret", "stringData")];
        let yaml: String = (0..40)
            .map(|n| {
                let (kind, data) = kinds[n % 2];
                format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: n{n}}}\n{data}: {{a: value-{n}}}\n")
            })
            .collect();
        otter.kubectl_in(&["create", "-f", "-"], &yaml).ok();
        assert_eq!(otter.stop(), 0);
        let etcd = Etcd::is_installed().then(|| Etcd::start(1, &[]));
        let mut made = ControlPlane { dir, objects: Contents::new(), sha256: Value::Null, public, etcd };
        let place = Place::make(&made, Work::Create);
        let objects = contents(&place.data().join(DATABASE)).await.expect("it can be read");
        place.again().ok();
        std::fs::rename(place.output(), made.dir.path().join("good.backup")).expect("on one disk");
        drop(place);
        if made.etcd.is_some() {
            let sha256 = Place::make(&made, Work::ToEtcd).run(Work::ToEtcd, &["--dry-run"]).json()["sha256"].clone();
            made.sha256 = sha256;
        }
        made.objects = objects;
        made
    }
}

/// One run, with a copy of its own of all that it touches.
struct Place<'a> {
    control_plane: &'a ControlPlane,
    work: Work,
    dir: TempDir,
}

impl<'a> Place<'a> {
    fn make(control_plane: &'a ControlPlane, work: Work) -> Place<'a> {
        // Beside what it is copied from, so that a rename can be one.
        let dir = tempfile::tempdir_in(control_plane.dir.path()).expect("a directory");
        let place = Place { control_plane, work, dir };
        if work != Work::Restore {
            copy(&control_plane.dir.path().join("data"), &place.data());
        }
        if work == Work::FromEtcd {
            place.run(Work::ToEtcd, &[]).ok();
        }
        place
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("made.backup")
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    fn args(&self, work: Work) -> Vec<String> {
        let (all, dir) = (self.control_plane.dir.path().display(), self.dir.path().display());
        let endpoint = self.control_plane.etcd.as_ref().map(|etcd| etcd.endpoint(0)).unwrap_or_default();
        // A prefix of its own.
        let name = self.dir.path().file_name().expect("a name").to_string_lossy();
        let etcd = format!("etcd:{endpoint}/{}", name.trim_start_matches('.'));
        let line = match work {
            Work::Create => {
                let public = &self.control_plane.public;
                format!("backup create --data-dir {dir}/data --output {dir}/made.backup --recipient {public}")
            }
            Work::Restore => {
                format!("backup restore {all}/good.backup --data-dir {dir}/target --identity {all}/operator.key")
            }
            Work::Rotate => format!("keys rotate --data-dir {dir}/data"),
            Work::ToEtcd => format!("store migrate --from sqlite:{dir}/data --to {etcd} --output json"),
            Work::FromEtcd => {
                let to = format!("--to sqlite:{dir}/target --secret-key-file {all}/data/secret.key");
                format!("store migrate --from {etcd} {to} --output json")
            }
        };
        line.split(' ').map(str::to_owned).collect()
    }

    fn again(&self) -> Ran {
        self.run(self.work, &[])
    }

    fn run(&self, work: Work, more: &[&str]) -> Ran {
        let args = self.args(work);
        offline(&args.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>())
    }

    fn traced(&self, options: &[&str]) -> (Ran, String) {
        let log = self.dir.path().join("strace");
        let mut traced = Command::new("timeout");
        traced.args(["--kill-after=5", "60", "strace", "-f", "-o", path(&log)]).args(options).arg("--").arg(OTTER);
        traced.args(self.args(self.work)).env_remove("KUBECONFIG").env_remove("OTTERNAUTS_SECRET_KEY");
        let ran = run(&mut traced, "");
        (ran, std::fs::read_to_string(&log).unwrap_or_default())
    }

    /// How often the thread that makes a call most often makes it.
    fn counted(&self) -> BTreeMap<&'static str, u64> {
        let names = CALLS.map(|(call, _)| call);
        let (ran, log) = self.traced(&["-e", &format!("trace={}", names.join(","))]);
        ran.ok();
        let mut threads: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for line in log.lines() {
            if let Some((thread, call)) = line.split_once(' ')
                && let Some((call, _)) = call.trim_start().split_once('(')
            {
                *threads.entry((thread, call)).or_default() += 1;
            }
        }
        let most = |name: &str| threads.iter().filter(|((_, call), _)| *call == name).map(|(_, &count)| count).max();
        names.into_iter().filter_map(|name| Some((name, most(name)?))).collect()
    }

    /// Whether it came to that call, and how it ended.
    fn broken_off(&self, broken: &Break, why: &str) -> (bool, Ran) {
        let Break { call, what, nth } = broken;
        let inject = format!("inject={call}:{what}:when={nth}");
        let (ran, log) = self.traced(&["-e", &format!("trace={call}"), "-e", &inject]);
        const TIMED_OUT: i32 = 124;
        assert_ne!(ran.code, TIMED_OUT, "{why}: it hangs: {}", ran.stderr);
        (log.contains("(INJECTED)") || log.contains("+++ killed by SIGKILL +++"), ran)
    }

    async fn judge(&self, ran: &Ran, why: &str) {
        let (all, code) = (self.control_plane, ran.code);
        match self.work {
            Work::Create => {
                assert_eq!(self.look(&self.data()).await, all.objects, "{why}");
                assert!(code != 0 || self.output().exists(), "{why}: it ended well, and made nothing");
                if !self.output().exists() {
                    self.ends_well(why);
                }
                self.verify(why);
            }
            Work::Restore => {
                assert!(code != 0 || self.target().exists(), "{why}: it ended well, and made nothing");
                if !self.target().exists() {
                    self.ends_well(why);
                }
                assert_eq!(contents(&self.target().join(DATABASE)).await.expect(why), all.objects, "{why}");
                let keys = offline(&["keys", "list", "--data-dir", path(&self.target())]);
                assert_eq!(keys.code, 0, "{why}: {}", keys.stderr);
                let left: Vec<String> = names(self.dir.path());
                assert_eq!(left, ["strace", "target"], "{why}: nothing else is left");
            }
            Work::Rotate => {
                let between = self.look(&self.data()).await;
                assert!(between.keys().eq(all.objects.keys()), "{why}");
                self.ends_well(why);
                let keys = offline(&["keys", "list", "--data-dir", path(&self.data()), "--output=json"]).json();
                assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1), "{why}: {keys}");
                let after = self.look(&self.data()).await;
                let plain = |contents: &Contents| {
                    let mut plain = contents.clone();
                    plain.retain(|key, _| &*key.resource != "secrets");
                    plain
                };
                assert_eq!(plain(&after), plain(&all.objects), "{why}");
                // Everything that is sealed opens.
                let created = self.run(Work::Create, &[]);
                assert_eq!(created.code, 0, "{why}: {}", created.stderr);
                self.verify(why);
            }
            Work::ToEtcd => {
                assert_eq!(self.look(&self.data()).await, all.objects, "{why}: what is moved stays readable");
                let told = if code == 0 { ran.clone() } else { self.again() };
                if told.stderr.contains(WHOLE) {
                    // It was whole already: that is looked at from the other side.
                    let back = self.run(Work::FromEtcd, &[]);
                    assert_eq!(back.code, 0, "{why}: {}", back.stderr);
                    return self.is_back(why).await;
                }
                assert_eq!(told.code, 0, "{why}: {}", told.stderr);
                let report = told.json();
                assert_eq!((&report["sha256"], &report["objects"]), (&all.sha256, &json!(all.objects.len())), "{why}");
            }
            Work::FromEtcd => {
                if code != 0 {
                    let again = self.again();
                    assert!(again.code == 0 || again.stderr.contains(WHOLE), "{why}: {}", again.stderr);
                }
                self.is_back(why).await;
            }
        }
    }

    /// What was moved there and back is as it was; beside it is the Secret that replicas share.
    async fn is_back(&self, why: &str) {
        let objects = &self.control_plane.objects;
        let mut found = contents(&self.target().join(DATABASE)).await.expect(why);
        found.retain(|key, _| objects.contains_key(key));
        assert_eq!(&found, objects, "{why}");
    }

    fn ends_well(&self, why: &str) {
        let again = self.again();
        assert_eq!(again.code, 0, "{why}, again: {}", again.stderr);
    }

    fn verify(&self, why: &str) {
        let identity = self.control_plane.dir.path().join("operator.key");
        let found =
            offline(&["backup", "verify", path(&self.output()), "--identity", path(&identity), "--output=json"]);
        assert_eq!(found.code, 0, "{why}: {}", found.stderr);
        let found = found.json();
        let objects = json!(self.control_plane.objects.len());
        assert_eq!((&found["objects"], &found["damaged"]), (&objects, &json!([])), "{why}: {found}");
    }

    /// Reads a copy, for what opens a database finishes what a crash has left.
    async fn look(&self, data: &Path) -> Contents {
        let copied = tempfile::tempdir_in(self.control_plane.dir.path()).expect("a directory");
        copy(data, &copied.path().join("data"));
        contents(&copied.path().join("data").join(DATABASE)).await.expect("it can be read")
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).expect("copied");
        }
    }
}
