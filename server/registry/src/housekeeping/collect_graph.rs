//! Who depends on whom, by uid: only what has owners is remembered.

use otternauts_store::Key;
use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub(super) struct Graph {
    /// Owner uids of each dependent.
    owners: HashMap<Key, Vec<String>>,
    /// Dependents of each owner uid.
    dependents: HashMap<String, HashSet<Key>>,
}

impl Graph {
    pub fn set(&mut self, key: &Key, owners: Vec<String>) {
        self.remove(key);
        if owners.is_empty() {
            return;
        }
        for uid in &owners {
            self.dependents.entry(uid.clone()).or_default().insert(key.clone());
        }
        self.owners.insert(key.clone(), owners);
    }

    /// The uids it depended on.
    pub fn remove(&mut self, key: &Key) -> Vec<String> {
        let owners = self.owners.remove(key).unwrap_or_default();
        for uid in &owners {
            if let Some(set) = self.dependents.get_mut(uid) {
                set.remove(key);
                if set.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
        owners
    }

    /// Forgets a whole resource, before it is read anew.
    pub fn forget(&mut self, resource: &str) {
        let keys: Vec<Key> = self.owners.keys().filter(|key| &*key.resource == resource).cloned().collect();
        for key in keys {
            self.remove(&key);
        }
    }

    pub fn dependents(&self, uid: &str) -> Vec<Key> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_forgets_what_it_is_told_to() {
        let mut graph = Graph::default();
        let (a, b) = (Key::new("as", "n", "a"), Key::new("bs", "n", "b"));
        graph.set(&a, vec!["u".into(), "v".into()]);
        graph.set(&b, vec!["u".into()]);
        assert_eq!(graph.dependents("u").len(), 2);
        graph.set(&a, vec!["v".into()]);
        assert_eq!(graph.dependents("u"), std::slice::from_ref(&b));
        assert_eq!(graph.remove(&b), ["u"]);
        graph.forget("as");
        assert!(graph.is_empty() && graph.dependents("v").is_empty());
    }
}
