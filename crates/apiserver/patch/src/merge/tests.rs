#![allow(clippy::unwrap_used)]

use crate::{PatchError, merge_patch};
use proptest::prelude::*;
use serde_json::json;

/// RFC 7396, section 3 and those cases of appendix A whose patch is an object.
#[test]
fn merges_as_the_rfc_shows() {
    let article = json!({"title": "Goodbye!", "author": {"givenName": "John", "familyName": "Doe"}, "tags": ["example", "sample"], "content": "This will be unchanged"});
    let change = json!({"title": "Hello!", "phoneNumber": "+01-123-456-7890", "author": {"familyName": null}, "tags": ["example"]});
    let changed = json!({"title": "Hello!", "author": {"givenName": "John"}, "tags": ["example"], "content": "This will be unchanged", "phoneNumber": "+01-123-456-7890"});
    let table = [
        (article, change, changed),
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ];
    for (object, patch, want) in table {
        assert_eq!(merge_patch(object.clone(), patch.to_string().as_bytes()).unwrap(), want, "{object} + {patch}");
    }
}

#[test]
fn a_patch_that_is_no_object_is_malformed() {
    for patch in ["[]", "null", "\"a\"", "1", "{", "", "{} {}", "{\"a\":}"] {
        let error = merge_patch(json!({}), patch.as_bytes()).unwrap_err();
        assert!(matches!(&error, PatchError::Malformed(text) if text.starts_with("error decoding patch: ")), "{patch}: {error:?}");
    }
}

proptest! {
    #[test]
    fn merging_twice_is_merging_once(object in crate::arbitrary::tree(), patch in crate::arbitrary::object()) {
        let patch = patch.to_string();
        let once = merge_patch(object.clone(), patch.as_bytes()).unwrap();
        prop_assert_eq!(&merge_patch(once.clone(), patch.as_bytes()).unwrap(), &once);
    }

    #[test]
    fn any_bytes_are_answered(object in crate::arbitrary::tree(), patch in crate::arbitrary::bytes()) {
        crate::arbitrary::is_in_proportion(&object, &patch, &merge_patch(object.clone(), &patch), 1);
    }
}
