//! The canonical document for `docker stack deploy --compose-file -`: JSON, which is YAML, with every `$` doubled.

use crate::project::{Project, Shared, Source};
use crate::route::{self, INGRESS_NETWORK, Joined, NOWHERE, Place};
use crate::service::Service;
use otternauts_meta::Secret;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Labels of our own on services, networks, volumes, configs and secrets.
pub mod label {
    pub const NAMESPACE: &str = "otternauts.dev/namespace";
    pub const STACK: &str = "otternauts.dev/stack";
    /// The Deployment that last changed a service: services that stay are not sent again and keep theirs.
    pub const DEPLOYMENT: &str = "otternauts.dev/deployment";
    /// Of the service as rendered, without our labels. Equal hashes mean: nothing to do.
    pub const SPEC: &str = "otternauts.dev/spec-sha256";
}

/// Docker's longest name for a service, in bytes.
const MAX_SERVICE_NAME: usize = 63;
/// Docker's longest name for a config or secret, in bytes.
const MAX_FILE_NAME: usize = 64;

/// Whose stack it is, and which Deployment renders it.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    pub namespace: String,
    pub stack: String,
    pub deployment: String,
    /// For each registry with a login of ours, a mark of that login. Swarm keeps the login with the service: a new one is
    /// another hash, so that the service is sent again; its tasks stay.
    pub logins: BTreeMap<String, String>,
    /// The ingress that serves its domains; none: they are not served.
    pub ingress: Option<Place>,
}

/// What goes to the Swarm. It holds environment values: it cannot be printed.
pub struct Rendered {
    pub stack_name: String,
    /// The namespace it belongs to.
    pub namespace: String,
    /// Its name there.
    pub stack: String,
    pub services: Vec<RenderedService>,
    /// Configs and secrets to make before the document is sent; the document names them as external.
    pub inline: Vec<Inline>,
    /// Some service is on the network of the ingress, which must be there first.
    pub on_ingress: bool,
    /// `(section, name)` of what must already exist on the Swarm.
    pub external: Vec<(&'static str, String)>,
    pub(crate) bodies: BTreeMap<String, Json>,
    /// The declared health checks, by service. The swarm knows nothing of them, so that no service has them in its hash.
    pub(crate) probes: BTreeMap<String, Json>,
    version: &'static str,
    labelled: Map<String, Json>,
    /// Networks, volumes, configs and secrets.
    shared: [(&'static str, Map<String, Json>); 4],
}

impl Rendered {
    /// The document with all services.
    pub fn document(&self) -> Secret<String> {
        self.document_of(|_| true)
    }

    /// The document with some services only. Without `--prune` Swarm leaves the others exactly as they are, which is how a
    /// service that did not change keeps its tasks, its version and its automatic rollback.
    pub fn document_of(&self, wanted: impl Fn(&str) -> bool) -> Secret<String> {
        let services = self.labelled.iter().filter(|(name, _)| wanted(name));
        let services: Map<String, Json> = services.map(|(name, body)| (name.clone(), body.clone())).collect();
        let mut document = Map::new();
        document.insert("version".into(), json!(self.version));
        document.insert("services".into(), Json::Object(services));
        for (section, body) in self.shared.iter().filter(|(_, body)| !body.is_empty()) {
            document.insert((*section).into(), Json::Object(body.clone()));
        }
        let mut document = Json::Object(document);
        double_dollars(&mut document);
        Secret::new(document.to_string())
    }

    /// One hash for the whole: equal hashes mean that there is nothing to do. Another declared health check is another revision,
    /// for which no service is sent again.
    pub fn spec_sha256(&self) -> String {
        let all: Vec<_> =
            self.services.iter().map(|s| (&s.name, &s.spec_sha256)).collect::<BTreeMap<_, _>>().into_iter().collect();
        let whole = match self.probes.is_empty() {
            true => json!([self.stack_name, all]),
            false => json!([self.stack_name, all, self.probes]),
        };
        hex::encode(Sha256::digest(whole.to_string()))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedService {
    pub name: String,
    /// Its name on the Swarm.
    pub swarm_name: String,
    pub image: String,
    pub spec_sha256: String,
    pub job: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InlineKind {
    Config,
    Secret,
}

/// A config or secret whose bytes we carry. Its name holds a hash of them: new content is a new object.
pub struct Inline {
    pub kind: InlineKind,
    pub name: String,
    pub data: Secret<Vec<u8>>,
}

/// `<stack>-<8 hex of sha256(namespace/stack)>`: stacks of one name in two namespaces do not meet.
pub fn swarm_stack_name(namespace: &str, stack: &str) -> String {
    let hash = hex::encode(Sha256::digest(format!("{namespace}/{stack}")));
    // Docker takes no dots in a stack's name; the hash keeps `a.b` and `a-b` apart.
    format!("{}-{}", stack.replace('.', "-"), &hash[..8])
}

/// Renders for Swarm. `Err` says which service's name would be too long there.
pub fn render(project: &Project, who: &Identity) -> Result<Rendered, String> {
    let stack_name = swarm_stack_name(&who.namespace, &who.stack);
    let (configs, mut inline, mut external) = files(project, &stack_name, "configs", who);
    let (secrets, more, also) = files(project, &stack_name, "secrets", who);
    inline.extend(more);
    external.extend(also);
    for (section, shared) in [("networks", &project.networks), ("volumes", &project.volumes)] {
        external.extend(shared.values().filter_map(|s| Some((section, s.external.clone()?))));
    }
    let mut services = Vec::new();
    let mut bodies = BTreeMap::new();
    let mut rendered = Map::new();
    let (network, mut on_ingress) = (ingress_key(project), false);
    let owner = route::Who { swarm_stack: &stack_name, namespace: &who.namespace, stack: &who.stack };
    for service in &project.services {
        let swarm_name = format!("{stack_name}_{}", service.name);
        if swarm_name.len() > MAX_SERVICE_NAME {
            let room = MAX_SERVICE_NAME.saturating_sub(stack_name.len() + 1);
            return Err(format!(
                "services.{}: the name is too long for stack {:?}: at most {room} characters are left for it",
                service.name, who.stack
            ));
        }
        let joined = route::join(service, who.ingress.as_ref(), &network, &owner);
        on_ingress |= joined.is_some();
        let spec_sha256 = spec_hash(service, project, &configs, &secrets, who, joined.as_ref());
        let body = labelled(service, &spec_sha256, who, joined);
        rendered.insert(service.name.clone(), body);
        bodies.insert(service.name.clone(), Json::Object(service.body.clone()));
        let (name, image, job) = (service.name.clone(), service.image.clone(), service.is_job());
        services.push(RenderedService { name, swarm_name, image, spec_sha256, job });
    }
    let mut networks = shared(&project.networks, who);
    if on_ingress {
        networks.insert(network, json!({"external": true, "name": INGRESS_NETWORK}));
    }
    let shared = [
        ("networks", networks),
        ("volumes", shared(&project.volumes, who)),
        ("configs", configs),
        ("secrets", secrets),
    ];
    let version = version(project);
    let probes = project.services.iter().filter_map(|s| Some((s.name.clone(), s.ingress.probe.as_ref()?.canonical())));
    let probes = probes.collect();
    let (namespace, stack) = (who.namespace.clone(), who.stack.clone());
    Ok(Rendered {
        stack_name,
        namespace,
        stack,
        services,
        inline,
        on_ingress,
        external,
        bodies,
        probes,
        version,
        labelled: rendered,
        shared,
    })
}

/// The document's key for the ingress network: never one of the author's.
fn ingress_key(project: &Project) -> String {
    let mut key = "otternauts-ingress".to_owned();
    while project.networks.contains_key(&key) {
        key.push('_');
    }
    key
}

/// Almost all we render is 3.8. `pids` came with 3.9, `start_interval` with 3.12 (Docker 25).
fn version(project: &Project) -> &'static str {
    let any = |uses: fn(&Json) -> bool, key: &str| project.services.iter().filter_map(|s| s.body.get(key)).any(uses);
    if any(|h| h.get("start_interval").is_some(), "healthcheck") {
        "3.12"
    } else if any(|d| d["resources"]["limits"].get("pids").is_some(), "deploy") {
        "3.9"
    } else {
        "3.8"
    }
}

/// Over all that makes Swarm treat the service differently: its body, and the definitions of what it uses.
fn spec_hash(
    service: &Service,
    project: &Project,
    configs: &Map<String, Json>,
    secrets: &Map<String, Json>,
    who: &Identity,
    joined: Option<&Joined>,
) -> String {
    let network = |name: &String| {
        let shared = project.networks.get(name);
        json!([name, shared.and_then(|s| s.external.as_ref()), shared.map(|s| &s.body)])
    };
    let volumes = service.body.get("volumes").and_then(Json::as_array).into_iter().flatten();
    let volume = |mount: &Json| {
        let shared = project.volumes.get(mount.get("source")?.as_str()?)?;
        Some(json!([mount.get("source"), shared.external, shared.body]))
    };
    let used = |section: &Map<String, Json>, names: &[String]| -> Vec<Json> {
        names.iter().filter_map(|n| Some(section.get(n)?["name"].clone())).collect()
    };
    let mut whole = json!({
        "service": service.body,
        "networks": service.networks.iter().map(network).collect::<Vec<_>>(),
        "volumes": volumes.filter_map(volume).collect::<Vec<_>>(),
        "configs": used(configs, &service.configs),
        "secrets": used(secrets, &service.secrets),
    });
    if let Some(mark) = who.logins.get(&crate::registry(&service.image)) {
        whole["login"] = json!(mark);
    }
    if let Some(joined) = joined {
        whole["ingress"] = json!([INGRESS_NETWORK, joined.labels]);
    }
    hex::encode(Sha256::digest(sorted(whole).to_string()))
}

/// Key order is how the author wrote it; a hash must not depend on it.
fn sorted(value: Json) -> Json {
    match value {
        Json::Object(map) => {
            let ordered: BTreeMap<String, Json> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            Json::Object(ordered.into_iter().collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn owner_labels(who: &Identity) -> [(&'static str, String); 2] {
    [(label::NAMESPACE, who.namespace.clone()), (label::STACK, who.stack.clone())]
}

/// The body with our labels on the service. Container labels would restart tasks; these do not.
fn labelled(service: &Service, spec_sha256: &str, who: &Identity, joined: Option<Joined>) -> Json {
    let mut body = service.body.clone();
    let mut routing = Map::new();
    if let Some(joined) = joined {
        body.insert("networks".into(), joined.networks);
        routing = joined.labels;
        routing.extend(joined.withheld.into_iter().map(|label| (label, json!(NOWHERE))));
    }
    let deploy = body.entry("deploy").or_insert_with(|| json!({}));
    if let Some(deploy) = deploy.as_object_mut() {
        let labels = deploy.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.extend(owner_labels(who).map(|(k, v)| (k.to_owned(), Json::String(v))));
            labels.extend(routing);
            labels.insert(label::DEPLOYMENT.into(), json!(who.deployment));
            labels.insert(label::SPEC.into(), json!(spec_sha256));
        }
    }
    Json::Object(body)
}

fn shared(section: &BTreeMap<String, Shared>, who: &Identity) -> Map<String, Json> {
    let one = |s: &Shared| match &s.external {
        Some(name) => json!({"external": true, "name": name}),
        None => {
            let mut body = s.body.clone();
            let labels = body.entry("labels").or_insert_with(|| json!({}));
            if let Some(labels) = labels.as_object_mut() {
                labels.extend(owner_labels(who).map(|(k, v)| (k.to_owned(), Json::String(v))));
            }
            Json::Object(body)
        }
    };
    section.iter().map(|(name, s)| (name.clone(), one(s))).collect()
}

type Files = (Map<String, Json>, Vec<Inline>, Vec<(&'static str, String)>);

fn files(project: &Project, stack_name: &str, section: &'static str, who: &Identity) -> Files {
    let (kind, list) = match section {
        "configs" => (InlineKind::Config, &project.configs),
        _ => (InlineKind::Secret, &project.secrets),
    };
    let (mut rendered, mut inline, mut external) = (Map::new(), Vec::new(), Vec::new());
    for (key, file) in list {
        let name = match &file.source {
            Source::External(name) => {
                external.push((section, name.clone()));
                name.clone()
            }
            Source::Inline(data) => {
                let name = file_name(stack_name, key, data.expose(), who);
                inline.push(Inline { kind, name: name.clone(), data: data.clone() });
                name
            }
        };
        rendered.insert(key.clone(), json!({"external": true, "name": name}));
    }
    (rendered, inline, external)
}

fn file_name(stack_name: &str, key: &str, data: &[u8], who: &Identity) -> String {
    let mut hash = Sha256::new();
    hash.update(who.namespace.as_bytes());
    hash.update([0]);
    hash.update(stack_name.as_bytes());
    hash.update([0]);
    hash.update(data);
    let content = hex::encode(hash.finalize());
    let name = format!("{stack_name}_{key}-{}", &content[..12]);
    if name.len() <= MAX_FILE_NAME {
        return name;
    }
    format!("otternauts-{}", &hex::encode(Sha256::digest(&name))[..40])
}

/// `docker stack deploy` interpolates too, from its own environment: nothing may be left for it.
fn double_dollars(value: &mut Json) {
    match value {
        Json::String(s) if s.contains('$') => *s = s.replace('$', "$$"),
        Json::Array(items) => items.iter_mut().for_each(double_dollars),
        Json::Object(map) => map.values_mut().for_each(double_dollars),
        _ => {}
    }
}
