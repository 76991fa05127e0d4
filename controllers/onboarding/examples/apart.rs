//! The onboarding controllers alone, against the API server of the current kubeconfig.

use otternauts_fleet::Fleet;
use otternauts_telemetry::{LogFormat, Metrics, init_logs};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    init_logs(LogFormat::Text, "info,otternauts=debug");
    let client = kube::Client::try_default().await?;
    let shutdown = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    otternauts_onboarding::run(client, Fleet::new(Metrics::new("example")), shutdown).await?;
    Ok(())
}
