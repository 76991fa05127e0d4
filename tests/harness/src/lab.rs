//! The lab of real hosts (`tests/lab`), two at a time in this process: a story mostly waits.

use crate::kubectl::{Ran, run};
use crate::skip::skip;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// Which of the two labs are taken.
static TAKEN: Mutex<[bool; 2]> = Mutex::new([false; 2]);
static GIVEN_BACK: Condvar = Condvar::new();
static USABLE: OnceLock<Result<(), String>> = OnceLock::new();

/// A lab, held by one test at a time; its hosts are taken down when it is dropped.
pub struct Lab {
    script: PathBuf,
    id: String,
    net: String,
    _turn: Turn,
}

/// The right to one of the labs, given back when it is dropped.
struct Turn(usize);

impl Turn {
    fn wait() -> Self {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(free) = taken.iter().position(|taken| !taken) {
                taken[free] = true;
                return Self(free);
            }
            taken = GIVEN_BACK.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner)[self.0] = false;
        GIVEN_BACK.notify_one();
    }
}

/// Id and network of a lab: beside whatever a person has running, unless the environment says otherwise.
fn place(turn: usize) -> (String, String) {
    let or = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let (id, net) = (or("LAB_ID", "it"), or("LAB_NET", "10.87.0"));
    if turn == 0 {
        return (id, net);
    }
    // 10.87.0 -> 10.87.1: a network of its own beside the first.
    let beside = net.rsplit_once('.').and_then(|(start, last)| Some((start, last.parse::<u8>().ok()?)));
    let net =
        beside.map_or_else(|| panic!("LAB_NET {net:?} is not like 10.87.0"), |(start, n)| format!("{start}.{}", n ^ 1));
    // An id has at most four letters.
    (id.chars().take(3).chain(['b']).collect(), net)
}

impl Lab {
    /// The lab if this machine can run it; else says so loudly and answers `None`.
    pub fn take(test: &str) -> Option<Self> {
        let turn = Turn::wait();
        let (id, net) = place(turn.0);
        let lab = Self { script: script(), id, net, _turn: turn };
        let usable = USABLE.get_or_init(|| {
            let doctor = lab.run(&["doctor"]);
            if doctor.code == 0 { Ok(()) } else { Err(doctor.stderr.trim().replace('\n', "; ")) }
        });
        match usable {
            Ok(()) => {
                lab.run(&["down"]).ok();
                Some(lab)
            }
            Err(why) => {
                skip(test, why);
                None
            }
        }
    }

    /// Runs `lab ARGS`.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(&[], args)
    }

    /// Runs `lab ARGS` with more settings, e.g. `("LAB_DOCKER", "1")`.
    pub fn run_with(&self, settings: &[(&str, &str)], args: &[&str]) -> Ran {
        let mut command = Command::new(&self.script);
        command.env("LAB_ID", &self.id).env("LAB_NET", &self.net);
        run(command.envs(settings.iter().copied()).args(args), "")
    }

    /// Runs `lab ARGS`, which must succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok().to_owned()
    }

    /// The address of host `i`.
    pub fn ip(&self, i: u8) -> String {
        self.ok(&["ip", &i.to_string()]).trim().to_owned()
    }

    /// A program that runs another one so that it resolves names as the lab's hosts do: a control plane that looks at DNS.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn resolving(&self, program: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = PathBuf::from(self.setting("LAB_STATE")).join("resolving");
        let (id, net, lab) = (self.setting("LAB_ID"), self.setting("LAB_NET"), self.script.display());
        let text = format!("#!/bin/sh\nexport LAB_ID={id} LAB_NET={net}\nexec {lab} here {program} \"$@\"\n");
        std::fs::write(&path, text).expect("the lab's directory can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a file of ours");
        path
    }

    /// A command as root inside host `i`, not by SSH.
    pub fn exec(&self, i: u8, command: &[&str]) -> Ran {
        let host = i.to_string();
        let mut args = vec!["exec", host.as_str()];
        args.extend_from_slice(command);
        self.run(&args)
    }

    /// A setting of the lab: `LAB_KEY`, `LAB_CA`, `LAB_NET`, ...
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn setting(&self, name: &str) -> String {
        let all = self.ok(&["env"]);
        let line = all.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("the lab has no setting {name}:\n{all}")).trim_matches('"').to_owned()
    }

    /// The private key whose public half every host accepts for the user `deploy`.
    pub fn key(&self) -> PathBuf {
        PathBuf::from(self.setting("LAB_KEY"))
    }

    /// The SHA-256 fingerprint of host `i`'s ed25519 key, asked of the host itself.
    pub fn fingerprint(&self, i: u8) -> String {
        let out = self.exec(i, &["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"]);
        out.ok().split_whitespace().nth(1).unwrap_or_default().to_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _next_taker_tries_again = self.run(&["down"]);
    }
}

fn script() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../lab/lab"))
}
