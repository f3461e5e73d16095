//! Traces, as a collector gets them.

use crate::common::{BINARY, COLLECTION, instance};
use std::path::Path;
use vci_testkit::client::Protocol;
use vci_testkit::collector::Collector;
use vci_testkit::server::{ServerOptions, TestServer, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_a_span_of_every_request() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tracing.yaml");
    let text = format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\nendpoint: {}\nsamplingRatePerMillion: 1000000\n",
        collector.address()
    );
    std::fs::write(&file, text).expect("written");
    let mut options = ServerOptions::new(BINARY);
    options.flags = vec!["--tracing-config-file".into(), file.display().to_string()];
    let mut server = TestServer::start(options).await;
    let admin = server.admin(Protocol::Http2).header(http::HeaderName::from_static("audit-id"), "the-id");
    admin.post(COLLECTION, &instance("one")).await.expect(201);
    // What has not been sent is sent at the end.
    assert!(server.stop().await.success());
    let spans = collector.spans();
    let created = spans.iter().find(|span| span.attributes.get("audit-id").is_some_and(|id| id == "the-id"));
    let created = created.unwrap_or_else(|| panic!("no such span: {spans:?}"));
    assert_eq!(created.name, "POST /apis/management.loft.sh/v1/namespaces/{:namespace}/virtualclusterinstances");
    assert_eq!(created.attributes["http.response.status_code"], "201");
    assert!(!format!("{spans:?}").contains(&server.admin_token()));
}

#[test]
fn a_bad_file_is_one_line_that_names_the_field() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("tracing.yaml"), folder.path().join("data").display().to_string());
    let text = "{apiVersion: apiserver.config.k8s.io/v1, kind: TracingConfiguration, samplingRatePerMillion: 2000000}";
    std::fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    let (status, _, stderr) = run(Path::new(BINARY), &["serve", "--data-dir", &data, "--secure-port", "0", "--tracing-config-file", &file]);
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stderr.trim_end().lines().count() == 1 && stderr.contains("samplingRatePerMillion"), "{stderr}");
}
