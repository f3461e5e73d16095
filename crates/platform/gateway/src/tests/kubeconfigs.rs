//! Kubeconfigs for virtual clusters.

use super::rig::{OBJECT, PROXY, Rig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer as _, X509CertificationRequest};

const KUBECONFIG: &str = "/kubeconfig";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

async fn ask(rig: &Rig, user: &str, spec: &Value, code: u16) -> Value {
    let made = rig.client(user).post(&format!("{OBJECT}{KUBECONFIG}"), &json!({"spec": spec})).await.expect(code);
    made.json()
}

fn config(made: &Value) -> Value {
    vci_testkit::yaml(made["status"]["kubeConfig"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_it_leads_through_this_server() {
    let rig = Rig::start().await;
    let made = config(&ask(&rig, "owner", &json!({}), 201).await);
    let cluster = &made["clusters"][0]["cluster"];
    assert!(cluster["server"].as_str().unwrap().ends_with(PROXY), "{cluster}");
    assert!(cluster["certificate-authority-data"].is_string() && made["users"][0]["user"] == json!({}), "{made}");
    let made = config(&ask(&rig, "owner", &json!({"server": "https://vc.example/x"}), 201).await);
    assert_eq!(made["clusters"][0]["cluster"], json!({"server": "https://vc.example/x"}));
    ask(&rig, "guest", &json!({}), 403).await;
    ask(&rig, "owner", &json!({"certificateTTL": 5}), 422).await;
    ask(&rig, "owner", &json!({"clientCert": true}), 422).await;
    assert!(rig.cluster.arrived().is_empty());
}

/// The organizations and the name that a request asks for.
fn subject(request: &Value) -> (Vec<String>, String) {
    let pem = STANDARD.decode(request["spec"]["request"].as_str().unwrap()).unwrap();
    let (_, pem) = parse_x509_pem(&pem).unwrap();
    let (_, request) = X509CertificationRequest::from_der(&pem.contents).unwrap();
    let subject = request.certification_request_info.subject;
    let groups = subject.iter_organization().map(|name| name.as_str().unwrap().to_owned()).collect();
    let name = subject.iter_common_name().next().unwrap().as_str().unwrap().to_owned();
    (groups, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_for_the_caller_and_their_groups_and_never_for_masters() {
    let rig = Rig::start().await;
    for (ttl, seconds) in [(json!(null), json!(86400)), (json!(3600), json!(3600)), (json!(0), json!(null))] {
        let mut spec = json!({"clientCert": true, "server": "https://vc.example"});
        if !ttl.is_null() {
            spec["certificateTTL"] = ttl;
        }
        let made = config(&ask(&rig, "owner", &spec, 201).await);
        let user = &made["users"][0]["user"];
        assert_eq!(STANDARD.decode(user["client-certificate-data"].as_str().unwrap()).unwrap(), b"-----BEGIN CERTIFICATE-----");
        let key = STANDARD.decode(user["client-key-data"].as_str().unwrap()).unwrap();
        assert!(String::from_utf8(key).unwrap().contains("PRIVATE KEY"));
        assert!(made["clusters"][0]["cluster"]["certificate-authority-data"].is_string());
        let requests = rig.cluster.objects(REQUESTS);
        let (groups, name) = subject(&requests[0]);
        assert_eq!(name, "owner");
        assert!(
            groups.iter().any(|group| group == "devs") && groups.iter().any(|group| group == "loft:clusterrole:cluster-admin"),
            "{groups:?}"
        );
        assert!(groups.iter().all(|group| !group.starts_with("system:")), "{groups:?}");
        let spec = &requests[0]["spec"];
        assert_eq!(
            (&spec["signerName"], &spec["expirationSeconds"], &spec["usages"]),
            (&json!("kubernetes.io/kube-apiserver-client"), &seconds, &json!(["client auth"]))
        );
        let bindings = rig.cluster.objects(BINDINGS);
        assert_eq!(
            (bindings.len(), &bindings[0]["roleRef"]["name"], &bindings[0]["subjects"][0]["name"]),
            (1, &json!("cluster-admin"), &json!("loft:clusterrole:cluster-admin"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_not_the_administrators_needs_no_binding_of_the_gateways() {
    let rig = Rig::start().await;
    let access = json!([{"users": ["guest"], "verbs": ["create"], "subresources": ["kubeconfig"]}]);
    let rules = json!([{"users": ["guest"], "clusterRole": "view"}]);
    rig.patch(OBJECT, &json!({"spec": {"access": access, "extraAccessRules": rules}})).await;
    ask(&rig, "guest", &json!({"clientCert": true, "server": "https://vc.example"}), 201).await;
    let (groups, name) = subject(&rig.cluster.objects(REQUESTS)[0]);
    assert!(name == "guest" && groups.iter().any(|group| group == "loft:clusterrole:view"), "{groups:?}");
    assert!(rig.cluster.objects(BINDINGS).is_empty());
    // To be allowed the subresource is not enough.
    rig.patch(OBJECT, &json!({"spec": {"extraAccessRules": null}})).await;
    ask(&rig, "guest", &json!({"clientCert": true, "server": "https://vc.example"}), 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_point_is_where_a_certificate_leads() {
    let rig = Rig::start().await;
    rig.set_status(&json!({"virtualCluster": {"accessPoint": {"ingress": {"enabled": true}}}})).await;
    let cluster = json!({"metadata": {"annotations": {"loft.sh/ingress-suffix": "vc.example"}}});
    let path = "/apis/management.loft.sh/v1/clusters/loft-cluster";
    if rig.client("root").get(path).await.status == 404 {
        rig.client("root")
            .post(path.trim_end_matches("/loft-cluster"), &json!({"metadata": {"name": "loft-cluster"}, "spec": {"local": true}}))
            .await
            .expect(201);
    }
    rig.patch(path, &cluster).await;
    let made = config(&ask(&rig, "owner", &json!({"clientCert": true}), 201).await);
    assert_eq!(made["clusters"][0]["cluster"]["server"], "https://my-vc-blue.vc.example");
}
