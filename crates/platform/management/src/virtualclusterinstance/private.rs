//! The parts of an instance that are not for everybody who may read it.
//!
//! `spec.template` and `status.virtualCluster` hold what the virtual cluster is made from, in which there are credentials. The first is the
//! instance's own; the second is the template as rendered, and members of a project may not read the template that they follow.
//!
//! |                                                            | may write the status | may update or patch | may use | other readers |
//! |------------------------------------------------------------|----------------------|---------------------|---------|---------------|
//! | chart of the control plane: name, repository, version      | all                  | all                 | all     | all           |
//! | `helmRelease.values`                                       | all                  | all                 | all     | nothing       |
//! | `spec.parameters`                                          | all                  | all                 | nothing | nothing       |
//! | `spec.template`: credentials, manifests, values of charts  | all                  | all                 | nothing | nothing       |
//! | `status.virtualCluster`: the same, and its access rules    | all                  | nothing             | nothing | nothing       |
//! | `status`: manifests that were applied                      | all                  | nothing             | nothing | nothing       |

use crate::rules::remove_last_applied;
use apiserver_meta::resource::PrivatePart;
use apiserver_meta::{Object, Principal, Subresource};
use serde_json::{Map, Value};

pub(super) const PARTS: &[PrivatePart] = &[
    PrivatePart { verbs: &["use", "update", "patch"], subresource: Subresource::Main, hide: hide_values },
    PrivatePart { verbs: &["update", "patch"], subresource: Subresource::Main, hide: hide_wanted },
    PrivatePart { verbs: &["update"], subresource: Subresource::Status, hide: hide_rendered },
];

const WANTED: [&str; 2] = ["spec", "template"];
const RENDERED: [&str; 2] = ["status", "virtualCluster"];

/// What those are not shown who may only read.
fn hide_values(instance: &mut Object, _reader: &Principal) {
    for definition in [WANTED, RENDERED] {
        if let Some(release) = at(&mut instance.0, &[definition[0], definition[1], "helmRelease"]) {
            release.remove("values");
        }
    }
}

/// What those are not shown who may not change the instance.
fn hide_wanted(instance: &mut Object, _reader: &Principal) {
    remove_last_applied(instance);
    if let Some(spec) = at(&mut instance.0, &["spec"]) {
        spec.remove("parameters");
    }
    if let Some(definition) = at(&mut instance.0, &WANTED) {
        hide_contents(definition);
    }
}

/// What those are not shown who may not write the status.
fn hide_rendered(instance: &mut Object, _reader: &Principal) {
    if let Some(definition) = at(&mut instance.0, &RENDERED) {
        definition.remove("access");
        hide_contents(definition);
    }
    for applied in ["virtualClusterObjects", "spaceObjects"] {
        if let Some(applied) = at(&mut instance.0, &["status", applied]) {
            applied.remove("lastAppliedObjects");
        }
    }
}

/// Leaves of a definition what it deploys by name, with the values of the control plane.
fn hide_contents(definition: &mut Map<String, Value>) {
    if let Some(chart) = at(definition, &["helmRelease", "chart"]) {
        hide_login(chart, "repo");
    }
    hide_deployed(definition);
    if let Some(space) = at(definition, &["spaceTemplate"]) {
        hide_deployed(space);
    }
}

/// Apps, charts and manifests, of a virtual cluster or of the namespace around it.
fn hide_deployed(definition: &mut Map<String, Value>) {
    definition.remove("objects");
    items(definition, "apps").for_each(|app| _ = app.remove("parameters"));
    for chart in items(definition, "charts") {
        hide_login(chart, "repoURL");
        chart.remove("values");
    }
}

/// A repository is shown without what one logs in with, which may stand in its URL as well.
fn hide_login(chart: &mut Map<String, Value>, repository: &str) {
    chart.remove("username");
    chart.remove("password");
    if let Some(Value::String(url)) = chart.get_mut(repository)
        && let Some((scheme, rest)) = url.split_once("://")
        && let Some((_, host)) = rest.rsplit_once('@')
    {
        *url = format!("{scheme}://{host}");
    }
}

fn items<'a>(object: &'a mut Map<String, Value>, list: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    object.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

fn at<'a>(object: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter().try_fold(object, |object, name| object.get_mut(*name)?.as_object_mut())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rules::tests::object;
    use serde_json::json;

    /// A definition in which everything that may be a secret begins with `x-` and says where it stands.
    fn definition(place: &str) -> Value {
        let chart = |at: &str| {
            json!({
                "name": "c", "version": "1.0.0", "repoURL": format!("https://x-{at}-user:x-{at}-token@charts.example.com/a"),
                "username": format!("x-{at}-user"), "password": format!("x-{at}-password"), "values": format!("x-{at}-values"),
                "usernameRef": {"projectSecretRef": {"name": "s"}},
            })
        };
        let app = |at: &str| json!({"name": "a", "parameters": format!("x-{at}-parameters")});
        json!({
            "metadata": {"labels": {"l": "v"}},
            "helmRelease": {
                "chart": {"name": "vcluster", "version": "0.36.1", "repo": format!("https://x-{place}-user@charts.example.com"),
                    "username": format!("x-{place}-user"), "password": format!("x-{place}-password")},
                "values": format!("values-of-{place}"),
            },
            "charts": [chart(&format!("{place}-inside"))], "apps": [app(&format!("{place}-inside"))], "objects": format!("x-{place}-objects"),
            "access": {"rules": [{"users": ["ann"], "clusterRole": "view"}]},
            "spaceTemplate": {"charts": [chart(&format!("{place}-space"))], "apps": [app(&format!("{place}-space"))],
                "objects": format!("x-{place}-space-objects")},
        })
    }

    fn instance() -> Object {
        object(json!({
            "metadata": {"name": "i", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x-wanted-applied"}},
            "spec": {"template": definition("wanted"), "parameters": "password: x-wanted-parameter"},
            "status": {
                "phase": "Ready", "virtualCluster": definition("rendered"),
                "virtualClusterObjects": {"lastAppliedObjects": "x-rendered-applied", "charts": [{"name": "c"}]},
                "spaceObjects": {"lastAppliedObjects": "x-rendered-applied"},
            },
        }))
    }

    /// What somebody sees from whom these parts are hidden.
    fn seen(hidden: &[usize]) -> (Value, String) {
        let mut seen = instance();
        hidden.iter().for_each(|&part| (PARTS[part].hide)(&mut seen, &Principal::default()));
        let text = String::from_utf8(seen.to_bytes()).unwrap();
        (Value::Object(seen.0), text)
    }

    #[test]
    fn each_reader_sees_what_the_table_says() {
        // parts hidden; values; what the instance says itself; what was rendered
        for (hidden, values, wanted, rendered) in
            [(&[][..], true, true, true), (&[2], true, true, false), (&[1, 2], true, false, false), (&[0, 1, 2], false, false, false)]
        {
            let (object, text) = seen(hidden);
            for place in ["wanted", "rendered"] {
                assert_eq!(text.contains(&format!("values-of-{place}")), values, "{hidden:?}: {text}");
            }
            assert_eq!((text.contains("x-wanted"), text.contains("x-rendered")), (wanted, rendered), "{hidden:?}: {text}");
            let chart = &object["status"]["virtualCluster"]["helmRelease"]["chart"];
            assert_eq!(
                (&chart["name"], &chart["version"], &object["status"]["phase"]),
                (&json!("vcluster"), &json!("0.36.1"), &json!("Ready"))
            );
            assert_eq!(object["status"]["virtualClusterObjects"]["charts"], json!([{"name": "c"}]));
            assert_eq!(object["status"]["virtualCluster"].get("access").is_some(), rendered);
        }
        let (object, _) = seen(&[0, 1, 2]);
        let chart = json!({
            "name": "c", "version": "1.0.0", "repoURL": "https://charts.example.com/a", "usernameRef": {"projectSecretRef": {"name": "s"}},
        });
        assert_eq!(object["spec"]["template"]["charts"], json!([chart]));
        assert_eq!(object["status"]["virtualCluster"]["helmRelease"]["chart"]["repo"], "https://charts.example.com");
    }

    #[test]
    fn what_has_none_of_it_is_left_as_it_is() {
        for plain in
            [json!({}), json!({"spec": {"template": 1, "templateRef": {"name": "t"}}, "status": {"virtualCluster": {"charts": {}}}})]
        {
            let mut seen = object(plain.clone());
            PARTS.iter().for_each(|part| (part.hide)(&mut seen, &Principal::default()));
            assert_eq!(Value::Object(seen.0), plain);
        }
    }
}
