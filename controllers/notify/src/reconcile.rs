//! One look at a Notifier: what is under way, what is to tell, what was asked for.

use crate::context::Context;
use crate::decide::{self, Asker, whole_seconds};
use crate::error::{DeliveryError, Error, Result};
use crate::formats::{self, Sender};
use crate::plan::Plan;
use crate::settings::Settings;
use crate::status::{self, At};
use crate::{act, backoff};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt as _};
use otternauts_meta::Secret;
use otternauts_types::notifier::{
    Channel, Notice, NoticeObject, NoticeState, NotifierSecretRef, NotifierStatus, Outbox, Severity, TestResult,
};
use otternauts_types::{NOTIFY_TEST_ANNOTATION, Notifier, SYSTEM_NAMESPACE};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub async fn reconcile(notifier: Arc<Notifier>, ctx: Arc<Context>) -> Result<Action> {
    run(&notifier, &ctx).await
}

/// One Notifier, as it is at the server now: what was written a moment ago is in it.
struct Look<'a> {
    ctx: &'a Context,
    api: Api<Notifier>,
    notifier: Notifier,
    old: NotifierStatus,
    now: Timestamp,
}

async fn run(notifier: &Notifier, ctx: &Context) -> Result<Action> {
    let namespace = notifier.namespace().unwrap_or_default();
    let api: Api<Notifier> = Api::namespaced(ctx.client.clone(), &namespace);
    let read = api.get_opt(&notifier.name_any()).await.map_err(Error::api("read a Notifier"))?;
    let Some(notifier) = read.filter(|n| n.metadata.deletion_timestamp.is_none()) else {
        ctx.forget(&notifier.uid().unwrap_or_default());
        return Ok(Action::await_change());
    };
    let old = notifier.status.clone().unwrap_or_default();
    let look = Look { ctx, api, notifier, old, now: Timestamp::now() };
    if let Some(id) = look.asked_for_test() {
        return look.test(&id).await;
    }
    if look.notifier.spec.suspend {
        return look.write(|l| status::suspended(&l.old, l.at())).await.map(|()| Action::await_change());
    }
    let checked = act::check(&look.notifier.spec).map_err(|e| e.to_string());
    let settings = match checked.and_then(|()| Settings::of(&look.notifier.spec)) {
        Ok(settings) => settings,
        Err(why) => {
            return look.write(|l| status::misconfigured(&l.old, &why, l.at())).await.map(|()| Action::await_change());
        }
    };
    match status::standing_reason(&look.old) {
        Some(status::reason::SUSPENDED) => return look.resume(ctx.board.newest()).await,
        Some(status::reason::CONFIGURATION) => return look.resume(None).await,
        _ => {}
    }
    let accepted = status::accepted(&look.old, look.at());
    if accepted != look.old {
        return look.write(|_| accepted).await.map(|()| at_once());
    }
    match &look.old.outbox {
        Some(outbox) => look.attempt(outbox, settings).await,
        None => look.decide(settings).await,
    }
}

/// The status has changed under us: the next look goes on with it.
fn at_once() -> Action {
    Action::requeue(Duration::ZERO)
}

impl Look<'_> {
    fn now_text(&self) -> String {
        whole_seconds(self.now)
    }

    fn at(&self) -> At {
        At { now: self.now, generation: self.notifier.metadata.generation }
    }

    async fn write(&self, next: impl FnOnce(&Self) -> NotifierStatus) -> Result<()> {
        let new = next(self);
        if new == self.old {
            return Ok(());
        }
        // The whole status at once: it is one value, and nobody else writes it. Of this very Notifier, and no other of its name.
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": self.notifier.metadata.uid},
            {"op": "add", "path": "/status", "value": serde_json::to_value(&new)?},
        ]);
        let patch = serde_json::from_value(patch)?;
        let patch: Patch<Notifier> = Patch::Json(patch);
        let written = self.api.patch_status(&self.notifier.name_any(), &PatchParams::default(), &patch).await;
        match written {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop).map_err(Error::api("write a status")),
        }
    }

    async fn resume(&self, through: Option<u64>) -> Result<Action> {
        self.write(|l| status::resumed(&l.old, through, l.at())).await.map(|()| at_once())
    }

    async fn decide(&self, settings: Settings) -> Result<Action> {
        let Some(observed) = self.ctx.board.observed() else { return Ok(Action::await_change()) };
        let created = self.notifier.creation_timestamp().map_or(Timestamp::MIN, |t| t.0);
        let (namespace, uid) = (self.notifier.namespace().unwrap_or_default(), self.notifier.uid().unwrap_or_default());
        let selector = &self.notifier.spec.selector;
        let asker = Asker { namespace: &namespace, uid: &uid, created, selector, settings, status: &self.old };
        match decide::decide(&asker, &observed, self.now) {
            Plan::Rest(None) => Ok(Action::await_change()),
            Plan::Rest(Some(wait)) => Ok(Action::requeue(wait)),
            Plan::Adopt(incidents) => self.write(|l| status::adopted(&l.old, incidents)).await.map(|()| at_once()),
            // Written before the first attempt: whatever happens now, the same message goes out under the same id.
            Plan::Send(outbox) => self.write(|l| status::composed(&l.old, outbox)).await.map(|()| at_once()),
        }
    }

    async fn attempt(&self, outbox: &Outbox, settings: Settings) -> Result<Action> {
        let uid = self.notifier.uid().unwrap_or_default();
        let generation = self.notifier.metadata.generation;
        let attempt = match self.ctx.turn(&uid, &outbox.id, generation) {
            Ok(attempt) => attempt,
            Err(wait) => return Ok(Action::requeue(wait)),
        };
        let channel = self.notifier.spec.channel.name();
        let delivered = tokio::select! {
            delivered = self.deliver(outbox) => delivered,
            // It stays in the outbox, and goes out again at the next start.
            () = self.ctx.stopping.clone() => return Ok(Action::await_change()),
        };
        match delivered {
            Ok(_) => {
                self.ctx.metrics.notifications.sent(channel, "delivered");
                self.write(|l| status::delivered(&l.old, l.at())).await?;
                self.ctx.forget(&uid);
                Ok(at_once())
            }
            Err(error) if error.is_final() || attempt >= settings.max_attempts => {
                self.ctx.metrics.notifications.sent(channel, "dead");
                self.write(|l| status::dead(&l.old, attempt, &error.to_string(), l.at())).await?;
                self.ctx.forget(&uid);
                let (name, namespace) = (self.notifier.name_any(), self.notifier.namespace().unwrap_or_default());
                tracing::warn!(notifier = name, namespace, message = outbox.id, %error, attempt, "a message was given up");
                self.ctx.say(&self.notifier, attempt, &error).await;
                Ok(at_once())
            }
            Err(error) => {
                self.ctx.metrics.notifications.sent(channel, "retried");
                let salt = u64::from_be_bytes(ring_salt(&outbox.id));
                let wait = backoff::after(attempt, error.retry_after(), salt);
                self.ctx.failed(&uid, &outbox.id, generation, attempt, Instant::now() + wait);
                self.write(|l| status::retrying(&l.old, &error.to_string(), l.at())).await?;
                Ok(Action::requeue(wait))
            }
        }
    }

    async fn deliver(&self, outbox: &Outbox) -> std::result::Result<String, DeliveryError> {
        let (namespace, name) = (self.notifier.namespace().unwrap_or_default(), self.notifier.name_any());
        let secret = match secret_of(&self.notifier.spec.channel) {
            Some(reference) => Some(self.secret(&namespace, reference).await?),
            None => None,
        };
        let unix_seconds = self.now.as_second();
        let sender = Sender { namespace: &namespace, name: &name, unix_seconds };
        let parcel = formats::parcel(&self.notifier.spec.channel, secret, sender, outbox);
        let parcel = parcel.map_err(DeliveryError::Unusable)?;
        act::deliver(&parcel, &self.notifier.spec, namespace == SYSTEM_NAMESPACE).await
    }

    async fn secret(
        &self,
        namespace: &str,
        reference: &NotifierSecretRef,
    ) -> std::result::Result<Secret<String>, DeliveryError> {
        let wrong = |why| DeliveryError::Secret { name: reference.name.clone(), why };
        let api: Api<KubeSecret> = Api::namespaced(self.ctx.client.clone(), namespace);
        let found = api.get_opt(&reference.name).await.map_err(|_| wrong("cannot be read"))?;
        let data = found.ok_or_else(|| wrong("does not exist"))?.data.unwrap_or_default();
        let bytes = match (&reference.key, data.len()) {
            (Some(key), _) => data.get(key).ok_or_else(|| wrong("does not have the key that is asked for"))?,
            (None, 1) => data.values().next().ok_or_else(|| wrong("is empty"))?,
            (None, _) => return Err(wrong("has several keys: name one in secretRef.key")),
        };
        let text = String::from_utf8(bytes.0.clone()).map_err(|_| wrong("is not text"))?;
        Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The value of the annotation that has had no answer yet.
    fn asked_for_test(&self) -> Option<String> {
        let asked = self.notifier.annotations().get(NOTIFY_TEST_ANNOTATION)?;
        let answered = self.old.test.as_ref().is_some_and(|t| t.id == *asked);
        (!answered && !asked.is_empty()).then(|| asked.clone())
    }

    /// One attempt, also of a suspended Notifier: a person waits for the answer.
    async fn test(&self, id: &str) -> Result<Action> {
        let object = NoticeObject {
            kind: "Notifier".to_owned(),
            namespace: self.notifier.namespace().unwrap_or_default(),
            name: self.notifier.name_any(),
            uid: self.notifier.uid().unwrap_or_default(),
        };
        let notice = Notice {
            state: NoticeState::Event,
            severity: Severity::Normal,
            object,
            version: None,
            reason: "Test".to_owned(),
            message: "this is a test message: nothing has happened".to_owned(),
            time: self.now_text(),
        };
        let outbox = Outbox {
            id: format!("test_{}", decide::digest(id)),
            time: self.now_text(),
            notices: vec![notice],
            ..Outbox::default()
        };
        let outcome = tokio::select! {
            outcome = self.deliver(&outbox) => outcome,
            () = self.ctx.stopping.clone() => return Ok(Action::await_change()),
        };
        let result = if outcome.is_ok() { "test_delivered" } else { "test_failed" };
        self.ctx.metrics.notifications.sent(self.notifier.spec.channel.name(), result);
        let result = TestResult {
            id: id.to_owned(),
            delivered: outcome.is_ok(),
            answer: outcome.unwrap_or_else(|error| error.to_string()),
            time: self.now_text(),
        };
        self.write(|l| status::tested(&l.old, result)).await.map(|()| at_once())
    }
}

fn secret_of(channel: &Channel) -> Option<&NotifierSecretRef> {
    match channel {
        Channel::Webhook(c) => Some(&c.secret_ref),
        Channel::Slack(c) | Channel::Discord(c) => Some(&c.secret_ref),
        Channel::Ntfy(c) => c.secret_ref.as_ref(),
        Channel::Email(c) => c.secret_ref.as_ref(),
    }
}

/// Bytes that differ from message to message.
fn ring_salt(id: &str) -> [u8; 8] {
    let mut salt = [0; 8];
    for (index, byte) in id.bytes().enumerate() {
        salt[index % 8] ^= byte.rotate_left(u32::try_from(index % 7).unwrap_or(0));
    }
    salt
}
