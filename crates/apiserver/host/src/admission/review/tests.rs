#![allow(clippy::unwrap_used)]
use super::*;

fn review(version: &str, response: &Value) -> Vec<u8> {
    json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "response": response}).to_string().into_bytes()
}

#[test]
fn an_answer_has_to_be_one_to_the_question() {
    let patch = STANDARD.encode(r#"[{"op":"remove","path":"/a"}]"#);
    // The version asked in, the answer, what is wrong with it or the patch.
    let table = [
        ("v1", review("v1", &json!({"uid": "u", "allowed": true})), Ok("")),
        (
            "v1",
            review("v1", &json!({"uid": "u", "allowed": true, "patchType": "JSONPatch", "patch": patch})),
            Ok(r#"[{"op":"remove","path":"/a"}]"#),
        ),
        ("v1beta1", review("v1beta1", &json!({"allowed": true, "patch": patch})), Ok(r#"[{"op":"remove","path":"/a"}]"#)),
        ("v1", review("v1", &json!({"uid": "x", "allowed": true})), Err("expected response.uid=\"u\", got \"x\"")),
        (
            "v1",
            review("v1beta1", &json!({"uid": "u"})),
            Err(
                "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1beta1, Kind=AdmissionReview",
            ),
        ),
        ("v1", review("v1", &Value::Null), Err("webhook response was absent")),
        (
            "v1",
            review("v1", &json!({"uid": "u", "patch": patch})),
            Err("webhook returned response.patch but not a response.patchType of \"JSONPatch\""),
        ),
        (
            "v1",
            review("v1", &json!({"uid": "u", "patchType": "JSONPatch"})),
            Err("webhook returned response.patchType but not response.patch"),
        ),
        ("v1", review("v1", &json!({"uid": "u", "patchType": "JSONPatch", "patch": "*"})), Err("response.patch: ")),
        ("v1", b"{".to_vec(), Err("expected webhook response of an AdmissionReview: ")),
    ];
    for (version, body, want) in table {
        let got = answer(&body, "u", version);
        let shown = String::from_utf8_lossy(&body);
        match (got, want) {
            (Ok(verdict), Ok(patch)) => assert_eq!(verdict.patch.unwrap_or_default(), patch.as_bytes(), "{shown}"),
            (Err(why), Err(want)) => assert!(why.starts_with(want), "{shown}: {why}"),
            (got, want) => panic!("{shown}: {got:?}, not {want:?}"),
        }
    }
}

#[test]
fn a_refusal_is_a_clients_error_in_the_webhooks_words() {
    let table = [
        (json!(null), 400, None, "admission webhook \"w\" denied the request without explanation"),
        (json!({"message": "no"}), 400, None, "admission webhook \"w\" denied the request: no"),
        (json!({"reason": "Odd"}), 400, None, "admission webhook \"w\" denied the request: Odd"),
        (json!({"message": "no", "code": 200}), 400, None, "admission webhook \"w\" denied the request: no"),
        (
            json!({"message": "no", "code": 403, "reason": "Forbidden"}),
            403,
            Some(Reason::Forbidden),
            "admission webhook \"w\" denied the request: no",
        ),
        (json!({"message": "no", "code": 418, "reason": "Forbidden"}), 418, None, "admission webhook \"w\" denied the request: no"),
    ];
    for (status, code, reason, message) in table {
        let verdict = answer(&review("v1", &json!({"uid": "u", "allowed": false, "status": status})), "u", "v1").unwrap();
        let told = verdict.outcome.unwrap_err().into_error("w").status();
        assert_eq!((told.code, told.reason, told.message.as_str()), (code, reason, message), "{status}");
    }
}
