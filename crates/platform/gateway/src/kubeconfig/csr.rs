//! Requests for client certificates (PKCS #10, RFC 2986) whose subject has several organizations, as Kubernetes reads groups.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

/// Who a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// The common name.
    pub(super) user: String,
    /// The organizations.
    pub(super) groups: Vec<String>,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTF8_STRING: u8 = 0x0c;
const BIT_STRING: u8 = 0x03;
/// `[0]`: no attributes.
const NO_ATTRIBUTES: [u8; 2] = [0xa0, 0x00];
const VERSION: [u8; 3] = [0x02, 0x01, 0x00];
/// 2.5.4.3 and 2.5.4.10.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
const ORGANIZATION: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x0a];
/// 1.2.840.10045.4.3.2, ecdsa-with-SHA256: what [`KeyPair::generate`] signs with.
const ECDSA_WITH_SHA256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// A request for this subject's certificate, DER.
///
/// # Errors
/// The key cannot sign.
pub(super) fn der(subject: &Subject, key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let groups = subject.groups.iter().map(|group| (ORGANIZATION, group));
    let names: Vec<u8> = groups.chain([(COMMON_NAME, &subject.user)]).flat_map(|(kind, text)| name(&kind, text)).collect();
    let info = [&VERSION[..], &tlv(SEQUENCE, &names), &key.subject_public_key_info(), &NO_ATTRIBUTES].concat();
    let info = tlv(SEQUENCE, &info);
    let signature = [&[0][..], &key.sign(&info)?].concat();
    Ok(tlv(SEQUENCE, &[info, tlv(SEQUENCE, &ECDSA_WITH_SHA256), tlv(BIT_STRING, &signature)].concat()))
}

/// The same, PEM.
///
/// # Errors
/// The key cannot sign.
pub(super) fn pem(subject: &Subject, key: &KeyPair) -> Result<String, rcgen::Error> {
    let text = STANDARD.encode(der(subject, key)?);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    Ok(format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", lines.join("\n")))
}

/// A relative distinguished name of one attribute.
fn name(kind: &[u8], text: &str) -> Vec<u8> {
    tlv(SET, &tlv(SEQUENCE, &[kind, &tlv(UTF8_STRING, text.as_bytes())].concat()))
}

/// A tag, a length and a value.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut encoded = vec![tag];
    match u8::try_from(value.len()) {
        Ok(short) if short < 0x80 => encoded.push(short),
        _ => {
            // Eight bytes at most.
            encoded.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
            encoded.extend(significant);
        }
    }
    encoded.extend_from_slice(value);
    encoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer as _;

    #[test]
    fn a_request_says_the_name_and_every_group() {
        let key = KeyPair::generate().unwrap();
        let groups: Vec<String> =
            ["dev", "Ärzte"].map(str::to_owned).into_iter().chain((0..30).map(|number| format!("loft:clusterrole:{number}"))).collect();
        let subject = Subject { user: "ann@example.com".into(), groups };
        let der = der(&subject, &key).unwrap();
        let (rest, request) = X509CertificationRequest::from_der(&der).unwrap();
        assert!(rest.is_empty());
        let named = &request.certification_request_info.subject;
        let text = |names: Vec<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
            names.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(text(named.iter_organization().collect()), subject.groups);
        assert_eq!(text(named.iter_common_name().collect()), [subject.user]);
        assert_eq!(request.certification_request_info.subject_pki.raw, key.subject_public_key_info());
    }
}
