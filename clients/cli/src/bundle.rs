//! A compose file with everything it needs from this machine inside: what `configs.file`, `secrets.file` and `env_file` name
//! is read here and travels as values, because a path means nothing on the server.

use crate::dotenv;
use anyhow::Context as _;
use otternauts_compose::{Entry, Finding, MAX_BYTES, Node, Position, Value, Values};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest file that is taken in, in bytes: Swarm's own limit for configs.
const MAX_FILE: u64 = 500 * 1024;

/// A compose file ready to be sent.
pub struct Bundle {
    pub text: String,
    /// The same as a tree whose positions are those of the file as the person wrote it.
    pub root: Node,
    /// The file's own `name`.
    pub name: Option<String>,
    /// Values for a ConfigMap: contents of configs.
    pub public: BTreeMap<String, Vec<u8>>,
    /// Values for a Secret: contents of secrets and of `env_file`s.
    pub private: BTreeMap<String, Vec<u8>>,
    /// Files that could not be taken in: the rest was read as if they were empty, so that nothing else goes unsaid.
    pub errors: Vec<Finding>,
}

impl Bundle {
    /// All values that travel with the file.
    pub fn add_to(&self, values: &mut Values) {
        self.public.iter().chain(&self.private).for_each(|(name, value)| values.insert(name, value.clone()));
    }
}

/// What stops a file from being taken in.
pub enum Trouble {
    /// It cannot be parsed, from this place on.
    Found(Finding),
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Reads a compose file and what it names; `-` is standard input.
pub fn load(path: &Path) -> Result<Bundle, Trouble> {
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin().lock().take(MAX_BYTES as u64 + 1)),
        false => std::fs::File::open(path).and_then(|f| std::io::read_to_string(f.take(MAX_BYTES as u64 + 1))),
    };
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
    bundle(&text, &base)
}

fn bundle(text: &str, base: &Path) -> Result<Bundle, Trouble> {
    let mut root = otternauts_compose::parse(text).map_err(Trouble::Found)?;
    let name = root.get("name").and_then(Node::text);
    let mut taker =
        Taker { base: base.to_owned(), public: BTreeMap::new(), private: BTreeMap::new(), errors: Vec::new() };
    taker.top(&mut root);
    let nothing = taker.public.is_empty() && taker.private.is_empty();
    let text = match nothing {
        true => text.to_owned(),
        false => serde_saphyr::to_string(&plain(&root)).context("cannot write the compose file as YAML")?,
    };
    Ok(Bundle { text, root, name, public: taker.public, private: taker.private, errors: taker.errors })
}

struct Taker {
    base: PathBuf,
    public: BTreeMap<String, Vec<u8>>,
    private: BTreeMap<String, Vec<u8>>,
    errors: Vec<Finding>,
}

fn child<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Value::Map(entries) = &mut node.value else { return None };
    entries.iter_mut().find(|e| e.key == key).map(|e| &mut e.value)
}

fn entries(node: Option<&mut Node>) -> &mut [Entry] {
    match node.map(|n| &mut n.value) {
        Some(Value::Map(entries)) => entries,
        _ => &mut [],
    }
}

fn text_node(text: impl Into<String>, at: Position) -> Node {
    Node { at, value: Value::Text(text.into()) }
}

impl Taker {
    fn error(&mut self, path: String, at: Position, message: String) {
        self.errors.push(Finding { path, line: at.line, column: at.column, message });
    }

    fn top(&mut self, root: &mut Node) {
        for section in ["configs", "secrets"] {
            for entry in entries(child(root, section)) {
                let name = format!("otternauts.{section}.{}", entry.key);
                let Value::Map(body) = &mut entry.value.value else { continue };
                let Some(file) = body.iter_mut().find(|e| e.key == "file") else { continue };
                let path = format!("{section}.{}.file", entry.key);
                let bytes = self.file(&path, &file.value).unwrap_or_default();
                let kept = if section == "secrets" { &mut self.private } else { &mut self.public };
                kept.insert(name.clone(), bytes);
                file.key = "environment".into();
                file.value = text_node(name, file.value.at);
            }
        }
        for (number, entry) in entries(child(root, "services")).iter_mut().enumerate() {
            self.env_files(number, entry);
        }
    }

    fn file(&mut self, path: &str, node: &Node) -> Option<Vec<u8>> {
        let name = node.text()?;
        let full = self.base.join(&name);
        let read = std::fs::metadata(&full).and_then(|m| {
            let fits = m.is_file() && m.len() <= MAX_FILE;
            if fits {
                std::fs::read(&full)
            } else {
                Err(std::io::Error::other(format!("not a file of at most {MAX_FILE} bytes")))
            }
        });
        match read {
            Ok(bytes) => Some(bytes),
            Err(e) => {
                self.error(path.to_owned(), node.at, format!("cannot read {name:?}: {e}"));
                None
            }
        }
    }

    /// `env_file` of one service becomes `environment`, below what `environment` says itself. Values go by reference.
    fn env_files(&mut self, number: usize, service: &mut Entry) {
        let path = format!("services.{}.env_file", service.key);
        let Value::Map(body) = &mut service.value.value else { return };
        let Some(index) = body.iter().position(|e| e.key == "env_file") else { return };
        let listed = body.remove(index).value;
        let files: Vec<&Node> = match &listed.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![&listed],
        };
        let mut found: Vec<(String, String)> = Vec::new();
        for file in files {
            let required = file.get("required").and_then(Node::text).is_none_or(|t| t != "false");
            let at = file.get("path").unwrap_or(file);
            let Some(name) = at.text() else {
                self.error(path.clone(), at.at, "expected a path".into());
                continue;
            };
            match dotenv::read(&self.base.join(&name)) {
                Ok(pairs) => found.extend(pairs),
                Err(_) if !required && !self.base.join(&name).exists() => {}
                Err(e) => self.error(path.clone(), at.at, format!("{e:#}")),
            }
        }
        let mut merged: Vec<Entry> = Vec::new();
        for (i, (key, value)) in found.into_iter().enumerate() {
            let variable = format!("OTTERNAUTS_{number}_{i}");
            self.private.insert(variable.clone(), value.into_bytes());
            merged.retain(|e| e.key != key);
            merged.push(Entry { key, key_at: listed.at, value: text_node(format!("${{{variable}}}"), listed.at) });
        }
        let own = body.iter().position(|e| e.key == "environment").map(|i| body.remove(i).value);
        for (key, value) in own.as_ref().map(environment).unwrap_or_default() {
            merged.retain(|e| e.key != key);
            merged.push(Entry { key, key_at: value.at, value });
        }
        let value = Node { at: listed.at, value: Value::Map(merged) };
        body.push(Entry { key: "environment".into(), key_at: listed.at, value });
    }
}

fn environment(node: &Node) -> Vec<(String, Node)> {
    let from_text = |item: &Node| {
        let text = item.text()?;
        Some(match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), text_node(value, item.at)),
            None => (text, Node { at: item.at, value: Value::Null }),
        })
    };
    match &node.value {
        Value::List(items) => items.iter().filter_map(from_text).collect(),
        _ => node.entries().iter().map(|e| (e.key.clone(), e.value.clone())).collect(),
    }
}

/// The tree as plain data. Numbers stay text where their form matters.
fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Number(text) => match text.parse::<i64>() {
            Ok(number) if number.to_string() == *text => Json::from(number),
            _ => Json::String(text.clone()),
        },
        Value::Text(text) | Value::Open(text) => Json::String(text.clone()),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(entries) => Json::Object(entries.iter().map(|e| (e.key.clone(), plain(&e.value))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otternauts_compose::{Policy, compile};

    #[test]
    fn a_file_without_paths_travels_as_it_is() {
        let text = "# mine\nname: shop\nservices: {web: {image: nginx}}\n";
        let Ok(bundle) = bundle(text, Path::new(".")) else { panic!("bundles") };
        assert_eq!((bundle.text.as_str(), bundle.name.as_deref()), (text, Some("shop")));
    }

    #[test]
    fn files_travel_as_values_and_the_result_compiles() {
        let temporary = tempfile::tempdir().expect("a directory");
        let dir = temporary.path();
        std::fs::write(dir.join("app.env"), "A=from file\nB=$tricky ${x}\n").expect("written");
        std::fs::write(dir.join("app.toml"), "x = 1\n").expect("written");
        std::fs::write(dir.join("key.bin"), [0u8, 255, 1]).expect("written");
        let text = "services:\n  web:\n    image: nginx\n    env_file: app.env\n    environment: [A=own]\n    configs:\n      - {source: c, target: /c, mode: 0440}\n    secrets: [s]\nconfigs: {c: {file: app.toml}}\nsecrets: {s: {file: ./key.bin}}\n";
        let bundled = bundle(text, dir);
        let missing = bundle("services: {web: {image: x}}\nconfigs: {c: {file: gone}}\n", dir);
        let Ok(bundle) = bundled else { panic!("bundles") };
        let mut values = Values::default();
        bundle.add_to(&mut values);
        let compiled =
            compile(&bundle.text, &values, &Policy::default()).map_err(|e| format!("{e:#?}\n{}", bundle.text));
        let project = compiled.expect("compiles").project;
        let environment = &project.services[0].body["environment"];
        assert_eq!(environment["A"], "own");
        assert_eq!(environment["B"], "$tricky ${x}");
        assert_eq!(project.services[0].body["configs"][0]["mode"], 0o440);
        assert_eq!(bundle.private["otternauts.secrets.s"], [0u8, 255, 1]);
        let Ok(missing) = missing else { panic!("read on") };
        let found = missing.errors;
        assert!(found[0].message.starts_with("cannot read \"gone\""), "{found:?}");
    }
}
