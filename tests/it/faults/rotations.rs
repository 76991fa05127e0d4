//! New data keys under load, killed at each step as it is told (J6, A2, P14): nothing answered is lost, everything can be read at once,
//! and in the end one key is left, and no byte that names another.

use super::{directory, nightly, say};
use crate::keys::{SECRETS, listing, named, plant, values};
use crate::{OTTER, otter};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt as _};
use otternauts_faults::Dice;
use otternauts_harness::{Otter, until};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const WRITERS: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_under_load_that_is_killed_at_any_step_ends_with_one_key_j6() {
    let runs = if nightly() { 100 } else { 3 };
    let seed = Dice::seed();
    say(&format!("rotations: {}={seed}", otternauts_faults::dice::SEED));
    let mut otter = otter();
    plant(&otter);
    otter.kubectl(&["create", "namespace", "load"]).ok();
    let before = values(&otter);
    let (mut acknowledged, mut active) = (0, 1);
    for run in 0..runs {
        let mut dice = Dice::part(seed, run);
        let client = otter.client().await;
        let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(client.clone(), run, writer))).collect();
        // A line for each step and for each hundred objects; the last one is that it is done.
        kill_after(&mut otter, dice.below(7));
        let mut answered = BTreeMap::new();
        for writer in writers {
            answered.extend(writer.await.expect("a writer ends with the server"));
        }
        otter.boot();
        let why = format!("seed {seed}, run {run}");
        assert_eq!(values(&otter), before, "{why}: everything is readable at once");
        let loaded: Api<Secret> = Api::namespaced(otter.client().await, "load");
        let found = loaded.list(&ListParams::default()).await.expect("listed");
        let found: BTreeMap<_, _> = found.items.iter().map(|secret| (secret.name_any(), value(secret))).collect();
        for (name, written) in &answered {
            assert_eq!(found.get(name), Some(written), "{why}: {name} was answered");
        }
        acknowledged += answered.len();
        let ended = until("the rotation to end", Duration::from_secs(60), || {
            let listing = listing(&otter);
            if listing["rotating"] == false { Ok(listing) } else { Err(listing) }
        });
        assert_eq!(ended["keys"], json!([{"number": ended["active"], "rows": ended["keys"][0]["rows"]}]), "{why}");
        let now = ended["active"].as_u64().expect("a number");
        assert!(now == active || now == active + 1, "{why}: {now} after {active}");
        active = now;
        loaded.delete_collection(&DeleteParams::default(), &ListParams::default()).await.expect("deleted");
    }
    otter.otter(&["keys", "rotate"]).ok();
    let last = listing(&otter);
    assert_eq!(last["keys"], json!([{"number": active + 1, "rows": SECRETS}]), "seed {seed}");
    assert_eq!(named(&otter.data_dir()), [(active + 1).to_string()], "seed {seed}");
    let line = json!({"test": "rotations", "seed": seed, "runs": runs, "acknowledged": acknowledged, "keys": active + 1, "lost": 0});
    say(&format!("rotations: {line}"));
    std::fs::write(directory().join("rotations.json"), format!("{line}\n")).expect("target can be written");
    assert!(acknowledged as u64 > runs, "hardly anything was written meanwhile: {acknowledged}");
}

/// Creates Secrets until the server is gone, and reads each again. Answers what was acknowledged.
async fn write(client: kube::Client, run: u64, writer: u64) -> Vec<(String, Vec<u8>)> {
    let secrets: Api<Secret> = Api::namespaced(client, "load");
    let mut answered = Vec::new();
    for number in 0.. {
        let (name, plain) = (format!("r{run}-{writer}-{number}"), format!("plain {number}").into_bytes());
        let mut secret =
            Secret { data: Some([("key".to_owned(), ByteString(plain.clone()))].into()), ..Secret::default() };
        secret.metadata.name = Some(name.clone());
        match secrets.create(&PostParams::default(), &secret).await {
            Ok(_) => answered.push((name.clone(), plain.clone())),
            Err(kube::Error::Api(status)) => panic!("{name} is refused: {status:?}"),
            Err(_) => break,
        }
        match secrets.get(&name).await {
            Ok(read) => assert_eq!(value(&read), plain, "{name}"),
            Err(kube::Error::Api(status)) => panic!("{name} cannot be read: {status:?}"),
            Err(_) => break,
        }
    }
    answered
}

fn value(secret: &Secret) -> Vec<u8> {
    secret.data.as_ref().and_then(|data| data.get("key")).map(|value| value.0.clone()).unwrap_or_default()
}

/// Begins a rotation, and kills the server when so many lines of it were told, or all.
fn kill_after(otter: &mut Otter, lines: u64) {
    let mut command = Command::new(OTTER);
    command.args(["keys", "rotate"]).env("KUBECONFIG", otter.kubeconfig());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let told = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    for (_, line) in (0..lines).zip(told) {
        assert!(!line.contains("kept"), "{line}");
    }
    otter.kill();
    child.wait().expect("it ends");
}
