//! What travels with a Stack: the files that its compose file names and the values of `--env-file`, in a Secret and a ConfigMap.
//!
//! New content gets a new object under a random name, so that it is a change of the Stack. The name says nothing about the content:
//! a hash of a short secret would give it away.

use crate::connect::{FIELD_MANAGER, Session};
use crate::exit::is_forbidden;
use anyhow::Context as _;
use k8s_openapi::api::core::v1::{ConfigMap, Secret as SecretObject};
use k8s_openapi::{ByteString, NamespaceResourceScope};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use otternauts_types::Stack;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// On the objects that travel: the Stack they belong to.
const LABEL: &str = "otternauts.dev/inlined-for";

pub type Content = BTreeMap<String, Vec<u8>>;

/// The two kinds that can carry content.
pub trait Travels:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
    fn pack(metadata: ObjectMeta, content: &Content) -> Self;
    fn content(&self) -> Content;
}

impl Travels for SecretObject {
    fn pack(metadata: ObjectMeta, content: &Content) -> Self {
        let data = content.iter().map(|(k, v)| (k.clone(), ByteString(v.clone()))).collect();
        Self { metadata, data: Some(data), ..Self::default() }
    }

    fn content(&self) -> Content {
        self.data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone())).collect()
    }
}

impl Travels for ConfigMap {
    fn pack(metadata: ObjectMeta, content: &Content) -> Self {
        let mut map = Self { metadata, ..Self::default() };
        for (key, value) in content {
            match std::str::from_utf8(value) {
                Ok(text) => map.data.get_or_insert_default().insert(key.clone(), text.to_owned()).map(drop),
                Err(_) => {
                    map.binary_data.get_or_insert_default().insert(key.clone(), ByteString(value.clone())).map(drop)
                }
            };
        }
        map
    }

    fn content(&self) -> Content {
        let texts = self.data.iter().flatten().map(|(k, v)| (k.clone(), v.clone().into_bytes()));
        let bytes = self.binary_data.iter().flatten().map(|(k, v)| (k.clone(), v.0.clone()));
        texts.chain(bytes).collect()
    }
}

/// One object that carries a Stack's content, and those that carried it before.
pub struct Carried<K> {
    api: Api<K>,
    pub name: Option<String>,
    fresh: bool,
    old: Vec<String>,
}

/// Looks for an object with exactly this content; makes one if there is none, unless nothing may be changed.
pub async fn carry<K: Travels>(
    session: &Session,
    stack: &str,
    content: &Content,
    dry_run: bool,
) -> anyhow::Result<Carried<K>> {
    let api: Api<K> = Api::namespaced(session.client.clone(), &session.namespace);
    let what = || format!("cannot keep what travels with stack {stack:?} in a {}", K::kind(&()));
    let there = match api.list(&ListParams::default().labels(&format!("{LABEL}={stack}"))).await {
        Ok(list) => list.items,
        // Who may not list cannot tidy up either.
        Err(error) if is_forbidden(&error) => Vec::new(),
        Err(error) => return Err(error).with_context(what),
    };
    let same =
        there.iter().find(|o| o.content() == *content).map(ResourceExt::name_any).filter(|_| !content.is_empty());
    let old = there.iter().map(ResourceExt::name_any).filter(|name| Some(name) != same.as_ref()).collect();
    if content.is_empty() || same.is_some() {
        return Ok(Carried { api, name: same, fresh: false, old });
    }
    let metadata = ObjectMeta {
        generate_name: Some(format!("{stack}-files-")),
        labels: Some([(LABEL.to_owned(), stack.to_owned())].into()),
        ..ObjectMeta::default()
    };
    let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.into()) };
    let made = api.create(&params, &K::pack(metadata, content)).await.with_context(what)?;
    Ok(Carried { api, name: Some(made.name_any()), fresh: !dry_run, old })
}

impl<K: Travels> Carried<K> {
    /// The Stack was refused: what was made for it goes again.
    pub async fn abandon(&self) {
        if let Some(name) = self.name.as_ref().filter(|_| self.fresh) {
            // The refusal is what counts; a leftover carries the label and goes with the next deploy.
            let _ = self.api.delete(name, &DeleteParams::default()).await;
        }
    }

    /// The Stack was taken: what travels belongs to it, and what travelled before goes.
    pub async fn settle(&self, stack: &Stack) -> anyhow::Result<()> {
        if let Some(name) = self.name.as_ref().filter(|_| self.fresh) {
            let owners: Vec<_> = stack.owner_ref(&()).into_iter().collect();
            let patch = Patch::Merge(json!({"metadata": {"ownerReferences": owners}}));
            let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
            self.api.patch(name, &params, &patch).await.context("cannot hand over what travels with the stack")?;
        }
        for name in &self.old {
            match self.api.delete(name, &DeleteParams::default()).await {
                Err(error) if !crate::exit::is_missing(&error) => {
                    return Err(error).context("cannot remove what travelled with an earlier version");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again_text_or_not() {
        let content: Content = [("a".to_owned(), b"text".to_vec()), ("b".to_owned(), vec![0, 255])].into();
        let map = ConfigMap::pack(ObjectMeta::default(), &content);
        assert_eq!(map.data.as_ref().map(BTreeMap::len), Some(1), "text stays readable");
        assert_eq!(map.content(), content);
        assert_eq!(SecretObject::pack(ObjectMeta::default(), &content).content(), content);
    }
}
