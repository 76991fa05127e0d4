//! kube-rs' controller, counted. See README.md.

mod spans;
#[cfg(test)]
mod tests;

use futures::{Stream, StreamExt as _};
use kube::runtime::controller::{Action, Config, Error};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource, ResourceExt as _};
use otternauts_telemetry::Metrics;
use otternauts_telemetry::controllers::{Convergence, Outcome, Queue};
use serde::de::DeserializeOwned;
use spans::Spans;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// An error with its causes, in one line for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(c) = cause {
        text.push_str(": ");
        text.push_str(&c.to_string());
        cause = c.source();
    }
    text
}

/// What a controller can be for.
pub trait Kind: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static {}
impl<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static> Kind for K {}

/// What the status of an object says of its newest generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The generation that the status speaks of; `None` before there is one.
    pub observed: Option<i64>,
    pub ready: bool,
}

/// The objects of an API as they are and as they change, without `managedFields`: no controller asks who set what, and in what is
/// kept of them it would take more room than all else.
pub fn watch<K: Kind>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send {
    watcher(api, config).modify(|object| object.meta_mut().managed_fields = None)
}

/// What is measured of objects on their way to Ready, and how that is read from one.
type Converging<K> = (Convergence, fn(&K) -> Standing);

/// A kube-rs controller with a name, whose work is counted.
pub struct Controller<K: Kind> {
    inner: kube::runtime::Controller<K>,
    config: Config,
    store: Store<K>,
    queue: Queue,
    metrics: Arc<Metrics>,
    converging: Option<Converging<K>>,
}

impl<K: Kind> Controller<K> {
    /// `name` is the label `name` and `controller` of its series; two controllers of one name are counted together.
    pub fn new(name: &'static str, metrics: &Arc<Metrics>, api: Api<K>, config: watcher::Config) -> Self {
        let queue = metrics.controllers.queue(name);
        metrics.controllers.concurrency(name, 0);
        let (store, writer) = reflector::store();
        let counted = queue.clone();
        let own = reflector::reflector(writer, watch(api, config)).applied_objects().inspect(move |seen| {
            if let Ok(object) = seen {
                counted.added(&key_of(object));
            }
        });
        Self {
            inner: kube::runtime::Controller::for_stream(own, store.clone()),
            config: Config::default(),
            store,
            queue,
            metrics: Arc::clone(metrics),
            converging: None,
        }
    }

    /// The objects as the watch has them.
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// The most reconciles at once; without, there is no bound.
    #[must_use]
    pub fn concurrency(mut self, most: u16) -> Self {
        self.metrics.controllers.concurrency(self.queue.name(), most);
        self.config = self.config.concurrency(most);
        self
    }

    /// What comes within so long of a first trigger is one reconcile.
    #[must_use]
    pub fn debounce(mut self, burst: Duration) -> Self {
        self.config = self.config.debounce(burst);
        self
    }

    /// Measures how long a new generation takes to be Ready, by what `standing` reads from each object.
    #[must_use]
    pub fn converging(mut self, standing: fn(&K) -> Standing) -> Self {
        let kind: &'static str = kind_of::<K>();
        self.converging = Some((Convergence::new(&self.metrics.controllers, kind), standing));
        self
    }

    /// As kube-rs: objects of another kind trigger those that `mapper` names.
    #[must_use]
    pub fn watches<Other, I>(
        mut self,
        api: Api<Other>,
        config: watcher::Config,
        mapper: impl Fn(Other) -> I + Sync + Send + 'static,
    ) -> Self
    where
        Other: Kind,
        I: 'static + IntoIterator<Item = ObjectRef<K>>,
        I::IntoIter: Send,
    {
        let queue = self.queue.clone();
        self.inner = self.inner.watches(api, config, move |other| {
            let named: Vec<ObjectRef<K>> = mapper(other).into_iter().collect();
            named.iter().for_each(|reference| queue.added(&key(reference)));
            named
        });
        self
    }

    /// As kube-rs: each of these is looked at.
    #[must_use]
    pub fn reconcile_on(mut self, trigger: impl Stream<Item = ObjectRef<K>> + Send + 'static) -> Self {
        let queue = self.queue.clone();
        self.inner = self.inner.reconcile_on(trigger.inspect(move |reference| queue.added(&key(reference))));
        self
    }

    /// As kube-rs: all are looked at.
    #[must_use]
    pub fn reconcile_all_on(mut self, trigger: impl Stream<Item = ()> + Send + 'static) -> Self {
        let (queue, store) = (self.queue.clone(), self.store.clone());
        self.inner = self.inner.reconcile_all_on(trigger.inspect(move |()| {
            store.state().iter().for_each(|object| queue.added(&key_of(object.as_ref())));
        }));
        self
    }

    /// As kube-rs: reconciles under way are finished, no new ones begin.
    #[must_use]
    pub fn graceful_shutdown_on(mut self, trigger: impl Future<Output = ()> + Send + Sync + 'static) -> Self {
        self.inner = self.inner.graceful_shutdown_on(trigger);
        self
    }

    /// As kube-rs; the stream ends when the controller does.
    pub fn run<Looking, E, Ctx>(
        self,
        reconcile: impl Fn(Arc<K>, Arc<Ctx>) -> Looking,
        error_policy: impl Fn(Arc<K>, &E, Arc<Ctx>) -> Action,
        context: Arc<Ctx>,
    ) -> impl Stream<Item = Result<(ObjectRef<K>, Action), Error<E, watcher::Error>>>
    where
        Looking: Future<Output = Result<Action, E>> + Send + 'static,
        E: std::error::Error + Send + 'static,
    {
        let Self { inner, config, queue, converging, .. } = self;
        let counted = queue.clone();
        let spans = Spans::new(queue.name());
        let look = move |object: Arc<K>, context| {
            let mut settled = true;
            if let Some((convergence, standing)) = &converging {
                see(convergence, object.as_ref(), *standing);
                let standing = standing(object.as_ref());
                settled = standing.ready && standing.observed == object.meta().generation;
            }
            let work = counted.start(&key_of(object.as_ref()));
            let span = spans.begin(object.as_ref(), settled, work.waited());
            let looking = reconcile(object, context);
            async move {
                let result = span.run(looking).await;
                if result.is_err() {
                    span.fail("failed");
                }
                work.end(match &result {
                    Ok(action) if *action == Action::await_change() => Outcome::Success,
                    Ok(_) => Outcome::RequeueAfter,
                    Err(_) => Outcome::Error,
                });
                result
            }
        };
        inner.with_config(config).run(look, error_policy, context).inspect(move |result| {
            // It was deleted while it waited.
            if let Err(Error::ObjectNotFound(reference)) = result {
                queue.forget(&key(reference));
            }
        })
    }
}

fn see<K: Kind>(convergence: &Convergence, object: &K, standing: fn(&K) -> Standing) {
    let meta = object.meta();
    let (Some(uid), Some(generation)) = (&meta.uid, meta.generation) else { return };
    if meta.deletion_timestamp.is_some() {
        return convergence.forget(uid);
    }
    let Standing { observed, ready } = standing(object);
    convergence.see(uid, generation, observed, ready);
}

/// The kind's name for a label: there are only as many as there are controllers.
fn kind_of<K: Kind>() -> &'static str {
    match K::kind(&()) {
        std::borrow::Cow::Borrowed(kind) => kind,
        std::borrow::Cow::Owned(_) => "other",
    }
}

fn key<K: kube::runtime::reflector::Lookup>(reference: &ObjectRef<K>) -> String
where
    K::DynamicType: Clone,
{
    [reference.namespace.as_deref().unwrap_or_default(), "/", &reference.name].concat()
}

fn key_of<K: Kind>(object: &K) -> String {
    [object.meta().namespace.as_deref().unwrap_or_default(), "/", &object.name_any()].concat()
}
