//! `cargo run -p otternauts-dashboards`: writes every file that is made from the table of metrics (`make generate`).

use anyhow::Context as _;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (path, text) in otternauts_dashboards::files(&root)? {
        let target = root.join(&path);
        let folder = target.parent().context("every generated file is in a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(&target, text).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}
