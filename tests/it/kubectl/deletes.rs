//! delete in all its forms.

use super::{Kubectl, TYPE, manifest, versions};
use crate::common::embedded;

#[tokio::test(flavor = "multi_thread")]
async fn delete_in_every_form() {
    let server = embedded().await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        let left = || kubectl.ns(&["get", TYPE, "-o", "jsonpath={.items[*].metadata.name}"]);
        let delete = |arguments: &[&str]| kubectl.ns(&[&["delete"], arguments].concat());

        kubectl.fill(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
        let file = kubectl.file("a.yaml", &manifest("a", 0));
        for arguments in [
            &["-f", file.as_str()][..],
            &[TYPE, "-l", "number=1"],
            &[TYPE, "--field-selector", "metadata.name=c"],
            &[TYPE, "d", "--cascade=background"],
            &[TYPE, "e", "--cascade=foreground"],
            &[TYPE, "f", "--cascade=orphan"],
            &[TYPE, "g", "--wait=false"],
            &[TYPE, "h", "--now"],
        ] {
            assert!(delete(arguments).contains("deleted"), "{arguments:?}");
        }
        assert_eq!(left(), "i j");
        let dry = delete(&[TYPE, "i", "--dry-run=server"]);
        assert!(dry.contains("deleted") && dry.contains("(server dry run)"), "{dry}");
        assert!(delete(&[TYPE, "i", "--grace-period=0", "--force"]).contains("force deleted"));
        assert_eq!(delete(&[TYPE, "i", "--ignore-not-found"]), "");
        assert_eq!(left(), "j");

        kubectl.ns(&["patch", TYPE, "j", "--type", "merge", "-p", r#"{"metadata":{"finalizers":["example.com/f"]}}"#]);
        delete(&[TYPE, "j", "--wait=false"]);
        assert!(kubectl.ns_fails(&["delete", TYPE, "j", "--timeout", "300ms"]).contains("timed out"));
        assert!(!kubectl.ns(&["get", TYPE, "j", "-o", "jsonpath={.metadata.deletionTimestamp}"]).is_empty());
        kubectl.ns(&["patch", TYPE, "j", "--type", "merge", "-p", r#"{"metadata":{"finalizers":null}}"#]);
        kubectl.fill(&["k", "l"]);
        assert_eq!(delete(&[TYPE, "--all"]).lines().count(), 2);
        assert_eq!(left(), "");
    }
}
