//! How documents, schemas and operations are called.

use otternauts_schema::Definition;

pub const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
pub const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
pub const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
pub const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// `api/v1` or `apis/GROUP/VERSION`.
pub fn document_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// Row O6: the reversed group, the version and the kind; Kubernetes' own names for its own kinds.
pub fn schema(definition: &Definition, version: &str, kind: &str) -> String {
    if !definition.is_builtin() {
        let reversed: Vec<&str> = definition.group.rsplit('.').collect();
        return format!("{}.{version}.{kind}", reversed.join("."));
    }
    match definition.group.as_str() {
        "" => format!("io.k8s.api.core.{version}.{kind}"),
        "apiextensions.k8s.io" => format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{kind}"),
        group => format!("io.k8s.api.{}.{version}.{kind}", group.split('.').next().unwrap_or_default()),
    }
}

/// A reference to a component schema.
pub fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// `OtternautsDevV1`, `CoreV1`, `CoordinationV1`: the middle of an operation's id.
pub fn group_version(definition: &Definition, version: &str) -> String {
    let group = match definition.group.as_str() {
        "" => "core",
        group => group.strip_suffix(".k8s.io").filter(|_| definition.is_builtin()).unwrap_or(group),
    };
    group.split(['.', '-']).map(capital).collect::<String>() + &capital(version)
}

/// `otternautsDev_v1`: the tag of a group-version's operations.
pub fn tag(definition: &Definition, version: &str) -> String {
    let all = group_version(definition, version);
    let group = all.strip_suffix(&capital(version)).unwrap_or(&all);
    let mut letters = group.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_lowercase).collect();
    format!("{first}{}_{version}", letters.as_str())
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}
