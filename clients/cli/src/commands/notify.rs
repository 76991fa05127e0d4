//! `otter notify test`: asks the controller for a test message, by an annotation, and waits for its answer in the status.

use crate::args::{Global, NotifyCommand, NotifyTest};
use crate::connect::{self, FIELD_MANAGER};
use crate::exit::Code;
use crate::follow::{self, Verdict};
use crate::output;
use anyhow::Context as _;
use kube::Api;
use kube::api::{Patch, PatchParams};
use otternauts_types::{NOTIFY_TEST_ANNOTATION, Notifier};
use serde_json::json;

pub async fn run(global: &Global, command: &NotifyCommand) -> anyhow::Result<Code> {
    let NotifyCommand::Test(args) = command;
    test(global, args).await
}

async fn test(global: &Global, args: &NotifyTest) -> anyhow::Result<Code> {
    let session = connect::open(global).await?;
    let api: Api<Notifier> = Api::namespaced(session.client.clone(), &session.namespace);
    let name = args.name.as_str();
    let id = format!("{}-{}", jiff::Timestamp::now().as_nanosecond(), std::process::id());
    let mut annotations = serde_json::Map::new();
    annotations.insert(NOTIFY_TEST_ANNOTATION.to_owned(), id.as_str().into());
    let patch = json!({"metadata": {"annotations": annotations}});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let asked = api.patch(name, &params, &Patch::Merge(patch)).await;
    asked.with_context(|| format!("cannot test notifier {name:?}"))?;
    let resume = format!("kubectl get notifier {name} -n {} -o yaml", session.namespace);
    let ended = follow::until(&api, name, args.timeout, &resume, |found| look(found, name, &id)).await;
    let ended = ended.with_context(|| format!("notifier {name}"))?;
    output::data(format!("{}\n", output::clean(&ended.text)).as_bytes())?;
    Ok(Code::Ok)
}

/// What the status says about this test. Pure.
fn look(notifier: Option<&Notifier>, name: &str, id: &str) -> Verdict {
    let Some(notifier) = notifier else { return Verdict::Failed(format!("notifier {name} was deleted meanwhile")) };
    let test = notifier.status.as_ref().and_then(|s| s.test.as_ref()).filter(|t| t.id == id);
    let channel = notifier.spec.channel.name();
    match test {
        None => Verdict::Waiting(format!("notifier {name}: waiting for the answer of its {channel} receiver")),
        Some(test) if test.delivered => Verdict::Done(format!("delivered by {channel}: {}", test.answer)),
        Some(test) => Verdict::Failed(format!("not delivered by {channel}: {}", test.answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_test_counts() {
        let notifier = |id: &str, delivered: bool| {
            let test =
                json!({"id": id, "delivered": delivered, "answer": "204 No Content", "time": "2026-01-02T03:04:05Z"});
            let object = json!({
                "apiVersion": "otternauts.dev/v1", "kind": "Notifier", "metadata": {"name": "ops"},
                "spec": {"channel": {"slack": {"secretRef": {"name": "x"}}}}, "status": {"test": test},
            });
            serde_json::from_value::<Notifier>(object).expect("a Notifier")
        };
        let seen = |object: Option<&Notifier>| look(object, "ops", "2");
        assert!(matches!(seen(Some(&notifier("1", true))), Verdict::Waiting(_)));
        assert_eq!(seen(Some(&notifier("2", true))), Verdict::Done("delivered by slack: 204 No Content".to_owned()));
        assert_eq!(
            seen(Some(&notifier("2", false))),
            Verdict::Failed("not delivered by slack: 204 No Content".to_owned())
        );
        assert!(matches!(seen(None), Verdict::Failed(_)));
    }
}
