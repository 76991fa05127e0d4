//! `otter server confirm`: a person says that the key which a server shows is its own (OT-9, OT-10).

use super::servers;
use crate::args::{Confirm, Global};
use crate::connect::{self, FIELD_MANAGER};
use crate::exit::{Code, Failure};
use crate::follow::{self, Verdict};
use crate::output;
use anyhow::Context as _;
use kube::Api;
use kube::api::{Patch, PatchParams};
use otternauts_types::Server;
use otternauts_types::server::{Connection, ObservedHostKey};
use serde_json::json;

pub async fn run(global: &Global, args: &Confirm) -> anyhow::Result<Code> {
    let session = connect::open(global).await?;
    let api = servers(&session);
    let name = args.name.as_str();
    let server = api.get(name).await.with_context(|| format!("cannot confirm server {name:?}"))?;
    if server.spec.connection == Connection::Local {
        output::note(&format!("server {name} is reached locally: it has no host key to confirm"));
        return Ok(Code::Ok);
    }
    let shown = shown(&api, args, &server).await.with_context(|| format!("server {name} shows no host key"))?;
    let confirmed = server.spec.host_key.map(|k| k.fingerprint);
    match decide(args, confirmed.as_deref(), &shown.fingerprint)? {
        Step::Nothing => {
            output::note(&format!("server {name}: this key is confirmed already: {}", shown.fingerprint));
            return Ok(Code::Ok);
        }
        Step::Confirm => {}
        Step::Ask => ask(name, &shown).await?,
    }
    let patch = json!({"spec": {"hostKey": {"fingerprint": shown.fingerprint}}});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    let done = api.patch(name, &params, &Patch::Merge(patch)).await;
    done.with_context(|| format!("cannot confirm server {name:?}"))?;
    output::note(&format!("server {name} confirmed: {}", shown.fingerprint));
    Ok(Code::Ok)
}

/// The key the server shows, waited for. After a reinstall the old key may still stand there: then the expected one is waited for.
async fn shown(api: &Api<Server>, args: &Confirm, server: &Server) -> anyhow::Result<ObservedHostKey> {
    let name = args.name.as_str();
    let confirmed = server.spec.host_key.as_ref().map(|k| k.fingerprint.clone());
    let mut found = None;
    let mut old = None;
    let look = |object: Option<&Server>| {
        let Some(server) = object else { return Verdict::Failed(format!("server {name} was deleted meanwhile")) };
        let status = server.status.clone().unwrap_or_default();
        let Some(key) = status.host_key else {
            let why = status.last_error.map(|e| format!(": {e}")).unwrap_or_default();
            return Verdict::Waiting(format!("waiting for server {name} to show its host key{why}"));
        };
        let awaits_other = args.fingerprint.as_ref().is_some_and(|f| *f != key.fingerprint);
        if awaits_other && confirmed.as_ref() == Some(&key.fingerprint) {
            old = Some(key);
            return Verdict::Waiting(format!("waiting for server {name} to show its new host key"));
        }
        found = Some(key);
        Verdict::Done(String::new())
    };
    let waited = follow::until(api, name, args.timeout, &format!("otter server confirm {name}"), look).await;
    match (found.or(old), waited) {
        (Some(key), _) => Ok(key),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(Failure::new(Code::Error, "the server shows no host key").into()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is confirmed already.
    Nothing,
    /// The person said which key it must be.
    Confirm,
    Ask,
}

/// What may be done about a shown key. Pure: nothing but equal fingerprints, or a person's word, confirms one.
fn decide(args: &Confirm, confirmed: Option<&str>, shown: &str) -> Result<Step, Failure> {
    let name = &args.name;
    if let Some(expected) = args.fingerprint.as_deref().filter(|expected| *expected != shown) {
        let text = format!(
            "server {name} shows another host key than you expect; nothing was confirmed\n  expected {expected}\n  shown    {shown}"
        );
        let step = "read it again on the server's own console; if it still differs, somebody may be in between";
        return Err(Failure::new(Code::Error, text).next(step));
    }
    match confirmed {
        Some(confirmed) if confirmed == shown => return Ok(Step::Nothing),
        Some(confirmed) if !args.replace => {
            let text = format!(
                "server {name} had another host key before; nothing was confirmed\n  confirmed {confirmed}\n  shown     {shown}"
            );
            let step = format!("if you reinstalled the server: otter server confirm {name} --replace");
            return Err(Failure::new(Code::Conflict, text).next(step));
        }
        _ => {}
    }
    if args.fingerprint.is_some() || args.yes { Ok(Step::Confirm) } else { Ok(Step::Ask) }
}

async fn ask(name: &str, key: &ObservedHostKey) -> anyhow::Result<()> {
    output::complain(&format!("server {name} shows this host key:"));
    output::complain(&format!("  {} {}", output::clean(&key.algorithm), output::clean(&key.fingerprint)));
    output::complain("Compare it with what the server says on its own console:");
    output::complain(&format!("  {}", console_command(&key.algorithm)));
    if !output::can_ask() {
        let step = format!("otter server confirm {name} --fingerprint SHA256:..., as read on the console");
        return Err(Failure::new(Code::Usage, "there is no terminal to ask on").next(step).into());
    }
    match output::ask("Are they the same?").await? {
        true => Ok(()),
        false => Err(Failure::new(Code::Error, "not confirmed; nothing is sent to the server").into()),
    }
}

fn console_command(algorithm: &str) -> String {
    let kind = match algorithm {
        a if a.starts_with("ecdsa") => "ecdsa",
        a if a.contains("rsa") => "rsa",
        _ => "ed25519",
    };
    format!("ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_equal_fingerprints_or_a_persons_word_confirm_a_key() {
        let check = |fingerprint: Option<&str>, replace, yes, confirmed: Option<&str>, expected: Result<Step, &str>| {
            let fingerprint = fingerprint.map(str::to_owned);
            let args = Confirm { name: "reef".into(), fingerprint, replace, yes, timeout: Duration::ZERO };
            let found = decide(&args, confirmed, "B").map_err(|e| e.to_string());
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        };
        check(None, false, false, None, Ok(Step::Ask));
        check(None, false, true, None, Ok(Step::Confirm));
        check(Some("B"), false, false, None, Ok(Step::Confirm));
        check(Some("B"), false, false, Some("B"), Ok(Step::Nothing));
        check(None, false, true, Some("B"), Ok(Step::Nothing));
        check(Some("A"), true, true, None, Err("shows another host key than you expect"));
        check(Some("A"), true, true, Some("A"), Err("shows another host key than you expect"));
        check(None, false, true, Some("A"), Err("had another host key before"));
        check(Some("B"), false, true, Some("A"), Err("had another host key before"));
        check(None, true, false, Some("A"), Ok(Step::Ask));
        check(Some("B"), true, false, Some("A"), Ok(Step::Confirm));
    }

    #[test]
    fn the_console_command_fits_the_algorithm() {
        for (algorithm, file) in
            [("ssh-ed25519", "ed25519"), ("ecdsa-sha2-nistp256", "ecdsa"), ("rsa-sha2-512", "rsa"), ("ssh-rsa", "rsa")]
        {
            assert_eq!(console_command(algorithm), format!("ssh-keygen -lf /etc/ssh/ssh_host_{file}_key.pub"));
        }
    }
}
