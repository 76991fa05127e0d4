//! `kill -9` at random moments of onboarding and of deploying: the same end state, nothing twice (OT-23, OT-55, P10).

use super::{docker, keep_tasks, onboard, server_in, stack_running, tasks};
use otternauts_harness::{Lab, Otter, until};
use std::io::Write as _;
use std::time::{Duration, Instant};

const PLAIN: &str = r"
apiVersion: otternauts.dev/v1
kind: Stack
metadata: {name: buoy}
spec:
  compose:
    inline: |
      services:
        web:
          image: registry.lab/lab/web:VERSION
          deploy: {replicas: 2, endpoint_mode: dnsrr}
        other:
          image: registry.lab/lab/web:v1
          deploy: {endpoint_mode: dnsrr}
";

/// Moments in milliseconds, spread at random; the seed is printed so that a failure can be had again.
pub fn moments(count: usize, within_ms: u64) -> Vec<u64> {
    let seed = std::env::var("OTTERNAUTS_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        u64::from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.subsec_nanos()))
            | 1
    });
    let _best_effort = writeln!(std::io::stderr(), "OTTERNAUTS_SEED={seed}");
    let mut state = seed;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % within_ms
    })
    .take(count)
    .collect()
}

/// Kills and restarts the control plane after each pause, then lets it finish.
pub fn kill_at(otter: &mut Otter, pauses: &[u64]) {
    for pause in pauses {
        let until = Instant::now() + Duration::from_millis(*pause);
        while Instant::now() < until {
            std::thread::park_timeout(until - Instant::now());
        }
        otter.kill();
        otter.boot();
    }
}

#[test]
fn kill_9_at_ten_random_moments_ends_in_the_same_state() {
    let Some(lab) = Lab::take("kill_9_at_ten_random_moments_ends_in_the_same_state") else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "2"]).ok();
    lab.ok(&["images", "web"]);
    let mut otter = crate::whole();

    onboard(&otter, &lab, "harbour", 1, "manager");
    kill_at(&mut otter, &moments(3, 2_500));
    server_in(&otter, "harbour", "ready", 120);
    onboard(&otter, &lab, "reef", 2, "worker");
    kill_at(&mut otter, &moments(3, 2_500));
    server_in(&otter, "reef", "ready", 120);
    assert_eq!(docker(&lab, 1, &["node", "ls", "-q"]).lines().count(), 2, "one swarm, each host in it once");
    keep_tasks(&lab);

    otter.apply(&PLAIN.replace("VERSION", "v1"));
    kill_at(&mut otter, &moments(2, 3_000));
    let status = stack_running(&otter, "buoy", 180);
    let stack = status["swarmStack"].as_str().expect("a name").to_owned();
    let tasks = |service: &str| tasks(&lab, &stack, service);
    assert_eq!((tasks("web"), tasks("other")), (2, 1), "one task a slot");

    otter.apply(&PLAIN.replace("VERSION", "v2"));
    kill_at(&mut otter, &moments(2, 3_000));
    let status = stack_running(&otter, "buoy", 180);
    assert_eq!(status["currentVersion"], 2);
    assert_eq!(
        (tasks("web"), tasks("other")),
        (4, 1),
        "one new task for each slot of the changed service, none for the other"
    );
    let deployments = otter.kubectl(&["get", "deployments", "-o", "name"]);
    assert_eq!(deployments.ok().lines().count(), 2, "{}", deployments.stdout);
    // What a killed process had begun there tidies up behind itself.
    until("nothing to be left behind on the server", Duration::from_secs(60), || {
        let left = lab.exec(1, &["sh", "-c", "ls -A /tmp /home/deploy /run/otternauts 2>/dev/null | grep -i otter"]);
        if left.stdout.is_empty() { Ok(()) } else { Err(left.stdout) }
    });
}
