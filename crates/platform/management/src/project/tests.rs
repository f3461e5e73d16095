use super::*;
use crate::access::Caller;
use crate::rules::tests::object;
use serde_json::json;

fn project(name: &str, spec: Value) -> Object {
    let mut project = json!({"metadata": {"name": name}});
    project["spec"] = spec;
    object(project)
}

#[test]
fn bad_projects_are_refused() {
    let ann = json!({"kind": "User", "name": "ann", "clusterRole": "loft-management-project-admin"});
    let label = "a lowercase RFC 1123 label must";
    let table = [
        ("p", json!({}), vec![]),
        ("p", json!({"members": [ann], "quotas": {"project": {"virtualclusterinstances": "20"}}}), vec![]),
        ("p.q", json!({}), vec!["metadata.name: Invalid value: \"p.q\": "]),
        ("P", json!({}), vec![label]),
        (
            "p",
            json!({"members": [{"clusterRole": ""}]}),
            vec![
                "spec.members[0].kind: Required value: must be User or Team",
                "spec.members[0].name: Required value",
                "spec.members[0].clusterRole: Required value",
            ],
        ),
        (
            "p",
            json!({"members": [ann, {"kind": "Group", "name": "g", "clusterRole": "user"}]}),
            vec![r#"spec.members[1].kind: Unsupported value: "Group": supported values: "Team", "User""#],
        ),
        (
            "p",
            json!({"quotas": {"project": {"a": "many"}, "user": {"b": "-1", "c": "0"}}}),
            vec![
                r#"spec.quotas.project[a]: Invalid value: "many": must be a whole number, such as 20"#,
                r#"spec.quotas.user[b]: Invalid value: "-1": must be a whole number, such as 20"#,
            ],
        ),
        (
            "p",
            json!({"quotas": {"project": {"": "1"}, "user": {"virtual clusters": "1"}}}),
            vec![
                r#"spec.quotas.project: Invalid value: "": must name a resource, such as virtualclusterinstances"#,
                r#"spec.quotas.user: Invalid value: "virtual clusters": must name a resource, such as virtualclusterinstances"#,
            ],
        ),
    ];
    let projects = Projects;
    for (name, spec, want) in table {
        let errors: Vec<_> = projects.validate(&project(name, spec.clone())).iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), want.len(), "{name} {spec}: {errors:?}");
        assert!(errors.iter().zip(&want).all(|(error, want)| error.contains(want)), "{name} {spec}: {errors:?}");
    }
}

#[test]
fn roles_that_give_nothing_are_warned_of() {
    let member = |role: &str| json!({"kind": "User", "name": "ann", "clusterRole": role});
    let spec = json!({"members": [member("user"), member("loft-management-project-viewer"), member("admn")]});
    let want = ["spec.members[2].clusterRole: \"admn\" is no role in projects and gives nothing"];
    assert_eq!(Projects.warnings(&project("p", spec)), want);
}

#[test]
fn limits_that_limit_nothing_are_warned_of() {
    let counted = ["virtualclusterinstances", "virtualclusterinstances.active", "virtualclusterinstances.template=isolated"];
    let idle = ["spaceinstances", "virtualclusterinstances.actve", "virtualclusterinstances.template=", "virtualclusterinstancesx"];
    let limits = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), json!("5"))).collect::<Map<_, _>>();
    let want: Vec<_> = idle.iter().map(|name| format!("spec.quotas.user[{name}]: is not counted here and limits nothing")).collect();
    let spec = json!({"quotas": {"project": limits(&counted), "user": limits(&idle)}});
    assert_eq!(Projects.warnings(&project("p", spec)), want);
}

#[test]
fn members_see_their_project_and_owners_own_it() {
    let user = |name: &str| Caller { user: Some(name.into()), ..Caller::default() };
    let team = |name: &str| Caller { teams: vec![name.into()], ..Caller::default() };
    let member = |kind: &str, name: &str, role: &str| json!({"kind": kind, "name": name, "clusterRole": role});
    let spec = json!({"owner": {"user": "own"}, "members": [
        member("User", "ann", "loft-management-project-user"), member("Team", "t", "viewer"), member("User", "bob", "nothing"),
        member("User", "adm", "loft-management-project-admin"), member("Team", "admins", "admin"),
    ]});
    let access = ObjectAccess::read(&Projects, &project("p", spec));
    let table = [
        (user("own"), true, true),
        (user("ann"), true, false),
        (team("t"), true, false),
        (user("bob"), false, false),
        (user("adm"), true, true),
        (team("admins"), true, true),
        (user("t"), false, false),
    ];
    for (caller, get, update) in table {
        assert_eq!((access.grants(&caller, "get", ""), access.grants(&caller, "update", "")), (get, update), "{caller:?}");
    }
    let everybody = ObjectAccess::read(&Projects, &project("p", json!({"members": [member("User", "*", "viewer")]})));
    assert!(everybody.grants(&user("zoe"), "get", "") && everybody.grants(&team("z"), "get", ""));
    let teams = ObjectAccess::read(&Projects, &project("p", json!({"members": [member("Team", "*", "viewer")]})));
    assert!(!teams.grants(&user("zoe"), "get", "") && teams.grants(&team("z"), "get", ""));
}

#[test]
fn cells_show_what_it_is_and_whose() {
    let spec = json!({"displayName": "P", "owner": {"team": "t"}, "members": [{}, {}], "description": "d"});
    let want = [json!("p"), json!("P"), json!("t"), json!(2), json!("<unknown>"), json!("d")];
    assert_eq!(Projects.descriptor().cells(&project("p", spec), 0), want);
}
