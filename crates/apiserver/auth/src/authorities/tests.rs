#![allow(clippy::unwrap_used)]
use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// An authority that this one vouches for.
    fn below(&self) -> (Self, Arc<[u8]>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "between");
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap();
        let der = Arc::from(issuer.der().as_ref());
        (Self(issuer), der)
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, params: &CertificateParams) -> Arc<[u8]> {
        Arc::from(params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().der().as_ref())
    }

    pub(crate) fn client(&self, name: &str, groups: &[&str]) -> Arc<[u8]> {
        self.issue(&client(name, groups))
    }
}

fn client(name: &str, groups: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    groups.iter().for_each(|group| params.distinguished_name.push(DnType::OrganizationName, *group));
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn subject(name: &str, groups: &[&str]) -> Subject {
    Subject { common_name: name.into(), organizations: groups.iter().map(|group| (*group).to_owned()).collect() }
}

#[test]
fn only_clients_that_an_authority_vouches_for_have_a_subject() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (between, between_der) = authority.below();
    let expired = {
        let mut params = client("ann", &[]);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        params
    };
    let future = {
        let mut params = client("ann", &[]);
        (params.not_before, params.not_after) = (date_time_ymd(2990, 1, 1), date_time_ymd(2991, 1, 1));
        params
    };
    let of_a_server = {
        let mut params = client("ann", &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params
    };
    let of_any_use = {
        let mut params = client("ann", &[]);
        params.extended_key_usages = Vec::new();
        params
    };
    let table = [
        ("client", vec![authority.client("ann", &["x"])], Some(subject("ann", &["x"]))),
        ("no common name", vec![authority.client("", &["x"])], Some(subject("", &["x"]))),
        ("no stated use", vec![authority.issue(&of_any_use)], Some(subject("ann", &[]))),
        ("through another authority", vec![between.client("ann", &[]), between_der], Some(subject("ann", &[]))),
        ("link missing", vec![between.client("ann", &[])], None),
        ("stranger", vec![stranger.client("ann", &[])], None),
        ("expired", vec![authority.issue(&expired)], None),
        ("not yet good", vec![authority.issue(&future)], None),
        ("a server's", vec![authority.issue(&of_a_server)], None),
        ("garbage", vec![Arc::from(b"\x30\x03garbage".as_slice())], None),
        ("nothing", vec![], None),
    ];
    let authorities = Authorities::new(authority.pem().as_bytes()).unwrap();
    for (case, chain, want) in table {
        for asked in ["first", "again, from memory"] {
            let got = authorities.subject(&chain, UnixTime::now()).ok().map(|subject| (*subject).clone());
            assert_eq!(got, want, "{case}, {asked}");
        }
    }
}

#[test]
fn what_was_found_out_ends_with_its_time_and_with_its_authorities() {
    let (old, new) = (Authority::new(), Authority::new());
    let authorities = Authorities::new(old.pem().as_bytes()).unwrap();
    let mut params = client("ann", &[]);
    params.not_after = date_time_ymd(2990, 1, 1);
    let chain = [old.issue(&params)];
    let now = UnixTime::now();
    assert!(authorities.subject(&chain, now).is_ok());
    let in_two_thousand_years = UnixTime::since_unix_epoch(Duration::from_secs(2000 * 365 * 24 * 3600));
    assert!(authorities.subject(&chain, in_two_thousand_years).is_err(), "an expired certificate is not remembered as good");

    assert!(authorities.replace(b"junk").is_err());
    assert!(authorities.subject(&chain, now).is_ok(), "the old ones stay");
    authorities.replace(new.pem().as_bytes()).unwrap();
    assert!(authorities.subject(&chain, now).is_err());
    let both = format!("{}{}", old.pem(), new.pem());
    authorities.replace(both.as_bytes()).unwrap();
    assert!(authorities.subject(&chain, now).is_ok());
}

#[test]
fn lists_overlap_when_one_authority_is_in_both() {
    let [one, two, three] = [0; 3].map(|_| Authority::new());
    let list = |of: &[&Authority]| Authorities::new(of.iter().map(|authority| authority.pem()).collect::<String>().as_bytes()).unwrap();
    assert!(list(&[&one, &two]).overlap(&list(&[&three, &two])));
    assert!(!list(&[&one, &two]).overlap(&list(&[&three])), "the same name is not enough");
    assert!(!Authorities::none().overlap(&Authorities::none()));
}

#[test]
fn memory_is_bounded() {
    let authorities = Authorities::new(Authority::new().pem().as_bytes()).unwrap();
    for number in 0..2 * REMEMBERED {
        let _ = authorities.subject(&[Arc::from(number.to_be_bytes().as_slice())], UnixTime::now());
    }
    let anchors = authorities.anchors.load();
    assert_eq!(anchors.answers.lock().unwrap().len(), REMEMBERED);
}

#[test]
fn a_file_without_authorities_is_refused() {
    for text in ["", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Authorities::new(text.as_bytes()).is_err(), "{text:?}");
    }
}
