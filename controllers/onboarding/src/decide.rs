//! What to do next, and what to say: pure, from what is wanted and what was seen.

mod draft;
mod swarm;

pub use draft::{Decision, Finding, Retry};

use crate::facts::at_least;
use crate::observed::{Engine, Link, Observed};
use crate::plan::Step;
use crate::text::{self, reason};
use draft::Draft;
use otternauts_types::cluster::DockerInstall;
use otternauts_types::server::{ServerPhase, ServerSpec, ServerStatus};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What a person wants.
#[derive(Clone, Copy, Debug)]
pub struct Desired<'a> {
    pub name: &'a str,
    pub spec: &'a ServerSpec,
    /// Labels of the Server: they become labels of the node.
    pub labels: &'a BTreeMap<String, String>,
}

/// Room for an engine, its images and some layers (OT-14).
pub const MIN_DISK: i64 = 5_000_000_000;
pub const MIN_DOCKER: &str = "24.0";

/// The next step, if any, and the status that tells people where things stand. `before` is the status as it is written.
pub fn decide(desired: Desired<'_>, before: &ServerStatus, seen: &Observed) -> Decision {
    let mut draft = Draft::new(before);
    match walk(desired, seen, &mut draft) {
        ControlFlow::Break(verdict) => draft.finish(verdict),
        ControlFlow::Continue(()) => draft.ready(),
    }
}

type Flow = ControlFlow<draft::Verdict>;

fn walk(desired: Desired<'_>, seen: &Observed, draft: &mut Draft) -> Flow {
    let Some(cluster) = &seen.cluster else {
        let name = desired.spec.cluster_ref.as_ref().map_or("default", |r| &r.name);
        return draft.wait(reason::CLUSTER_MISSING, format!("Cluster {name:?} does not exist."));
    };
    link(desired.spec, seen, draft)?;
    sudo(seen, draft)?;
    system(seen, draft)?;
    docker(desired, cluster, seen, draft)?;
    swarm::decide(desired, cluster, seen, draft)
}

fn link(spec: &ServerSpec, seen: &Observed, draft: &mut Draft) -> Flow {
    match &seen.link {
        Link::Local => {
            draft.good("SSHReachable", "Local", "The server is this machine.");
            draft.good("HostKeyConfirmed", "Local", "The server is this machine.");
            draft.good("SSHAuthenticated", "Local", "The server is this machine.");
            ControlFlow::Continue(())
        }
        Link::NotTried => draft.wait(reason::WORKING, "Not looked at yet.".to_owned()),
        Link::Unreachable(why) => {
            let sentence = text::cannot_connect(spec.port);
            draft.bad("SSHReachable", reason::CONNECTION_FAILED, format!("{sentence} {why}"));
            draft.fail(ServerPhase::Unreachable, reason::CONNECTION_FAILED, sentence, why)
        }
        Link::Shown(key) => {
            draft.good("SSHReachable", "Connected", "The server answers.");
            draft.host_key(key);
            let message = format!(
                "The server shows the {} key {}. Compare it with the server's own and confirm it by setting spec.hostKey.fingerprint.",
                key.algorithm, key.fingerprint
            );
            draft.bad("HostKeyConfirmed", reason::HOST_KEY_UNCONFIRMED, message.clone());
            draft.wait(reason::HOST_KEY_UNCONFIRMED, message)
        }
        Link::OtherKey(key) => other_key(spec, key, draft),
        Link::NoPrivateKey(why) => {
            draft.bad("SSHAuthenticated", reason::PRIVATE_KEY_MISSING, why.clone());
            draft.poll(reason::PRIVATE_KEY_MISSING, why.clone())
        }
        Link::Refused(why) => {
            confirmed(draft);
            draft.bad("SSHAuthenticated", reason::AUTHENTICATION_FAILED, format!("{} {why}", text::AUTHENTICATION));
            draft.fail(ServerPhase::Failed, reason::AUTHENTICATION_FAILED, text::AUTHENTICATION.to_owned(), why)
        }
        Link::Up { key, took } => {
            if let Some(took) = took {
                let message = format!("Connected and logged in within {} ms.", took.as_millis());
                draft.good("SSHReachable", "Connected", &message);
            }
            confirmed(draft);
            if let Some(key) = key {
                draft.host_key(key);
            }
            draft.good("SSHAuthenticated", "Authenticated", "The private key was accepted.");
            ControlFlow::Continue(())
        }
    }
}

fn confirmed(draft: &mut Draft) {
    draft.keep_good("SSHReachable", "Connected", "The server answers.");
    draft.good("HostKeyConfirmed", "Confirmed", "The server shows the confirmed key.");
}

/// Any other key than the confirmed one stops all work, whether it changed or was never the right one (OT-F3): which of the
/// two it is, only a person can find out.
fn other_key(spec: &ServerSpec, shown: &otternauts_fleet::ObservedHostKey, draft: &mut Draft) -> Flow {
    let wanted = spec.host_key.as_ref().map_or("", |k| &k.fingerprint);
    draft.keep_good("SSHReachable", "Connected", "The server answers.");
    draft.host_key(shown);
    let detail = format!("The server shows {} {}, confirmed is {wanted}.", shown.algorithm, shown.fingerprint);
    draft.bad("HostKeyConfirmed", reason::HOST_KEY_CHANGED, format!("{} {detail}", text::HOST_KEY_CHANGED));
    draft.fail(ServerPhase::Failed, reason::HOST_KEY_CHANGED, text::HOST_KEY_CHANGED.to_owned(), &detail)
}

fn sudo(seen: &Observed, draft: &mut Draft) -> Flow {
    match &seen.sudo {
        None => {}
        Some(Ok(())) => draft.good("SudoAvailable", "Available", "sudo works without a password."),
        Some(Err(why)) => {
            draft.bad("SudoAvailable", reason::SUDO_PASSWORD_REQUIRED, format!("{} {why}", text::SUDO));
            return draft.fail(ServerPhase::Failed, reason::SUDO_PASSWORD_REQUIRED, text::SUDO.to_owned(), why);
        }
    }
    ControlFlow::Continue(())
}

fn system(seen: &Observed, draft: &mut Draft) -> Flow {
    if let Some(os) = &seen.os {
        draft.os(&os.name);
        if os.is_supported() {
            draft.good("OSSupported", "Supported", &format!("{} is supported.", os.name));
        } else {
            let message = format!("{} is not tested with Otternauts; going on all the same.", os.name);
            draft.put_true("OSSupported", "Untested", message);
        }
    }
    let Some(free) = seen.disk_free else { return ControlFlow::Continue(()) };
    draft.resources(seen.machine, free);
    #[allow(clippy::cast_precision_loss)]
    let gb = free as f64 / 1e9;
    if free >= MIN_DISK {
        // The number moves all the time; only a change of the verdict is worth a write.
        draft.keep_good("DiskSpace", "Sufficient", &format!("{gb:.1} GB are free."));
        return ControlFlow::Continue(());
    }
    let sentence = format!("5 GB of free disk space are required, {gb:.1} GB are free.");
    draft.bad("DiskSpace", reason::DISK_FULL, sentence.clone());
    // A server at work goes on working; a new one would fail half-way.
    let at_work = seen.swarm.as_ref().is_some_and(|s| !s.node_id.is_empty());
    if at_work {
        draft.look_again();
        ControlFlow::Continue(())
    } else {
        draft.fail(ServerPhase::Failed, reason::DISK_FULL, sentence, "")
    }
}

fn docker(desired: Desired<'_>, cluster: &crate::observed::ClusterView, seen: &Observed, draft: &mut Draft) -> Flow {
    let minimum = cluster.min_docker.as_deref().unwrap_or(MIN_DOCKER);
    match &seen.engine {
        None => draft.wait(reason::WORKING, "Docker was not looked at yet.".to_owned()),
        Some(Engine::Missing) => install(desired, cluster, seen, draft),
        Some(Engine::Down(why)) => {
            let tried = |step: &str| seen.done.contains(&step) || failed(seen, step);
            // A half installed engine does not start: installing it again mends that.
            if failed(seen, Step::StartDocker.name()) && !tried("install-docker") && may_install(desired, cluster, seen)
            {
                return install(desired, cluster, seen, draft);
            }
            if tried(Step::StartDocker.name()) || tried("install-docker") {
                let detail = seen.failure.as_ref().map_or(why.as_str(), |f| &f.detail);
                draft.bad("DockerReady", reason::DOCKER_UNAVAILABLE, format!("Docker does not answer. {detail}"));
                let sentence = "Docker is installed but does not answer.".to_owned();
                return draft.fail(ServerPhase::Failed, reason::DOCKER_UNAVAILABLE, sentence, detail);
            }
            draft.bad("DockerReady", reason::DOCKER_UNAVAILABLE, why.clone());
            draft.act(Step::StartDocker)
        }
        Some(Engine::Up { version }) if !at_least(version, minimum) => {
            draft.docker(version);
            let sentence =
                format!("Docker {version} is installed, {minimum} is the oldest supported version. Upgrade it.");
            draft.bad("DockerReady", reason::DOCKER_TOO_OLD, sentence.clone());
            draft.fail(ServerPhase::Failed, reason::DOCKER_TOO_OLD, sentence, "")
        }
        Some(Engine::Up { version }) => {
            draft.docker(version);
            draft.good("DockerReady", "Running", &format!("Docker {version} answers."));
            let step = Step::JoinDockerGroup;
            // Without the group we go through sudo: it is a convenience, and failing at it stops nothing.
            let tried = seen.done.contains(&step.name()) || failed(seen, step.name());
            if seen.in_docker_group || tried || seen.link == Link::Local {
                ControlFlow::Continue(())
            } else {
                draft.act(step)
            }
        }
    }
}

fn install(desired: Desired<'_>, cluster: &crate::observed::ClusterView, seen: &Observed, draft: &mut Draft) -> Flow {
    if !is_allowed(desired, cluster) {
        let sentence = "Docker is not installed, and Otternauts is not to install it here.".to_owned();
        draft.bad("DockerReady", reason::DOCKER_MISSING, sentence.clone());
        return draft.fail(ServerPhase::Failed, reason::DOCKER_MISSING, sentence, "");
    }
    let recipe = seen.os.as_ref().and_then(crate::facts::Os::recipe);
    let detail = match (&seen.failure, recipe) {
        (Some(f), _) if f.step == "install-docker" => f.detail.clone(),
        (_, None) => "There is no installation recipe for this operating system: install Docker by hand.".to_owned(),
        (_, Some(recipe)) => {
            draft.bad("DockerReady", reason::DOCKER_MISSING, "Docker is not installed yet.".to_owned());
            return draft.act(Step::InstallDocker(recipe));
        }
    };
    draft.bad("DockerReady", reason::DOCKER_INSTALL_FAILED, format!("{} {detail}", text::DOCKER_INSTALL));
    draft.fail(ServerPhase::Failed, reason::DOCKER_INSTALL_FAILED, text::DOCKER_INSTALL.to_owned(), &detail)
}

fn is_allowed(desired: Desired<'_>, cluster: &crate::observed::ClusterView) -> bool {
    cluster.install != DockerInstall::Never && desired.spec.connection != otternauts_types::server::Connection::Local
}

fn may_install(desired: Desired<'_>, cluster: &crate::observed::ClusterView, seen: &Observed) -> bool {
    is_allowed(desired, cluster) && seen.os.as_ref().is_some_and(|os| os.recipe().is_some())
}

fn failed(seen: &Observed, step: &str) -> bool {
    seen.failure.as_ref().is_some_and(|f| f.step == step)
}

#[cfg(test)]
mod rows;
#[cfg(test)]
mod tests;
