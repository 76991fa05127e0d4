//! The committed rules under promtool: they are valid, and each alert fires in its case and is quiet in the other.

use super::program;
use otternauts_harness::kubectl;

#[test]
fn rules_are_valid_and_every_alert_fires_and_is_quiet_where_it_should() {
    let test = "rules_are_valid_and_every_alert_fires_and_is_quiet_where_it_should";
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/observability/alerts");
    for args in [&["check", "rules", "recording.yml", "alerts.yml"][..], &["test", "rules", "alerts.test.yml"]] {
        let Some(mut promtool) = program(test, "promtool") else { return };
        let said = kubectl::run(promtool.args(args).current_dir(folder), "");
        assert!(said.code == 0 && said.stdout.contains("SUCCESS"), "{args:?}: {}{}", said.stdout, said.stderr);
    }
}
