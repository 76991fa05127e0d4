//! Reconciles as spans: in the trace of the change that they work on, and linked to it once that is done.

use crate::{Kind, kind_of};
use kube::ResourceExt as _;
use otternauts_telemetry::traces::{self, ANNOTATION, Kind as SpanKind, Origin, Span};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

/// For so long looks belong to the change that caused them: a trace of something that fails for days is of no use.
const YOUNG: Duration = Duration::from_secs(15 * 60);
/// Objects whose change is remembered.
const REMEMBERED: usize = 10_000;

/// What one controller's looks are part of.
pub(crate) struct Spans {
    controller: &'static str,
    /// uid -> the change that is worked on, and since when.
    causes: Mutex<HashMap<String, (String, Instant)>>,
}

impl Spans {
    pub fn new(controller: &'static str) -> Self {
        Self { controller, causes: Mutex::default() }
    }

    /// The span of one look. `settled`: the object is as its spec says. `waited`: how long its key was in the queue.
    pub fn begin<K: Kind>(&self, object: &K, settled: bool, waited: Option<Duration>) -> Span {
        if !traces::is_on() {
            return Span::OFF;
        }
        let cause = object.annotations().get(ANNOTATION).map(String::as_str);
        let meta = object.meta();
        let uid = meta.uid.as_deref().unwrap_or_default();
        let under_way = !settled && cause.is_some_and(|cause| self.is_young(uid, cause));
        let origin = if under_way { Origin::Parent(cause) } else { Origin::Link(cause) };
        if under_way && let Some(began) = waited.and_then(|w| SystemTime::now().checked_sub(w)) {
            Span::since(SpanKind::Internal, || format!("queue {}", self.controller), origin, Some(began)).end();
        }
        let span = Span::begin(SpanKind::Consumer, || format!("reconcile {}", kind_of::<K>()), origin);
        if span.is_recorded() {
            span.set("otternauts.controller", self.controller);
            span.set("k8s.object.kind", kind_of::<K>());
            span.set("k8s.object.name", object.name_any());
            span.set("k8s.object.uid", uid.to_owned());
            if let Some(namespace) = &meta.namespace {
                span.set("k8s.namespace.name", namespace.clone());
            }
            span.set("k8s.object.generation", meta.generation.unwrap_or_default());
            span.set("k8s.object.resource_version", meta.resource_version.clone().unwrap_or_default());
        }
        span
    }

    fn is_young(&self, uid: &str, cause: &str) -> bool {
        let mut causes = self.causes.lock();
        if let Some((known, since)) = causes.get(uid)
            && known == cause
        {
            return since.elapsed() < YOUNG;
        }
        if causes.len() >= REMEMBERED {
            causes.clear();
        }
        causes.insert(uid.to_owned(), (cause.to_owned(), Instant::now()));
        true
    }
}
