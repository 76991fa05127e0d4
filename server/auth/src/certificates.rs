//! The server's own certificate authority: its certificate, the server's, and those of users (rows T1, I2).

mod subject;
#[cfg(test)]
mod tests;

use crate::{Error, User};
use otternauts_meta::{Secret, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Ten years.
const AUTHORITY_LIFETIME: Duration = DAY.saturating_mul(3653);
const SERVER_LIFETIME: Duration = DAY.saturating_mul(365);
/// A server certificate with less than this left is replaced at the next start.
const RENEW_BEFORE: Duration = DAY.saturating_mul(30);
/// Clocks that are a little behind still accept a fresh certificate.
const BACKDATE: Duration = Duration::from_secs(3600);

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    pub certificate: String,
    pub key: Secret<String>,
}

/// Signs certificates (ECDSA P-256).
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Whether each name can stand in a certificate.
pub fn check_names(names: &[String]) -> Result<(), Error> {
    let fail = |source| Error::Generate { what: "certificate of the server", source };
    CertificateParams::new(names).map(drop).map_err(fail)
}

impl Authority {
    /// A new one, good for ten years; the caller keeps both files.
    pub fn generate(now: Timestamp) -> Result<Issued, Error> {
        let fail = |source| Error::Generate { what: "certificate authority", source };
        let key = KeyPair::generate().map_err(fail)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("otternauts-ca@{}", now.as_seconds()));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, AUTHORITY_LIFETIME);
        let certificate = params.self_signed(&key).map_err(fail)?.pem();
        Ok(Issued { certificate, key: Secret::new(key.serialize_pem()) })
    }

    /// Reads both files back. They must belong together.
    pub fn load(certificate: &str, key: &str) -> Result<Self, Error> {
        let refuse = |why: String| Error::Invalid { what: "certificate authority", why };
        let pair = KeyPair::from_pem(key).map_err(|error| refuse(error.to_string()))?;
        let der = der(certificate).ok_or_else(|| refuse("its certificate cannot be read".to_owned()))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| refuse(error.to_string()))?;
        if parsed.public_key().subject_public_key.data.as_ref() != pair.public_key_raw() {
            return Err(refuse("its certificate and its key do not belong together".to_owned()));
        }
        let issuer = Issuer::from_ca_cert_pem(certificate, pair).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { certificate: certificate.to_owned(), issuer })
    }

    /// PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for this server under the given host names and addresses.
    pub fn server(&self, names: &[String], now: Timestamp) -> Result<Issued, Error> {
        let fail = |source| Error::Generate { what: "certificate of the server", source };
        let mut params = CertificateParams::new(names).map_err(fail)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "otternauts");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (params, key) = leaf(params, now, SERVER_LIFETIME).map_err(fail)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(fail)?;
        Ok(Issued { certificate: certificate.pem(), key: Secret::new(key.serialize_pem()) })
    }

    /// A certificate for a user and their groups (row I2).
    pub fn client(&self, user: &str, groups: &[String], lifetime: Duration, now: Timestamp) -> Result<Issued, Error> {
        let fail = |source| Error::Generate { what: "certificate of the user", source };
        if user.is_empty() || groups.iter().any(String::is_empty) {
            return Err(Error::Invalid { what: "user", why: "the name of a user or group is empty".to_owned() });
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, user);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (params, key) = leaf(params, now, lifetime).map_err(fail)?;
        let signed = params.signed_by(&key, &self.issuer).map_err(fail)?;
        let certificate = subject::replace(signed.der(), user, groups, self.issuer.key())?;
        Ok(Issued { certificate: pem(&certificate), key: Secret::new(key.serialize_pem()) })
    }
}

fn leaf(
    mut params: CertificateParams,
    now: Timestamp,
    lifetime: Duration,
) -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, lifetime);
    Ok((params, KeyPair::generate()?))
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, lifetime: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(u64::try_from(now.as_seconds()).unwrap_or_default());
    params.not_before = epoch + now.saturating_sub(BACKDATE);
    params.not_after = epoch + now + lifetime;
}

/// Can the server go on with this certificate: signed by this authority, for exactly these names, with 30 days left?
pub fn is_current(certificate: &str, authority: &Authority, names: &[String], now: Timestamp) -> bool {
    let (Some(der), Some(ca)) = (der(certificate), der(&authority.certificate)) else { return false };
    let (Ok((_, parsed)), Ok((_, ca))) = (X509Certificate::from_der(&der), X509Certificate::from_der(&ca)) else {
        return false;
    };
    let left = parsed.validity().not_after.timestamp() - now.as_seconds();
    let wanted: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    parsed.issuer() == ca.subject() && left > RENEW_BEFORE.as_secs() as i64 && names_of(&parsed) == wanted
}

fn names_of(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(dns) => Some(dns.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// The user a client certificate names: CN and every O. The chain is the TLS layer's to verify. `None` without a CN.
pub fn user_of(der: &[u8]) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok().filter(|name| !name.is_empty())?;
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok().map(str::to_owned));
    Some(User::authenticated(name, groups))
}

/// The first certificate of a PEM file.
fn der(pem: &str) -> Option<Vec<u8>> {
    use rustls_pki_types::pem::PemObject as _;
    rustls_pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| der.to_vec())
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}
