//! Prints our CRDs as one JSON list: `cargo run -p otternauts-types --example crds | kubectl apply -f -` on any Kubernetes API server.
#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

fn main() {
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": otternauts_types::crds()});
    println!("{list:#}");
}
