//! `cargo run -p otternauts-generate`: writes every generated file of the repository (`make generate`).

use anyhow::Context as _;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (path, text) in otternauts_generate::files(&root)? {
        let target = root.join(&path);
        let folder = target.parent().context("every generated file is in a folder")?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(&target, text).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}
