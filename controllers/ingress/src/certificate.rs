//! The certificate that is served for a host, as any client would get it. Whether it is trusted is not judged: a private or staging
//! authority is as good here; that it is for the host and that its key is there is.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

const PATIENCE: Duration = Duration::from_secs(5);

/// Until when the certificate for `host` holds that is served at this address, in Unix seconds; `None`: none is.
pub async fn served_until(address: IpAddr, host: &str, now: i64) -> Option<i64> {
    let handshake = async {
        let name = ServerName::try_from(host.to_owned()).ok()?;
        let stream = TcpStream::connect(SocketAddr::new(address, 443)).await.ok()?;
        let stream = TlsConnector::from(Arc::new(client()?)).connect(name, stream).await.ok()?;
        let (_, connection) = stream.get_ref();
        until(connection.peer_certificates()?.first()?, host)
    };
    tokio::time::timeout(PATIENCE, handshake).await.ok().flatten().filter(|until| *until > now)
}

/// The end of a certificate that is for the host.
fn until(der: &[u8], host: &str) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let is = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => name.eq_ignore_ascii_case(host) || covers(name, host),
        _ => false,
    };
    names.value.general_names.iter().any(is).then(|| certificate.validity().not_after.timestamp())
}

/// A wildcard stands for one label.
fn covers(wildcard: &str, host: &str) -> bool {
    let rest = wildcard.strip_prefix("*.");
    rest.is_some_and(|rest| host.split_once('.').is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(rest)))
}

fn client() -> Option<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().ok()?;
    Some(config.dangerous().with_custom_certificate_verifier(Arc::new(AnyIssuer(provider))).with_no_client_auth())
}

/// Takes certificates of every issuer, and no forged signature. Nothing is sent over such a connection.
#[derive(Debug)]
struct AnyIssuer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyIssuer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label_and_no_more() {
        assert!(covers("*.a.com", "x.a.com") && covers("*.a.com", "X.A.com"));
        assert!(!covers("*.a.com", "a.com") && !covers("*.a.com", "x.y.a.com") && !covers("a.com", "x.a.com"));
    }

    #[tokio::test]
    async fn where_nothing_listens_there_is_no_certificate() {
        let nobody = "127.255.255.254".parse().expect("an address");
        assert_eq!(served_until(nobody, "a.com", 0).await, None);
    }
}
