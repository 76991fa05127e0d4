//! What a TLS connection to the API is: our certificate, HTTP/2 before HTTP/1.1, and client certificates of our own
//! authority for those who have one (rows T1, T2, I2).

use crate::pki::Pki;
use anyhow::Context as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// The configuration of every connection.
pub fn server_config(pki: &Pki) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pki.authority.certificate())? {
        roots.add(certificate).context("pki/ca.crt is not usable")?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .context("pki/ca.crt is not usable")?;
    let key = PrivateKeyDer::from_pem_slice(pki.server_key.expose().as_bytes()).context("pki/server.key")?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("no usable version of TLS")?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&pki.server_chain)?, key)
        .context("pki/server.crt and pki/server.key do not belong together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(pem: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().context("a certificate cannot be read")
}
