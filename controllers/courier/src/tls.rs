//! Whom we believe: the system's authorities, and those that a Notifier brings.

use crate::error::DeliveryError;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::sync::{Arc, OnceLock};

/// Read once: the files are many.
fn system() -> &'static RootCertStore {
    static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // What cannot be read is left out: a server whose authority is missing is refused by name later.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}

/// For one connection; `authorities` is PEM.
pub fn config(authorities: Option<&str>) -> Result<Arc<ClientConfig>, DeliveryError> {
    let mut roots = system().clone();
    for certificate in CertificateDer::pem_slice_iter(authorities.unwrap_or_default().as_bytes()) {
        let unusable = || DeliveryError::Unusable("spec.caBundle is not a list of certificates in PEM".to_owned());
        roots.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| DeliveryError::Unusable(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
