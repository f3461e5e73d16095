use super::*;
use crate::directory::{Holder, HolderIdentity, KeyRecord, Lifetime, ProjectRecord, RuleResources, ScopeRule, UserRecord};

const VCI: &str = "virtualclusterinstances";
const GROUP: &str = "management.loft.sh";

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn key(scope: Option<KeyScope>) -> KeyRecord {
    let digest = <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(b"s"));
    let holder = Holder::User("ann".into());
    let scope = scope.map(Arc::new);
    KeyRecord {
        name: "k".into(),
        digest,
        holder,
        holder_identity: HolderIdentity::CreatedBy(0),
        disabled: false,
        lifetime: Lifetime::Endless,
        last_activity: 0,
        scope,
    }
}

fn directory() -> Arc<Directory> {
    let directory = Directory::default();
    directory.put_user(UserRecord { name: "ann".into(), ..UserRecord::default() });
    for name in ["a", "b", "c"] {
        directory.put_project(ProjectRecord { name: name.into(), ..ProjectRecord::default() });
    }
    Arc::new(directory)
}

fn target(path: &str) -> Target {
    let [group, resource, subresource, namespace, name] = path.split(' ').collect::<Vec<_>>()[..] else {
        return Target::Path(path.into());
    };
    let [group, resource, subresource, namespace, name] =
        [group, resource, subresource, namespace, name].map(|part| if part == "-" { String::new() } else { part.to_owned() });
    Target::Resource { group, version: "v1".into(), resource, subresource, namespace, name }
}

async fn covers(directory: &Arc<Directory>, scope: KeyScope, verb: &str, target: Target) -> bool {
    directory.put_key(key(Some(scope)));
    let identity = directory.identify("s", 0).unwrap_or_else(|| panic!("the key is good"));
    let attributes = Attributes { identity, verb: verb.into(), target };
    matches!(KeyScopes::new(Arc::clone(directory)).authorize(&attributes).await, Decision::NoOpinion(_))
}

#[tokio::test]
async fn a_scope_narrows_to_the_projects_and_instances_it_names() {
    let directory = directory();
    let parts = ScopeParts { projects: strings(&["a"]), instances: vec![("b".into(), "x".into())], roles: vec![] };
    let scope = KeyScope { parts: Some(parts), rules: None };
    let cases = [
        (format!("{GROUP} {VCI} - loft-p-a x"), true),
        (format!("{GROUP} {VCI} - loft-p-a -"), true),
        (format!("{GROUP} {VCI} status loft-p-a x"), true),
        (format!("{GROUP} {VCI} - loft-p-b x"), true),
        (format!("{GROUP} {VCI} - loft-p-b y"), false),
        (format!("{GROUP} {VCI} - loft-p-b -"), false),
        (format!("{GROUP} {VCI} - loft-p-c x"), false),
        (format!("{GROUP} {VCI} - - -"), false),
        (format!("{GROUP} projectsecrets - loft-p-a x"), true),
        (format!("{GROUP} projectsecrets - loft-p-b x"), false),
        (format!("{GROUP} projectsecrets - - -"), false),
        (format!("{GROUP} clusters - - eu"), false),
        (format!("{GROUP} projects - - a"), true),
        (format!("{GROUP} projects templates - a"), true),
        (format!("{GROUP} projects - - b"), false),
        (format!("{GROUP} projects - - -"), false),
        (format!("{GROUP} users - - ann"), false),
        (format!("{GROUP} ownedaccesskeys - - -"), false),
        ("- namespaces - loft-p-a loft-p-a".into(), true),
        ("- namespaces - - -".into(), false),
        ("/metrics".into(), false),
    ];
    for (path, want) in cases {
        assert_eq!(covers(&directory, scope.clone(), "get", target(&path)).await, want, "{path}");
        assert!(!covers(&directory, scope.clone(), "impersonate", target(&path)).await, "{path}");
        assert!(!covers(&directory, KeyScope::default(), "get", target(&path)).await, "an empty scope opens nothing: {path}");
    }
}

/// All virtual clusters of a project are not all that the project holds.
#[tokio::test]
async fn a_key_for_virtual_clusters_reads_no_secrets_of_their_project() {
    let directory = directory();
    let parts = ScopeParts { instances: vec![("a".into(), "*".into())], ..ScopeParts::default() };
    let scope = KeyScope { parts: Some(parts), rules: None };
    for (path, want) in [
        (format!("{GROUP} {VCI} - loft-p-a x"), true),
        (format!("{GROUP} projects - - a"), true),
        (format!("{GROUP} projectsecrets - loft-p-a x"), false),
        (format!("{GROUP} projectsecrets - loft-p-a -"), false),
    ] {
        assert_eq!(covers(&directory, scope.clone(), "get", target(&path)).await, want, "{path}");
    }
}

#[tokio::test]
async fn a_key_without_scope_is_not_narrowed_and_one_that_is_gone_opens_nothing() {
    let directory = directory();
    directory.put_key(key(None));
    let identity = directory.identify("s", 0).unwrap_or_else(|| panic!("the key is good"));
    let attributes = Attributes { identity, verb: "get".into(), target: target(&format!("{GROUP} users - - ann")) };
    let scopes = KeyScopes::new(Arc::clone(&directory));
    assert!(matches!(scopes.authorize(&attributes).await, Decision::NoOpinion(_)));
    directory.remove_key("k");
    assert!(matches!(scopes.authorize(&attributes).await, Decision::Deny(_)));
}

#[tokio::test]
async fn a_role_opens_what_its_part_needs_in_the_projects_and_instances_it_is_limited_to() {
    let directory = directory();
    let role = |role, projects: &[&str], instances: &[&str]| {
        let role = RoleInScope { role, projects: strings(projects), instances: strings(instances) };
        KeyScope { parts: Some(ScopeParts { roles: vec![role], ..ScopeParts::default() }), rules: None }
    };
    let cli = role(KeyRole::CommandLine, &[], &[]);
    let cli_of_a = role(KeyRole::CommandLine, &["a"], &[]);
    let vcluster = role(KeyRole::VirtualCluster, &[], &[]);
    let vcluster_of_x = role(KeyRole::VirtualCluster, &["a"], &["x"]);
    let metrics = role(KeyRole::MetricsReader, &[], &[]);
    let in_a = |name: &str| format!("{GROUP} {VCI} - loft-p-a {name}");
    let in_b = format!("{GROUP} {VCI} - loft-p-b x");
    let status = format!("{GROUP} {VCI} status loft-p-a x");
    let all = format!("{GROUP} {VCI} - - -");
    let project = |name: &str, subresource: &str| format!("{GROUP} projects {subresource} - {name}");
    let user = format!("{GROUP} users - - ann");
    let keys = format!("{GROUP} ownedaccesskeys - - -");
    let cases = [
        (&cli, "get", in_a("x"), true),
        (&cli, "list", all.clone(), true),
        (&cli, "use", in_a("x"), true),
        (&cli, "create", in_a("-"), false),
        (&cli, "delete", in_a("x"), false),
        (&cli, "get", status.clone(), false),
        (&cli, "get", project("a", "-"), true),
        (&cli, "list", format!("{GROUP} clusters - - -"), true),
        (&cli, "get", format!("{GROUP} projectsecrets - loft-p-a x"), false),
        (&cli, "get", project("a", "templates"), true),
        (&cli, "get", project("a", "status"), false),
        (&cli, "update", project("a", "-"), false),
        (&cli, "list", project("-", "-"), true),
        (&cli, "get", user.clone(), true),
        (&cli, "get", keys.clone(), false),
        (&cli_of_a, "get", in_a("x"), true),
        (&cli_of_a, "get", in_b.clone(), false),
        (&cli_of_a, "list", all.clone(), false),
        (&cli_of_a, "get", project("b", "-"), false),
        (&cli_of_a, "get", user.clone(), false),
        (&vcluster, "get", in_a("x"), true),
        (&vcluster, "create", in_a("-"), true),
        (&vcluster, "patch", status.clone(), true),
        (&vcluster, "delete", in_a("x"), false),
        (&vcluster, "get", user, false),
        (&vcluster_of_x, "patch", status, true),
        (&vcluster_of_x, "get", in_a("x"), true),
        (&vcluster_of_x, "get", in_a("y"), false),
        (&vcluster_of_x, "get", in_b, false),
        (&vcluster_of_x, "create", in_a("-"), false),
        (&vcluster_of_x, "list", all, false),
        (&vcluster_of_x, "get", project("a", "-"), true),
        (&metrics, "get", "/metrics".into(), true),
        (&metrics, "get", "/debug".into(), false),
        (&metrics, "get", keys, false),
    ];
    for (scope, verb, path, want) in cases {
        assert_eq!(covers(&directory, scope.clone(), verb, target(&path)).await, want, "{verb} {path} with {scope:?}");
    }
}

#[tokio::test]
async fn rules_narrow_what_the_rest_opens() {
    let directory = directory();
    let resources = vec![RuleResources { group: GROUP.into(), resources: strings(&[VCI]), names: vec![] }];
    let rule = ScopeRule { verbs: strings(&["get"]), resources, namespaces: strings(&["loft-p-a"]), ..ScopeRule::default() };
    let rules = KeyScope { parts: None, rules: Some(vec![rule]) };
    let both = KeyScope { parts: Some(ScopeParts { projects: strings(&["b"]), ..ScopeParts::default() }), ..rules.clone() };
    let none = KeyScope { parts: None, rules: Some(vec![]) };
    let everything = KeyScope { parts: None, rules: Some(vec![ScopeRule::default()]) };
    let (in_a, in_b) = (format!("{GROUP} {VCI} - loft-p-a x"), format!("{GROUP} {VCI} - loft-p-b x"));
    let cases = [
        (&rules, "get", &in_a, true),
        (&rules, "delete", &in_a, false),
        (&rules, "get", &in_b, false),
        (&both, "get", &in_a, false),
        (&both, "get", &in_b, false),
        (&none, "get", &in_a, false),
        (&everything, "delete", &in_b, true),
    ];
    for (scope, verb, path, want) in cases {
        assert_eq!(covers(&directory, scope.clone(), verb, target(path)).await, want, "{verb} {path} with {scope:?}");
    }
}
