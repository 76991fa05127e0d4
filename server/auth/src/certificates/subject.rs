//! A subject with any number of groups. `rcgen` keeps one value an attribute, so the subject it wrote is exchanged in the
//! finished certificate, which is then signed again.

use crate::Error;
use rcgen::SigningKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const BIT_STRING: u8 = 0x03;
/// 2.5.4.3 and 2.5.4.10.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ORGANIZATION: [u8; 3] = [0x55, 0x04, 0x0a];

/// The same certificate for `CN=user` and one `O` a group, signed with `key`.
pub(super) fn replace(der: &[u8], user: &str, groups: &[String], key: &impl SigningKey) -> Result<Vec<u8>, Error> {
    let invalid = |why: &str| Error::Invalid { what: "certificate of the user", why: why.to_owned() };
    let (_, parsed) = X509Certificate::from_der(der).map_err(|error| invalid(&error.to_string()))?;
    let whole: &[u8] = parsed.tbs_certificate.as_ref();
    let old = parsed.tbs_certificate.subject().as_raw();
    // Both are slices of `der`; the issuer may read the same, so the place counts and not the bytes.
    let at = (old.as_ptr() as usize).checked_sub(whole.as_ptr() as usize).ok_or_else(|| invalid("no subject"))?;
    let start = content_start(whole).ok_or_else(|| invalid("no length"))?;
    let (Some(before), Some(after)) = (whole.get(start..at), whole.get(at + old.len()..)) else {
        return Err(invalid("no subject"));
    };
    let body = tagged(SEQUENCE, &[before, &name(user, groups), after]);
    let signature = key.sign(&body).map_err(|source| Error::Generate { what: "signature", source })?;
    let algorithm = der
        .get(whole.as_ptr() as usize + whole.len() - der.as_ptr() as usize..)
        .and_then(first_element)
        .ok_or_else(|| invalid("no signature algorithm"))?;
    Ok(tagged(SEQUENCE, &[&body, algorithm, &tagged(BIT_STRING, &[&[0], &signature])]))
}

fn name(user: &str, groups: &[String]) -> Vec<u8> {
    let attribute = |oid: &[u8], value: &str| {
        let pair = [tagged(OBJECT_IDENTIFIER, &[oid]), tagged(UTF8_STRING, &[value.as_bytes()])].concat();
        tagged(SET, &[&tagged(SEQUENCE, &[&pair])])
    };
    let mut parts: Vec<u8> = groups.iter().flat_map(|group| attribute(&ORGANIZATION, group)).collect();
    parts.extend(attribute(&COMMON_NAME, user));
    tagged(SEQUENCE, &[&parts])
}

/// One DER element: tag, length in its shortest form, content.
fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | bytes.len() as u8);
            out.extend(bytes);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// Where the content of the element at the start of `der` begins.
fn content_start(der: &[u8]) -> Option<usize> {
    let length = *der.get(1)?;
    Some(if length < 0x80 { 2 } else { 2 + usize::from(length & 0x7f) })
}

fn first_element(der: &[u8]) -> Option<&[u8]> {
    let start = content_start(der)?;
    let length = if start == 2 {
        usize::from(*der.get(1)?)
    } else {
        der.get(2..start)?.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte))
    };
    der.get(..start.checked_add(length)?)
}
