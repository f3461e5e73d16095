#![allow(clippy::unwrap_used)]

use super::*;
use crate::access::Caller;
use crate::access::ObjectAccess;
use crate::rules::tests::{context, object};
use apiserver_meta::decode::{conform, parse_json};

/// The object that the API's documentation shows, as it is sent.
fn example() -> Value {
    json!({
        "apiVersion": "management.loft.sh/v1",
        "kind": "VirtualClusterInstance",
        "metadata": {"creationTimestamp": null, "name": "my-virtual-cluster", "namespace": "loft-p-my-project"},
        "spec": {
            "clusterRef": {},
            "displayName": "my-display-name",
            "owner": {"user": "my-user"},
            "parameters": "my-parameter: my-value",
            "templateRef": {"name": "my-virtual-cluster-template"},
        },
        "status": {},
    })
}

fn conformed(value: &Value) -> Value {
    let instances = VirtualClusterInstances;
    let parsed = parse_json(value.to_string().as_bytes()).unwrap();
    let conformed = conform(parsed.value, instances.schema()).unwrap();
    assert_eq!(conformed.unknown, Vec::<String>::new());
    conformed.value
}

#[test]
fn the_documented_example_comes_back_as_it_was_sent() {
    let mut want = example();
    want["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
    assert_eq!(conformed(&example()), want);
    assert_eq!(VirtualClusterInstances.validate(&object(want.clone())), Vec::new());

    let typed = VirtualClusterInstance::of(&object(want.clone())).unwrap();
    assert_eq!(typed.spec.template_ref.as_ref().unwrap().name, "my-virtual-cluster-template");
    let written = serde_json::to_value(&typed).unwrap();
    assert_eq!((&written["spec"], &written["status"]), (&want["spec"], &want["status"]));
}

#[test]
fn what_goes_in_is_written_as_go_types_write_it() {
    let table = [
        // Always there.
        (json!({}), json!({"clusterRef": {}})),
        (json!({"clusterRef": null, "owner": null, "displayName": null}), json!({"clusterRef": {}})),
        // Zero values go.
        (json!({"displayName": "", "external": false, "access": [], "owner": {}}), json!({"clusterRef": {}, "owner": {}})),
        (json!({"templateRef": {"name": "t", "syncOnce": false}}), json!({"clusterRef": {}, "templateRef": {"name": "t"}})),
        // Verbs are kept as they were given.
        (
            json!({"access": [{"users": ["a"]}, {"verbs": [], "teams": []}]}),
            json!({"clusterRef": {}, "access": [{"users": ["a"]}, {"verbs": []}]}),
        ),
        // The structs of a template are values.
        (
            json!({"template": {"helmRelease": {"chart": {"version": "0.27.0"}}}}),
            json!({"clusterRef": {}, "template": {
                "metadata": {}, "instanceTemplate": {"metadata": {}}, "pro": {}, "accessPoint": {"ingress": {}},
                "spaceTemplate": {"metadata": {}}, "helmRelease": {"chart": {"version": "0.27.0"}},
            }}),
        ),
    ];
    for (spec, want) in table {
        assert_eq!(conformed(&json!({"spec": spec}))["spec"], want, "{spec}");
    }
}

#[test]
fn bad_specs_are_refused() {
    let version = |version: &str| json!({"templateRef": {"name": "t", "version": version}});
    let chart = |version: &str| json!({"template": {"helmRelease": {"chart": {"version": version}}}});
    let bad_version = |version: &str| {
        format!(
            "spec.templateRef.version: Invalid value: {version:?}: must be three parts separated by dots, each a number or x, such as 1.2.x"
        )
    };
    let bad_chart = |version: &str| {
        format!("spec.template.helmRelease.chart.version: Invalid value: {version:?}: must be a semantic version, such as 0.27.0")
    };
    let mut table = vec![
        (json!({}), vec![]),
        (json!({"templateRef": {"name": "t"}}), vec![]),
        (json!({"template": {}}), vec![]),
        (json!({"template": {}, "templateRef": {}}), vec![]),
        (
            json!({"template": {}, "templateRef": {"name": "t"}}),
            vec!["spec.template: Forbidden: may not be set together with spec.templateRef".to_owned()],
        ),
        (json!({"extraAccessRules": [{"users": ["a"], "clusterRole": "view"}]}), vec![]),
        (
            json!({"extraAccessRules": [{"clusterRole": "view"}, {"users": ["a"]}]}),
            vec!["spec.extraAccessRules[1].clusterRole: Required value: clusterrole is required".to_owned()],
        ),
        (
            json!({"template": {"access": {"rules": [{"teams": ["t"]}]}}}),
            vec!["spec.template.access.rules[0].clusterRole: Required value: clusterrole is required".to_owned()],
        ),
    ];
    for good in ["", "1.2.3", "v1.2.3", "x.x.x", "X.X.X", "1.x.x", "1.2.X", "10.20.30"] {
        table.push((version(good), vec![]));
    }
    for bad in ["1", "1.2", "1.2.3.4", "1.2.y", "1..3", "a.b.c", "latest", "1.2.3-rc.1", "V1.2.3", "1.xx.3", " 1.2.3", "v"] {
        table.push((version(bad), vec![bad_version(bad)]));
    }
    for good in ["", "0.27.0", "v0.27.0", "0.27.0-alpha.1", "0.27.0+build"] {
        table.push((chart(good), vec![]));
    }
    for bad in ["0.27", "latest", "0.27.x", "01.2.3", "0.27.0 "] {
        table.push((chart(bad), vec![bad_chart(bad)]));
    }
    let instances = VirtualClusterInstances;
    for (spec, want) in table {
        let errors: Vec<_> = instances.validate(&object(json!({"spec": spec}))).iter().map(ToString::to_string).collect();
        assert_eq!(errors, want, "{spec}");
    }
}

#[test]
fn each_condition_occurs_once() {
    let conditions = |types: &[&str]| {
        let list: Vec<_> = types.iter().map(|name| json!({"type": name, "status": "True"})).collect();
        object(json!({"status": {"conditions": list}}))
    };
    let instances = VirtualClusterInstances;
    assert_eq!(instances.validate(&conditions(&["Ready", "Scheduled"])), Vec::new());
    let errors = instances.validate(&conditions(&["Ready", "Scheduled", "Ready"]));
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts, [r#"status.conditions[2]: Duplicate value: {"type":"Ready"}"#]);
}

#[test]
fn where_it_runs_is_set_once() {
    let at = |cluster: &str, namespace: &str, name: &str| {
        object(json!({"spec": {"clusterRef": {"cluster": cluster, "namespace": namespace, "virtualCluster": name}}}))
    };
    let table = [
        (at("", "", ""), at("c", "n", "v"), vec![]),
        (at("c", "n", "v"), at("c", "n", "v"), vec![]),
        (at("c", "", ""), at("c", "n", ""), vec![]),
        (at("c", "n", "v"), at("d", "n", "w"), vec!["spec.clusterRef.cluster", "spec.clusterRef.virtualCluster"]),
        (
            at("c", "n", "v"),
            object(json!({"spec": {"clusterRef": {"cluster": "c", "virtualCluster": "v"}}})),
            vec!["spec.clusterRef.namespace"],
        ),
    ];
    let instances = VirtualClusterInstances;
    for (old, new, want) in table {
        let errors = instances.validate_update(&new, &old);
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, want, "{old:?} -> {new:?}");
    }
}

#[test]
fn the_creator_owns_what_names_no_owner() {
    let instances = VirtualClusterInstances;
    let mut created = object(json!({"spec": {"clusterRef": {}}}));
    instances.prepare_for_create(&context("ann", Some("ann"), &[]), &mut created);
    assert_eq!(created.str_at(&["spec", "owner", "user"]), "ann");
}

#[test]
fn owners_and_access_rules_grant() {
    let instance = object(json!({"spec": {
        "owner": {"user": "ann", "team": "t"},
        "access": [{"verbs": ["get"], "users": ["bob"]}, {"verbs": ["*"], "subresources": ["*"], "teams": ["u"]}, {"users": ["zoe"]}],
    }}));
    let access = ObjectAccess::read(&VirtualClusterInstances, &instance);
    let caller = |user: Option<&str>, teams: &[&str]| Caller {
        user: user.map(str::to_owned),
        teams: teams.iter().map(|team| (*team).to_owned()).collect(),
        ..Caller::default()
    };
    let table = [
        (caller(Some("ann"), &[]), "delete", "", true),
        (caller(None, &["t"]), "delete", "", true),
        (caller(Some("bob"), &[]), "get", "", true),
        (caller(Some("bob"), &[]), "update", "", false),
        (caller(Some("cid"), &["u"]), "update", "status", true),
        (caller(Some("zoe"), &[]), "get", "", false),
    ];
    for (caller, verb, subresource, want) in table {
        assert_eq!(access.grants(&caller, verb, subresource), want, "{caller:?} {verb} {subresource}");
    }
}

#[test]
fn what_is_shared_inside_is_seen_and_used_outside() {
    let instance = object(json!({"spec": {
        "owner": {"user": "ann"},
        "extraAccessRules": [{"users": ["bob"], "clusterRole": "view"}, {"teams": ["t"], "clusterRole": "cluster-admin"}],
        "template": {"access": {"rules": [{"users": ["zoe"], "clusterRole": "view"}]}},
    }}));
    let access = ObjectAccess::read(&VirtualClusterInstances, &instance);
    let caller = |user: Option<&str>, teams: &[&str]| Caller {
        user: user.map(str::to_owned),
        teams: teams.iter().map(|team| (*team).to_owned()).collect(),
        ..Caller::default()
    };
    for (who, want) in [
        (caller(Some("bob"), &[]), [true, true, false, false, false]),
        (caller(Some("cid"), &["t"]), [true, true, false, false, false]),
        (caller(Some("zoe"), &[]), [false; 5]),
        (caller(Some("t"), &["bob"]), [false; 5]),
    ] {
        let asked = [("get", ""), ("use", ""), ("update", ""), ("makeowner", ""), ("get", "status")];
        assert_eq!(asked.map(|(verb, part)| access.grants(&who, verb, part)), want, "{who:?}");
    }
}

#[test]
fn readers_of_everything_are_told_the_name_that_is_understood() {
    for (spec, want) in [
        (json!({"clusterRef": {}}), json!("one")),
        (json!({}), json!("one")),
        (json!({"clusterRef": {"virtualCluster": "other"}}), json!("other")),
        (json!({"external": true}), json!(null)),
    ] {
        let mut seen = object(json!({"metadata": {"name": "one"}, "spec": spec}));
        VirtualClusterInstances.fill_extended(&mut seen);
        assert_eq!(seen.at(&["spec", "clusterRef", "virtualCluster"]).unwrap_or(&Value::Null), &want, "{spec}");
    }
}

#[test]
fn readers_of_everything_are_told_of_sleep() {
    let annotations = json!({"sleepmode.loft.sh/sleep-after": "600", "sleepmode.loft.sh/sleeping-since": "5"});
    let mut seen = object(json!({"metadata": {"name": "one", "annotations": annotations}, "status": {"phase": "Sleeping"}}));
    VirtualClusterInstances.fill_extended(&mut seen);
    let told = |path: &[&str]| seen.at(&[&["status", "sleepModeConfig"], path].concat()).cloned();
    assert_eq!((told(&["spec", "sleepAfter"]), told(&["status", "sleepingSince"])), (Some(json!(600)), Some(json!(5))));
    assert_eq!(seen.str_at(&["status", "phase"]), "Sleeping");
}

#[test]
fn where_it_runs_stays_when_a_file_leaves_it_out() {
    let old = object(json!({"spec": {"clusterRef": {"cluster": "c", "namespace": "n"}}}));
    for (new, want) in [
        (json!({}), json!({"cluster": "c", "namespace": "n"})),
        (json!({"spec": {"clusterRef": {}}}), json!({"cluster": "c", "namespace": "n"})),
        (
            json!({"spec": {"clusterRef": {"cluster": "", "virtualCluster": "v"}}}),
            json!({"cluster": "c", "namespace": "n", "virtualCluster": "v"}),
        ),
        (json!({"spec": {"clusterRef": {"cluster": "d"}}}), json!({"cluster": "d", "namespace": "n"})),
    ] {
        let mut kept = object(new.clone());
        VirtualClusterInstances.prepare_for_update(&context("ann", Some("ann"), &[]), &mut kept, &old);
        assert_eq!(kept.at(&["spec", "clusterRef"]), Some(&want), "{new}");
    }
}

#[test]
fn cells_show_what_people_ask_for() {
    let now = 1_767_225_600 + 4 * 86_400 + 7 * 3600;
    let null = Value::Null;
    let table = [
        (
            json!({
                "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {
                    "displayName": "A", "templateRef": {"name": "t"}, "owner": {"user": "ann"},
                    "clusterRef": {"cluster": "c", "namespace": "n", "virtualCluster": "v"},
                },
                "status": {
                    "phase": "Ready", "message": "m", "kubernetesVersion": "v1.34.0",
                    "virtualCluster": {"helmRelease": {"chart": {"name": "vcluster", "version": "0.27.0"}}},
                },
            }),
            [
                json!("a"),
                json!("A"),
                json!("t"),
                json!("c"),
                json!("ann"),
                json!("Ready"),
                json!("4d7h"),
                json!("v"),
                json!("n"),
                json!("0.27.0"),
                json!("v1.34.0"),
                json!("m"),
            ],
        ),
        (
            json!({
                "metadata": {"name": "b"},
                "spec": {"owner": {"team": "t"}, "template": {"helmRelease": {"chart": {"name": "vcluster", "version": "0.26.0"}}}},
            }),
            [
                json!("b"),
                null.clone(),
                json!("vcluster"),
                null.clone(),
                json!("t"),
                json!("Pending"),
                json!("<unknown>"),
                null.clone(),
                null.clone(),
                json!("0.26.0"),
                null.clone(),
                null.clone(),
            ],
        ),
        (
            json!({"metadata": {"name": "c", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Ready"}}),
            [
                json!("c"),
                null.clone(),
                null.clone(),
                null.clone(),
                null.clone(),
                json!("Terminating"),
                json!("<unknown>"),
                null.clone(),
                null.clone(),
                null.clone(),
                null.clone(),
                null,
            ],
        ),
    ];
    let instances = VirtualClusterInstances;
    for (instance, want) in table {
        assert_eq!(instances.descriptor().cells(&object(instance.clone()), now), want, "{instance}");
    }
}
