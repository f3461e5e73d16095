use super::*;
use crate::directory::{CLUSTER_ROLE_ADMIN, Member, Principal, ProjectRecord, TeamRecord, UserRecord};
use apiserver_auth::Identity;
use apiserver_meta::User;
use vci_management::access::Caller;
use vci_management::access::{AccessRule, ObjectAccess, VirtualClusterIdentity};

const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

fn member(who: Principal, role: Role) -> Member {
    Member { who, role }
}

/// Project `a` has members of every role, project `b` is open to everyone as viewer, project `c` is nobody's.
fn rules() -> ProjectRules {
    let directory = Directory::default();
    for name in ["root", "boss", "owner", "user", "viewer", "stranger"] {
        let cluster_roles = if name == "root" { vec![CLUSTER_ROLE_ADMIN.into()] } else { Vec::new() };
        directory.put_user(UserRecord { name: name.into(), cluster_roles, ..UserRecord::default() });
    }
    directory.put_team(TeamRecord { name: "admins".into(), cluster_roles: vec![CLUSTER_ROLE_ADMIN.into()], ..TeamRecord::default() });
    directory.put_project(ProjectRecord {
        name: "a".into(),
        owner: Some(Principal::User("owner".into())),
        members: vec![
            member(Principal::User("boss".into()), Role::Admin),
            member(Principal::User("user".into()), Role::User),
            member(Principal::User("viewer".into()), Role::Viewer),
            member(Principal::Team("devs".into()), Role::User),
        ],
        ..ProjectRecord::default()
    });
    let everyone = vec![member(Principal::Everyone, Role::Viewer)];
    directory.put_project(ProjectRecord { name: "b".into(), members: everyone, ..ProjectRecord::default() });
    directory.put_project(ProjectRecord { name: "c".into(), ..ProjectRecord::default() });
    ProjectRules::new(Arc::new(directory))
}

fn identity(user: Option<&str>, teams: &[&str]) -> Identity {
    let caller = Caller { user: user.map(str::to_owned), teams: teams.iter().map(|&team| team.to_owned()).collect(), ..Caller::default() };
    let name = user.unwrap_or("foreign").to_owned();
    Identity { user: Arc::new(User { name, ..User::default() }), principal: apiserver_meta::Principal::new(caller) }
}

fn target(group: &str, resource: &str, namespace: &str, name: &str) -> Target {
    let [group, resource, namespace, name] = [group, resource, namespace, name].map(str::to_owned);
    Target::Resource { group, version: "v1".into(), resource, subresource: String::new(), namespace, name }
}

/// `A` everything, `g` what is granted, `-` no opinion; one letter for each of [`VERBS`].
async fn row(rules: &ProjectRules, identity: &Identity, target: &Target) -> String {
    let mut row = String::new();
    for verb in VERBS {
        let attributes = Attributes { identity: identity.clone(), verb: verb.into(), target: target.clone() };
        row.push(match rules.authorize(&attributes).await {
            Decision::Allow(ObjectFilter::All) => 'A',
            Decision::Allow(ObjectFilter::Access(_)) => 'g',
            Decision::NoOpinion(_) => '-',
            Decision::Deny(_) | Decision::Failed(_) => 'D',
        });
    }
    row
}

#[tokio::test]
async fn callers_times_verbs() {
    let rules = rules();
    let vci = "virtualclusterinstances";
    let callers = [
        ("root", identity(Some("root"), &[])),
        ("admins", identity(None, &["admins"])),
        ("boss", identity(Some("boss"), &[])),
        ("owner", identity(Some("owner"), &[])),
        ("user", identity(Some("user"), &[])),
        ("devs", identity(None, &["devs"])),
        ("viewer", identity(Some("viewer"), &[])),
        ("stranger", identity(Some("stranger"), &[])),
        ("foreign", identity(None, &[])),
    ];
    let inside = target(GROUP, vci, "loft-p-a", "x");
    let open = target(GROUP, vci, "loft-p-b", "x");
    let closed = target(GROUP, vci, "loft-p-c", "x");
    let missing = target(GROUP, vci, "loft-p-none", "x");
    let elsewhere = target(GROUP, vci, "kube-system", "x");
    let all = target(GROUP, vci, "", "");
    // caller: in a, b, c, a project that is missing, a namespace of no project, over all namespaces
    let table = [
        ("root", ["AAAAAAAA", "AAAAAAAA", "AAAAAAAA", "AAAAAAAA", "AAAAAAAA", "AAAAAAAA"]),
        ("admins", ["AAAAAAAA", "AAAAAAAA", "AAAAAAAA", "AAAAAAAA", "AAAAAAAA", "AAAAAAAA"]),
        ("boss", ["AAAAAAAA", "ggg-gggg", "--------", "--------", "--------", "ggg-ggg-"]),
        ("owner", ["AAAAAAAA", "ggg-gggg", "--------", "--------", "--------", "ggg-ggg-"]),
        ("user", ["gggAgggg", "ggg-gggg", "--------", "--------", "--------", "ggg-ggg-"]),
        ("devs", ["gggAgggg", "ggg-gggg", "--------", "--------", "--------", "ggg-ggg-"]),
        ("viewer", ["ggg-gggg", "ggg-gggg", "--------", "--------", "--------", "ggg-ggg-"]),
        ("stranger", ["--------", "ggg-gggg", "--------", "--------", "--------", "ggg-ggg-"]),
        ("foreign", ["--------", "--------", "--------", "--------", "--------", "--------"]),
    ];
    for ((name, identity), (row_name, want)) in callers.iter().zip(table) {
        assert_eq!(*name, row_name);
        for (target, want) in [&inside, &open, &closed, &missing, &elsewhere, &all].into_iter().zip(want) {
            assert_eq!(row(&rules, identity, target).await, want, "{name} on {target:?}");
        }
    }
}

#[tokio::test]
async fn the_objects_that_say_who_is_who_are_read_by_those_they_speak_of() {
    let rules = rules();
    let user = identity(Some("user"), &["devs"]);
    let stranger = identity(Some("stranger"), &[]);
    // target, for a member of project a and team devs, for a stranger to both
    let table = [
        (target(GROUP, "projects", "", "a"), "Agg-----", "-gg-----"),
        (target(GROUP, "projects", "", "c"), "-gg-----", "-gg-----"),
        (target(GROUP, "projects", "", "none"), "-gg-----", "-gg-----"),
        (target(GROUP, "projects", "", ""), "-gg-gg--", "-gg-gg--"),
        (target(GROUP, "users", "", "user"), "AAA-----", "--------"),
        (target(GROUP, "users", "", "boss"), "--------", "--------"),
        (target(GROUP, "users", "", ""), "--------", "--------"),
        (target(GROUP, "teams", "", "devs"), "AAA-----", "--------"),
        (target(GROUP, "ownedaccesskeys", "", "k"), "gggAgggg", "gggAgggg"),
        (target(GROUP, "virtualclustertemplates", "", "t"), "ggg-gggg", "ggg-gggg"),
        (target(GROUP, "virtualclustertemplates", "", ""), "ggg-gggg", "ggg-gggg"),
        (target("", "namespaces", "", ""), "-A------", "-A------"),
        (target("", "namespaces", "loft-p-a", "loft-p-a"), "A-------", "--------"),
        (target("", "namespaces", "", "default"), "--------", "--------"),
        (target("", "pods", "loft-p-a", ""), "--------", "--------"),
        (target("apps", "deployments", "loft-p-a", ""), "--------", "--------"),
    ];
    for (target, member, other) in table {
        assert_eq!(row(&rules, &user, &target).await, member, "member on {target:?}");
        assert_eq!(row(&rules, &stranger, &target).await, other, "stranger on {target:?}");
    }
}

async fn view(rules: &ProjectRules, identity: &Identity, verb: &str, target: &Target) -> ObjectFilter {
    match rules.authorize(&Attributes { identity: identity.clone(), verb: verb.into(), target: target.clone() }).await {
        Decision::Allow(view) => view,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_list_over_all_namespaces_shows_in_each_what_the_role_there_gives() {
    let rules = rules();
    let boss = identity(Some("boss"), &[]);
    let view = view(&rules, &boss, "list", &target(GROUP, "virtualclusterinstances", "", "")).await;
    let own = ObjectAccess { owner_user: "boss".into(), ..ObjectAccess::default() };
    let other = ObjectAccess { owner_user: "user".into(), ..ObjectAccess::default() };
    let rule = AccessRule { verbs: vec!["get".into()], users: vec!["boss".into()], ..AccessRule::default() };
    let granted = ObjectAccess { rules: vec![rule], ..other.clone() };
    for (namespace, access, want) in [
        ("loft-p-a", &other, true),
        ("loft-p-b", &other, false),
        ("loft-p-b", &own, true),
        ("loft-p-b", &granted, true),
        ("loft-p-c", &own, false),
        ("kube-system", &own, false),
    ] {
        assert_eq!(view.allows(namespace, &Facts::new(access.clone())), want, "{namespace} {access:?}");
    }
    rules.directory.remove_project("a");
    assert!(!view.allows("loft-p-a", &Facts::new(own)), "a view follows the directory");
}

#[tokio::test]
async fn a_granted_verb_is_the_one_that_the_request_needs() {
    let rules = rules();
    let viewer = identity(Some("viewer"), &[]);
    let on = target(GROUP, "virtualclusterinstances", "loft-p-a", "x");
    for (verb, needed) in
        [("get", "get"), ("list", "get"), ("watch", "get"), ("update", "update"), ("deletecollection", "delete"), ("delete", "delete")]
    {
        let ObjectFilter::Access(grant) = view(&rules, &viewer, verb, &on).await else { panic!("{verb} is not limited") };
        for granted in ["get", "update", "delete"] {
            let rule = AccessRule { verbs: vec![granted.into()], users: vec!["viewer".into()], ..AccessRule::default() };
            let facts = Facts::new(ObjectAccess { rules: vec![rule], ..ObjectAccess::default() });
            assert_eq!(grant.allows(&facts), granted == needed, "{verb} where {granted} is granted");
        }
        let denial = grant.denial();
        assert!(denial.starts_with(&format!("User \"viewer\" cannot {verb} resource \"virtualclusterinstances\"")), "{denial}");
    }
}

#[tokio::test]
async fn an_admin_who_is_disabled_or_no_longer_there_is_none() {
    let rules = rules();
    let root = identity(Some("root"), &[]);
    let on = target(GROUP, "virtualclusterinstances", "loft-p-a", "x");
    let cluster_roles = vec![CLUSTER_ROLE_ADMIN.into()];
    rules.directory.put_user(UserRecord { name: "root".into(), disabled: true, cluster_roles, ..UserRecord::default() });
    assert_eq!(row(&rules, &root, &on).await, "--------");
    rules.directory.remove_user("root");
    assert_eq!(row(&rules, &root, &on).await, "--------");
}

/// One letter for each of these verbs, as in [`row`].
async fn decisions(rules: &ProjectRules, identity: &Identity, target: &Target, verbs: &[&str]) -> String {
    let mut row = String::new();
    for verb in verbs {
        let attributes = Attributes { identity: identity.clone(), verb: (*verb).into(), target: target.clone() };
        row.push(match rules.authorize(&attributes).await {
            Decision::Allow(ObjectFilter::All) => 'A',
            Decision::Allow(ObjectFilter::Access(_)) => 'g',
            Decision::NoOpinion(_) => '-',
            Decision::Deny(_) | Decision::Failed(_) => 'D',
        });
    }
    row
}

fn below(mut on: Target, part: &str) -> Target {
    if let Target::Resource { subresource, .. } = &mut on {
        *subresource = part.into();
    }
    on
}

#[tokio::test]
async fn using_owning_and_creating_without_a_template_are_rights_of_their_own() {
    let rules = rules();
    let on = target(GROUP, "virtualclusterinstances", "loft-p-a", "x");
    let (any, elsewhere) =
        (target(GROUP, "virtualclusterinstances", "loft-p-a", ""), target(GROUP, "virtualclusterinstances", "loft-p-c", "x"));
    let unconfined = target(GROUP, "virtualclusterinstances", "", "");
    let restricted = below(any.clone(), "restricted");
    // use and makeowner of one, of some, elsewhere, anywhere; creation of restricted; creation below an object
    let table = [
        ("root", "AA AA AA AA A A"),
        ("boss", "AA AA -- gg A A"),
        ("owner", "AA AA -- gg A A"),
        ("user", "gg gg -- gg - g"),
        ("viewer", "gg gg -- gg - g"),
        ("stranger", "-- -- -- gg - -"),
    ];
    for (name, want) in table {
        let who = identity(Some(name), &[]);
        let mut got = Vec::new();
        for target in [&on, &any, &elsewhere, &unconfined] {
            got.push(decisions(&rules, &who, target, &["use", "makeowner"]).await);
        }
        for target in [&restricted, &below(on.clone(), "kubeconfig")] {
            got.push(decisions(&rules, &who, target, &["create"]).await);
        }
        assert_eq!(got.join(" "), want, "{name}");
    }
}

#[tokio::test]
async fn a_project_is_read_by_members_changed_by_admins_and_says_the_rest_itself() {
    let rules = rules();
    let rule = |verbs: &[&str], subresources: &[&str]| AccessRule {
        verbs: verbs.iter().map(|&verb| verb.into()).collect(),
        subresources: subresources.iter().map(|&part| part.into()).collect(),
        users: vec!["stranger".into()],
        ..AccessRule::default()
    };
    rules.directory.put_project(ProjectRecord {
        name: "d".into(),
        owner: Some(Principal::User("owner".into())),
        members: vec![member(Principal::User("viewer".into()), Role::Viewer)],
        access: ObjectAccess {
            owner_user: "owner".into(),
            rules: vec![rule(&["get", "update"], &["templates"]), rule(&["delete"], &[])],
            ..ObjectAccess::default()
        },
        ..ProjectRecord::default()
    });
    let verbs = ["get", "update", "patch", "delete", "create", "deletecollection"];
    let parts = ["", "members", "templates", "clusters", "status", "other"];
    let table = [
        ("viewer", ["A-----", "A-----", "A-----", "A-----", "A-----", "------"]),
        ("owner", ["AAAA--", "AAAA--", "AAAA--", "AAAA--", "A-----", "AAAA--"]),
        ("stranger", ["AA-A--", "------", "AA----", "------", "------", "------"]),
        ("boss", ["------", "------", "------", "------", "------", "------"]),
    ];
    for (name, want) in table {
        for (part, want) in parts.into_iter().zip(want) {
            let on = below(target(GROUP, "projects", "", "d"), part);
            assert_eq!(decisions(&rules, &identity(Some(name), &[]), &on, &verbs).await, want, "{name} on {part:?}");
        }
    }
    for name in ["boss", "owner"] {
        let on = target(GROUP, "projects", "", "a");
        assert_eq!(decisions(&rules, &identity(Some(name), &[]), &on, &verbs).await, "AAA---", "{name}");
    }
}

#[tokio::test]
async fn host_clusters_are_read_by_members_of_projects_that_allow_them() {
    let rules = rules();
    let everyone = vec![member(Principal::Everyone, Role::Viewer)];
    let allowing = |name: &str, members: &[Member], clusters: &[&str]| ProjectRecord {
        name: name.into(),
        members: members.to_vec(),
        allowed_clusters: clusters.iter().map(|&cluster| cluster.into()).collect(),
        ..ProjectRecord::default()
    };
    rules.directory.put_project(allowing("b", &everyone, &["open"]));
    rules.directory.put_project(allowing("d", &[member(Principal::User("user".into()), Role::User)], &["eu", "us"]));
    rules.directory.put_project(allowing("e", &[member(Principal::User("boss".into()), Role::Admin)], &["*"]));
    let on = target(GROUP, "clusters", "", "eu");
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    assert_eq!(decisions(&rules, &identity(Some("user"), &[]), &on, &verbs).await, "ggg-gggg");
    assert_eq!(decisions(&rules, &identity(Some("root"), &[]), &on, &verbs).await, "AAAAAAAA");
    assert_eq!(decisions(&rules, &identity(None, &[]), &on, &verbs).await, "--------", "nobody who is known here");
    assert_eq!(decisions(&rules, &identity(Some("boss"), &[]), &below(on.clone(), "status"), &verbs).await, "ggg-----");
    let facts = |name: &str| Facts::new(ObjectAccess { owner_user: "owner".into(), name: Some(name.into()), ..ObjectAccess::default() });
    // open, eu and another one; and what of them the caller may change
    let table =
        [("user", "YY-", "---"), ("viewer", "Y--", "---"), ("stranger", "Y--", "---"), ("boss", "YYY", "---"), ("owner", "YYY", "YYY")];
    for (name, reads, changes) in table {
        for (verb, want) in [("get", reads), ("list", reads), ("update", changes), ("delete", changes)] {
            let view = view(&rules, &identity(Some(name), &[]), verb, &on).await;
            let got: String = ["open", "eu", "x"].map(|cluster| if view.allows("", &facts(cluster)) { 'Y' } else { '-' }).iter().collect();
            assert_eq!(got, want, "{name} {verb}");
        }
    }
    let user = view(&rules, &identity(Some("user"), &[]), "watch", &on).await;
    rules.directory.put_project(allowing("d", &[], &["eu", "us"]));
    assert!(!user.allows("", &facts("eu")), "a view follows the directory");
    assert!(!user.allows("", &Facts::new(ObjectAccess::default())), "what has no name is allowed by nobody");
}

#[tokio::test]
async fn a_virtual_cluster_reads_its_own_instance_and_nothing_else() {
    let rules = rules();
    // A project to whose members everybody belongs gives it nothing.
    let own = VirtualClusterIdentity { namespace: "loft-p-b".into(), name: "x".into() };
    let caller = Caller { virtual_cluster: Some(own.clone()), ..Caller::default() };
    let user = User { name: own.to_string(), ..User::default() };
    let who = Identity { user: Arc::new(user), principal: apiserver_meta::Principal::new(caller) };
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "use"];
    let on = |resource: &str, namespace: &str, name: &str| target(GROUP, resource, namespace, name);
    let (mine, vci) = (on("virtualclusterinstances", "loft-p-b", "x"), "virtualclusterinstances");
    for (target, want) in [
        (mine.clone(), "AAA-----"),
        (below(mine.clone(), "status"), "AAA-----"),
        (below(mine.clone(), "accesskey"), "--------"),
        (below(mine, "kubeconfig"), "--------"),
        (on(vci, "loft-p-b", "y"), "--------"),
        (on(vci, "loft-p-a", "x"), "--------"),
        (on(vci, "loft-p-b", ""), "--------"),
        (on(vci, "", ""), "--------"),
        (on("projectsecrets", "loft-p-b", "x"), "--------"),
        (on("projects", "", "b"), "--------"),
        (on("clusters", "", "x"), "--------"),
        (on("ownedaccesskeys", "", "x"), "--------"),
        (target("", "namespaces", "", "loft-p-b"), "--------"),
        (target("example.com", vci, "loft-p-b", "x"), "--------"),
    ] {
        assert_eq!(decisions(&rules, &who, &target, &verbs).await, want, "{target:?}");
    }
}

#[tokio::test]
async fn keys_are_made_by_users_and_their_status_by_the_server_alone() {
    let rules = rules();
    let (user, team) = (identity(Some("user"), &["devs"]), identity(None, &["devs"]));
    let verbs = ["get", "update", "patch", "create", "delete"];
    let one = target(GROUP, "ownedaccesskeys", "", "k");
    assert_eq!(decisions(&rules, &user, &one, &verbs).await, "gggAg");
    assert_eq!(decisions(&rules, &user, &below(one.clone(), "status"), &verbs).await, "g----");
    assert_eq!(decisions(&rules, &team, &one, &verbs).await, "ggg-g");
}

#[tokio::test]
async fn a_status_is_read_by_whoever_reads_the_object_and_written_by_admins_alone() {
    let rules = rules();
    let verbs = ["get", "update", "patch", "delete", "create"];
    let instance = target(GROUP, "virtualclusterinstances", "loft-p-a", "x");
    let template = target(GROUP, "virtualclustertemplates", "", "t");
    // of an instance, of a template, of a project, of a user
    let table = [
        ("root", ["AAAAA", "AAAAA", "AAAAA", "AAAAA"]),
        ("boss", ["A----", "g----", "A----", "-----"]),
        ("owner", ["A----", "g----", "A----", "-----"]),
        ("user", ["g----", "g----", "A----", "A----"]),
        ("viewer", ["g----", "g----", "A----", "-----"]),
        ("stranger", ["-----", "g----", "-----", "-----"]),
    ];
    let (project, user) = (target(GROUP, "projects", "", "a"), target(GROUP, "users", "", "user"));
    for (name, want) in table {
        for (on, want) in [&instance, &template, &project, &user].into_iter().zip(want) {
            let on = below(on.clone(), "status");
            assert_eq!(decisions(&rules, &identity(Some(name), &[]), &on, &verbs).await, want, "{name} on {on:?}");
        }
    }
}
