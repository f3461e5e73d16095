#![allow(clippy::unwrap_used)]
use super::*;
use apiserver_auth::IdentityMapper;
use proptest::prelude::*;
use vci_management::access::Caller;

fn digest(secret: &str) -> [u8; 32] {
    key_hash::digest(secret)
}

fn key(name: &str, secret: &str, holder: Holder) -> KeyRecord {
    let (lifetime, digest) = (Lifetime::Endless, digest(secret));
    KeyRecord {
        name: name.into(),
        digest,
        holder,
        holder_identity: HolderIdentity::CreatedBy(0),
        disabled: false,
        lifetime,
        last_activity: 0,
        scope: None,
    }
}

fn user(name: &str) -> Holder {
    Holder::User(name.into())
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn directory() -> Directory {
    let directory = Directory::new("p-");
    directory.put_user(UserRecord { name: "ann".into(), uid: "u-1".into(), groups: strings(&["sso:devs"]), ..UserRecord::default() });
    directory.put_user(UserRecord { name: "gone".into(), disabled: true, ..UserRecord::default() });
    directory.put_team(TeamRecord { name: "by-name".into(), users: strings(&["ann"]), ..TeamRecord::default() });
    directory.put_team(TeamRecord { name: "by-group".into(), groups: strings(&["x", "sso:devs"]), ..TeamRecord::default() });
    directory.put_team(TeamRecord { name: "others".into(), users: strings(&["bob"]), ..TeamRecord::default() });
    directory
}

#[test]
fn a_user_is_known_by_name_with_all_groups_and_teams() {
    let directory = directory();
    directory.put_key(key("k", "secret", user("ann")));
    let identity = directory.identify("secret", 0).unwrap();
    assert_eq!((identity.user.name.as_str(), identity.user.uid.as_str()), ("ann", "u-1"));
    let groups = [
        "sso:devs",
        "system:authenticated",
        "loft:authenticated",
        "loft:user:*",
        "loft:user:ann",
        "loft:team:by-group",
        "loft:team:by-name",
    ];
    assert_eq!(identity.user.groups, groups);
    assert_eq!(
        *Caller::of(&identity.principal),
        Caller { user: Some("ann".into()), teams: strings(&["by-group", "by-name"]), access_key: Some("k".into()), ..Caller::default() }
    );
}

#[test]
fn a_team_key_acts_as_the_team() {
    let directory = directory();
    directory.put_key(key("k", "secret", Holder::Team("others".into())));
    let identity = directory.identify("secret", 0).unwrap();
    assert_eq!(identity.user.name, "loft:team:others");
    assert_eq!(identity.user.groups, ["system:authenticated", "loft:authenticated", "loft:team:others"]);
    assert_eq!(*Caller::of(&identity.principal), Caller { teams: strings(&["others"]), access_key: Some("k".into()), ..Caller::default() });
}

#[test]
fn keys_that_are_not_good_fail_alike() {
    let cases = [
        ("unknown secret", key("k", "other", user("ann")), 0, false),
        ("disabled", KeyRecord { disabled: true, ..key("k", "secret", user("ann")) }, 0, false),
        ("not yet expired", KeyRecord { lifetime: Lifetime::Until(100), ..key("k", "secret", user("ann")) }, 99, true),
        ("expired", KeyRecord { lifetime: Lifetime::Until(100), ..key("k", "secret", user("ann")) }, 100, false),
        ("disabled user", key("k", "secret", user("gone")), 0, false),
        ("missing user", key("k", "secret", user("nobody")), 0, false),
        ("missing team", key("k", "secret", Holder::Team("nobody".into())), 0, false),
    ];
    for (what, record, now, want) in cases {
        let directory = directory();
        directory.put_key(record);
        assert_eq!(directory.identify("secret", now).is_some(), want, "{what}");
    }
}

#[test]
fn changes_take_effect_at_once() {
    let directory = directory();
    directory.put_key(key("k", "secret", user("ann")));
    let teams = || directory.identify("secret", 0).map(|identity| Caller::of(&identity.principal).teams.clone());
    assert_eq!(teams(), Some(strings(&["by-group", "by-name"])));
    directory.remove_team("by-name");
    assert_eq!(teams(), Some(strings(&["by-group"])));
    directory.put_team(TeamRecord { name: "others".into(), users: strings(&["ann"]), ..TeamRecord::default() });
    assert_eq!(teams(), Some(strings(&["by-group", "others"])));
    directory.put_user(UserRecord { name: "ann".into(), ..UserRecord::default() });
    assert_eq!(teams(), Some(strings(&["others"])));
    directory.put_key(key("k", "rotated", user("ann")));
    assert_eq!(teams(), None, "the old secret of a key is worth nothing");
    assert!(directory.identify("rotated", 0).is_some());
    directory.remove_key("k");
    assert!(directory.identify("rotated", 0).is_none());
}

#[test]
fn two_keys_may_hold_one_secret() {
    let directory = directory();
    directory.put_key(KeyRecord { disabled: true, ..key("first", "secret", user("ann")) });
    directory.put_key(key("second", "secret", user("ann")));
    assert!(directory.identify("secret", 0).is_some());
    directory.remove_key("second");
    assert!(directory.identify("secret", 0).is_none());
}

#[test]
fn projects_say_roles_and_namespaces() {
    let directory = directory();
    let project = |name: &str, owner, members| ProjectRecord { name: name.into(), owner, members, ..ProjectRecord::default() };
    directory.put_project(project("owned", Some(Principal::Team("by-name".into())), vec![]));
    let members = vec![
        Member { who: Principal::Everyone, role: Role::Viewer },
        Member { who: Principal::User("ann".into()), role: Role::User },
        Member { who: Principal::User("bob".into()), role: Role::Admin },
    ];
    directory.put_project(project("shared", None, members));
    directory.put_project(project("teams", None, vec![Member { who: Principal::AnyTeam, role: Role::User }]));
    directory.put_project(project("closed", None, vec![]));
    directory.put_key(key("k", "secret", user("ann")));
    let ann = directory.identify("secret", 0).unwrap();
    let loner = Caller { user: Some("loner".into()), ..Caller::default() };
    for (namespace, of_ann, of_loner, of_foreign) in [
        ("p-owned", Some(Role::Admin), None, None),
        ("p-shared", Some(Role::User), Some(Role::Viewer), None),
        ("p-teams", Some(Role::User), None, None),
        ("p-closed", None, None, None),
        ("p-none", None, None, None),
        ("shared", None, None, None),
    ] {
        assert_eq!(directory.role(namespace, Caller::of(&ann.principal)), of_ann, "{namespace}");
        assert_eq!(directory.role(namespace, &loner), of_loner, "{namespace}");
        assert_eq!(directory.role(namespace, &Caller::default()), of_foreign, "{namespace}");
    }
    let names = |identity: &Identity| directory.namespaces(identity).into_iter().map(|n| n.name).collect::<Vec<_>>();
    assert_eq!(names(&ann), ["p-owned", "p-shared", "p-teams"]);
    let masters = Arc::new(User { groups: strings(&[GROUP_MASTERS]), ..User::default() });
    assert_eq!(
        names(&Identity { user: masters, principal: apiserver_meta::Principal::default() }),
        ["p-closed", "p-owned", "p-shared", "p-teams"]
    );
    assert_eq!(directory.project_of("p-closed").as_deref(), Some("closed"));
    assert_eq!(directory.project_of("p-none"), None);
    assert_eq!(directory.project_of("closed"), None);
}

#[test]
fn role_names_are_known_in_both_forms() {
    for (name, want) in [
        ("loft-management-project-admin", Some(Role::Admin)),
        ("loft-management-project-user", Some(Role::User)),
        ("loft-management-project-viewer", Some(Role::Viewer)),
        ("admin", Some(Role::Admin)),
        ("user", Some(Role::User)),
        ("viewer", Some(Role::Viewer)),
        ("", None),
        ("Admin", None),
        ("cluster-admin", None),
        ("loft-management-admin", None),
    ] {
        assert_eq!(Role::from_cluster_role(name), want, "{name}");
    }
}

proptest! {
    /// However keys come and go, a secret is somebody's exactly while a key holds it.
    #[test]
    fn digests_follow_the_keys(steps in proptest::collection::vec((0..4usize, 0..3usize, any::<bool>()), 0..40)) {
        let directory = directory();
        let mut model: BTreeMap<String, String> = BTreeMap::new();
        for (name, secret, put) in steps {
            let (name, secret) = (format!("k{name}"), format!("s{secret}"));
            if put {
                directory.put_key(key(&name, &secret, user("ann")));
                model.insert(name, secret);
            } else {
                directory.remove_key(&name);
                model.remove(&name);
            }
            for secret in ["s0", "s1", "s2"] {
                prop_assert_eq!(directory.identify(secret, 0).is_some(), model.values().any(|held| held == secret));
            }
        }
    }
}

#[test]
fn only_what_may_change_a_decision_is_told() {
    let directory = directory();
    let project = ProjectRecord { name: "p".into(), resource_version: "1".into(), ..ProjectRecord::default() };
    let owned = ProjectRecord { owner: Some(Principal::User("ann".into())), ..project.clone() };
    let allowing = ProjectRecord { allowed_clusters: vec!["eu".into()], ..owned.clone() };
    let ann = UserRecord { name: "ann".into(), ..UserRecord::default() };
    let team = TeamRecord { name: "t".into(), ..TeamRecord::default() };
    let short = KeyRecord { lifetime: Lifetime::Until(5), ..key("k", "secret", user("ann")) };
    let mut changes = directory.changes();
    let mut told = |step: &dyn Fn()| {
        step();
        let told = changes.has_changed().unwrap();
        changes.mark_unchanged();
        told
    };
    let steps: &[(&str, &dyn Fn(), bool)] = &[
        ("a user without groups", &|| directory.put_user(ann.clone()), true),
        ("the same user", &|| directory.put_user(ann.clone()), false),
        ("a new team", &|| directory.put_team(team.clone()), true),
        ("the same team", &|| directory.put_team(team.clone()), false),
        ("no such team", &|| directory.remove_team("nobody"), false),
        ("a new project", &|| directory.put_project(project.clone()), true),
        ("a label of it", &|| directory.put_project(ProjectRecord { resource_version: "2".into(), ..project.clone() }), false),
        ("its owner", &|| directory.put_project(owned.clone()), true),
        ("the clusters that it allows", &|| directory.put_project(allowing.clone()), true),
        ("a new key", &|| directory.put_key(key("k", "secret", user("ann"))), true),
        ("the same key", &|| directory.put_key(key("k", "secret", user("ann"))), false),
        ("its end", &|| directory.put_key(short.clone()), true),
        ("no such key", &|| directory.remove_key("nothing"), false),
        ("it is gone", &|| directory.remove_key("k"), true),
        ("the project is gone", &|| directory.remove_project("p"), true),
        ("the user is gone", &|| directory.remove_user("ann"), true),
    ];
    for (what, step, want) in steps {
        assert_eq!(told(step), *want, "{what}");
    }
}

#[test]
fn the_next_expiry_lies_ahead() {
    let directory = directory();
    assert_eq!(directory.next_expiry(0), None);
    for (name, lifetime) in [("a", Lifetime::Until(20)), ("b", Lifetime::Idle { seconds: 7, since: 3 }), ("c", Lifetime::Endless)] {
        directory.put_key(KeyRecord { lifetime, ..key(name, name, user("ann")) });
    }
    for (now, want) in [(0, Some(10)), (9, Some(10)), (10, Some(20)), (20, None)] {
        assert_eq!(directory.next_expiry(now), want, "{now}");
    }
}

#[test]
fn a_key_that_may_lie_idle_lives_as_long_as_it_is_used() {
    let directory = directory();
    let idle =
        |since| KeyRecord { lifetime: Lifetime::Idle { seconds: 10, since }, last_activity: since, ..key("k", "secret", user("ann")) };
    directory.put_key(idle(100));
    assert!(directory.authenticate("secret", 109).is_some());
    assert!(directory.authenticate("secret", 118).is_some(), "its use counts at once");
    assert!(directory.identify("secret", 127).is_some(), "looking is no use");
    assert_eq!(directory.next_expiry(0), Some(128));
    assert!(directory.authenticate("secret", 128).is_none());
    assert!(directory.authenticate("secret", 120).is_some(), "what was refused was no use");

    // What is stored moves on, and nobody needs to know; what another server saw counts as well.
    let changes = directory.changes();
    directory.put_key(idle(120));
    assert_eq!(directory.last_uses(9, |_, _| true), []);
    directory.put_key(idle(125));
    assert!(!changes.has_changed().unwrap());
    assert!(directory.identify("secret", 134).is_some());
    assert!(directory.identify("secret", 135).is_none());
    directory.put_key(key("k", "another", user("ann")));
    assert!(changes.has_changed().unwrap());
}

#[test]
fn uses_that_are_not_stored_are_told_within_bounds() {
    let directory = directory();
    for name in ["a", "b", "c"] {
        directory.put_key(key(name, name, user("ann")));
    }
    assert_eq!(directory.last_uses(9, |_, _| true), []);
    assert!(directory.authenticate("a", 50).is_some() && directory.authenticate("b", 60).is_some());
    assert!(directory.authenticate("a", 40).is_some(), "a clock that goes back takes nothing back");
    let mut told = directory.last_uses(9, |_, _| true);
    told.sort();
    assert_eq!(told, [("a".to_owned(), 50), ("b".to_owned(), 60)]);
    assert_eq!(directory.last_uses(1, |_, _| true).len(), 1);
    assert_eq!(directory.last_uses(9, |_, used| used > 55), [("b".to_owned(), 60)]);
    directory.put_key(KeyRecord { last_activity: 60, ..key("b", "b", user("ann")) });
    assert_eq!(directory.last_uses(9, |_, _| true), [("a".to_owned(), 50)]);
}

#[test]
fn a_wrong_secret_costs_what_a_right_one_does() {
    let directory = directory();
    directory.put_key(key("k", "secret", user("ann")));
    directory.put_key(KeyRecord { disabled: true, ..key("off", "disabled", user("ann")) });
    let long = "x".repeat(10_000);
    for (secret, good) in [("secret", true), ("secreT", false), ("Secret", false), ("", false), ("disabled", false), (&long, false)] {
        let before = key::COMPARISONS.with(std::cell::Cell::get);
        assert_eq!(directory.identify(secret, 0).is_some(), good);
        assert_eq!(key::COMPARISONS.with(std::cell::Cell::get) - before, 1, "{secret:.10}");
    }
}

#[test]
fn the_key_that_was_used_is_known_and_its_holder_is_shared() {
    let directory = directory();
    directory.put_key(key("one", "1", user("ann")));
    directory.put_key(key("two", "2", user("ann")));
    let by = |secret: &str| directory.identify(secret, 0).unwrap();
    assert_eq!(directory.key(Caller::of(&by("1").principal).access_key.as_deref().unwrap()).unwrap().name, "one");
    assert_eq!(directory.key(Caller::of(&by("2").principal).access_key.as_deref().unwrap()).unwrap().name, "two");
    assert!(Arc::ptr_eq(&by("1").user, &by("1").user), "made once");
    let before = by("1");
    directory.put_user(UserRecord { name: "ann".into(), groups: strings(&["new"]), ..UserRecord::default() });
    assert!(!before.user.in_group("new") && by("1").user.in_group("new"));
    directory.remove_key("one");
    assert_eq!((Caller::of(&before.principal).access_key.as_deref(), directory.key("one")), (Some("one"), None));
}

#[test]
fn a_lifetime_lies_within_another_when_it_gives_no_more_time() {
    let idle = |seconds| Lifetime::Idle { seconds, since: 0 };
    for (own, bound, want) in [
        (Lifetime::Endless, Lifetime::Endless, true),
        (Lifetime::Until(50), Lifetime::Endless, true),
        (idle(5), Lifetime::Endless, true),
        (Lifetime::Endless, Lifetime::Until(50), false),
        (Lifetime::Until(50), Lifetime::Until(50), true),
        (Lifetime::Until(51), Lifetime::Until(50), false),
        (idle(1), Lifetime::Until(50), false),
        (Lifetime::Until(50), idle(10), true),
        (Lifetime::Until(51), idle(10), false),
        (idle(10), idle(10), true),
        (idle(11), idle(10), false),
        (Lifetime::Endless, idle(10), false),
    ] {
        assert_eq!(own.within(bound, 40), want, "{own:?} in {bound:?}");
    }
}

#[test]
fn whoever_is_named_is_known_by_the_name_or_is_just_named() {
    let directory = directory();
    directory.put_team(TeamRecord { name: "devs".into(), users: strings(&["ann"]), ..TeamRecord::default() });
    let named = |name: &str| directory.identity_of(User { name: name.into(), groups: strings(&["ops"]), ..User::default() });
    let ann = named("ann");
    assert_eq!(
        *Caller::of(&ann.principal),
        Caller { user: Some("ann".into()), teams: strings(&["by-group", "by-name", "devs"]), ..Caller::default() }
    );
    assert!(["ops", "loft:user:ann", "loft:team:devs"].iter().all(|group| ann.user.in_group(group)), "{:?}", ann.user.groups);
    assert_eq!(*Caller::of(&named("loft:team:devs").principal), Caller { teams: strings(&["devs"]), ..Caller::default() });
    for stranger in ["gone", "loft:team:nobody", "system:anonymous"] {
        let identity = named(stranger);
        assert_eq!((Caller::of(&identity.principal), &identity.user.groups), (&Caller::default(), &strings(&["ops"])), "{stranger}");
    }
    let only_named = Caller { user: Some("jane@corp".into()), ..Caller::default() };
    assert_eq!(*Caller::of(&named("jane@corp").principal), only_named);
    directory.put_team(TeamRecord { name: "operators".into(), groups: strings(&["x", "ops"]), ..TeamRecord::default() });
    let identity = named("jane@corp");
    assert_eq!(*Caller::of(&identity.principal), Caller { teams: strings(&["operators"]), ..only_named });
    assert_eq!(identity.user.groups, strings(&["ops", "loft:team:operators"]));
    assert!(Caller::of(&named("ann").principal).teams.contains(&"operators".to_owned()));
    assert_eq!(Caller::of(&named("loft:team:devs").principal).teams, strings(&["devs"]), "a team is in no team");
    assert_eq!(*Caller::of(&named("gone").principal), Caller::default());
    let nobody = directory.identity_of(User { groups: strings(&["system:unauthenticated"]), name: "jane@corp".into(), ..User::default() });
    assert_eq!(*Caller::of(&nobody.principal), Caller::default(), "who was not authenticated is nobody here");
}

#[test]
fn a_key_is_its_holders_and_nobody_elses_of_that_name() {
    let by_uid = |uid: &str| HolderIdentity::Uid(uid.into());
    let user_of = |uid: &str, created| UserRecord { name: "frank".into(), uid: uid.into(), created, ..UserRecord::default() };
    let team_of = |uid: &str, created| TeamRecord { name: "ops".into(), uid: uid.into(), created, ..TeamRecord::default() };
    // who holds the key; the UID of the one who bears the name now, and when they were created; whether it is theirs
    let table = [
        (by_uid("u-1"), "u-1", 5, true),
        (by_uid("u-1"), "u-2", 5, false),
        (by_uid("u-1"), "u-2", 0, false),
        (HolderIdentity::CreatedBy(5), "u-1", 4, true),
        (HolderIdentity::CreatedBy(5), "u-1", 5, true),
        (HolderIdentity::CreatedBy(5), "u-2", 6, false),
    ];
    for (holder_identity, uid, created, want) in table {
        for holder in [Holder::User("frank".into()), Holder::Team("ops".into())] {
            let directory = Directory::default();
            directory.put_key(KeyRecord { holder_identity: holder_identity.clone(), ..key("k", "secret", holder.clone()) });
            assert_eq!((directory.identify("secret", 0), directory.orphaned_keys()), (None, vec!["k".into()]), "nobody is there");
            directory.put_user(user_of(uid, created));
            directory.put_team(team_of(uid, created));
            assert_eq!(directory.identify("secret", 0).is_some(), want, "{holder:?}, {holder_identity:?}, {uid} since {created}");
            assert_eq!(directory.orphaned_keys().is_empty(), want, "{holder:?}, {holder_identity:?}, {uid} since {created}");
        }
    }
}

#[test]
fn a_key_ends_when_its_holder_becomes_another_and_so_does_what_it_opened() {
    let directory = directory();
    let frank = |uid: &str| UserRecord { name: "frank".into(), uid: uid.into(), ..UserRecord::default() };
    directory.put_user(frank("u-1"));
    directory.put_key(KeyRecord { holder_identity: HolderIdentity::Uid("u-1".into()), ..key("k", "secret", user("frank")) });
    assert!(directory.identify("secret", 0).is_some());
    let changes = directory.changes();
    // As a feed tells it that has missed the deletion.
    directory.put_user(frank("u-2"));
    assert_eq!(directory.identify("secret", 0), None);
    assert!(changes.has_changed().unwrap(), "open watches of the old one are looked at");
}

#[test]
fn who_is_a_master_by_their_object() {
    let directory = directory();
    let groups = strings(&["a", "system:masters"]);
    directory.put_user(UserRecord { name: "root".into(), groups: groups.clone(), disabled: true, ..UserRecord::default() });
    directory.put_team(TeamRecord { name: "roots".into(), groups, users: strings(&["ann"]), ..TeamRecord::default() });
    for (holder, want) in [(user("root"), true), (user("ann"), false), (user("nobody"), false), (Holder::Team("roots".into()), false)] {
        assert_eq!(directory.is_master(&holder), want, "{holder:?}");
    }
}

/// The identities that acting for others gives: by name, by team, and with the key that the caller came with.
#[test]
fn whom_callers_act_for_is_known_by_the_name() {
    let directory = Directory::default();
    let user = |name: &str, groups: &[&str], roles: &[&str]| UserRecord {
        name: name.into(),
        uid: format!("uid-of-{name}"),
        groups: groups.iter().map(|&group| group.into()).collect(),
        cluster_roles: roles.iter().map(|&role| role.into()).collect(),
        ..UserRecord::default()
    };
    directory.put_user(user("ann", &["sso"], &[]));
    directory.put_user(user("admin", &[], &[CLUSTER_ROLE_ADMIN]));
    directory.put_user(UserRecord { disabled: true, ..user("gone", &[GROUP_MASTERS], &[]) });
    directory.put_team(TeamRecord { name: "devs".into(), users: vec!["ann".into()], ..TeamRecord::default() });
    directory.put_team(TeamRecord { name: "ops".into(), cluster_roles: vec![CLUSTER_ROLE_ADMIN.into()], ..TeamRecord::default() });
    let named = |name: &str| User { name: name.into(), groups: vec![GROUP_AUTHENTICATED.into()], ..User::default() };
    let mapper: &dyn IdentityMapper = &directory;
    let nobody = Identity::of_user(User::default());
    for name in ["ann", "loft:team:devs"] {
        assert_eq!(mapper.impersonated(named(name), &nobody), mapper.known_as(name).unwrap(), "{name}");
    }
    let gone = mapper.impersonated(named("gone"), &nobody);
    assert_eq!(gone.user.groups, [GROUP_AUTHENTICATED], "who is locked out is nobody");
    for (name, want) in [("ann", false), ("admin", true), ("loft:team:ops", true), ("gone", false)] {
        assert_eq!(mapper.is_admin(&mapper.impersonated(named(name), &nobody)), want, "{name}");
    }
    assert!(mapper.is_reserved_extra(EXTRA_ACCESS_KEY) && !mapper.is_reserved_extra("other"));
    let key = Caller { user: Some("admin".into()), access_key: Some("short-lived".into()), ..Caller::default() };
    let admin = Identity { principal: apiserver_meta::Principal::new(key), ..mapper.known_as("admin").unwrap() };
    for name in ["ann", "admin", "nobody"] {
        let acting = mapper.impersonated(named(name), &admin);
        assert_eq!(Caller::of(&acting.principal).access_key.as_deref(), Some("short-lived"), "as {name}");
        assert!(acting.user.extra.is_empty(), "nothing that was said of the caller is said of {name}");
    }
}

/// Instances of which a test says which there are.
#[derive(Debug, Default)]
struct SomeInstances(std::sync::Mutex<HashMap<VirtualClusterIdentity, String>>);

impl Instances for SomeInstances {
    fn uid(&self, identity: &VirtualClusterIdentity) -> Option<String> {
        self.0.lock().unwrap().get(identity).cloned()
    }
}

fn virtual_cluster(name: &str) -> VirtualClusterIdentity {
    VirtualClusterIdentity { namespace: "p-blue".into(), name: name.into() }
}

#[test]
fn a_virtual_cluster_is_known_as_long_as_its_instance_is_there() {
    let directory = directory();
    let holder = Holder::VirtualCluster(virtual_cluster("one"));
    let noted = |uid: &str| KeyRecord { holder_identity: HolderIdentity::Uid(uid.into()), ..key("k", "secret", holder.clone()) };
    directory.put_key(noted("u-1"));
    assert_eq!(directory.identify("secret", 0), None, "nobody says which instances there are");
    let instances = Arc::new(SomeInstances::default());
    directory.set_instances(Arc::<SomeInstances>::clone(&instances));
    assert_eq!(directory.identify("secret", 0), None, "there is none");
    let set = |uid: &str| instances.0.lock().unwrap().insert(virtual_cluster("one"), uid.into());
    set("u-1");
    let identity = directory.identify("secret", 0).unwrap();
    assert_eq!((identity.user.name.as_str(), identity.user.uid.as_str()), ("loft:vcluster:p-blue:one", "u-1"));
    assert_eq!(identity.user.groups, ["system:authenticated", "loft:authenticated"]);
    let caller = Caller { virtual_cluster: Some(virtual_cluster("one")), access_key: Some("k".into()), ..Caller::default() };
    assert_eq!(*Caller::of(&identity.principal), caller);
    set("u-2");
    assert_eq!(directory.identify("secret", 0), None, "another one of that name");
    directory.put_key(KeyRecord { holder_identity: HolderIdentity::CreatedBy(i64::MAX), ..noted("") });
    assert_eq!(directory.identify("secret", 0), None, "a key that does not say which");
}

#[test]
fn who_hears_that_an_instance_has_gone() {
    let directory = directory();
    let holder = |name: &str| Holder::VirtualCluster(virtual_cluster(name));
    for (name, held_by) in [("a", holder("one")), ("b", holder("two")), ("c", holder("one")), ("d", user("ann"))] {
        directory.put_key(key(name, name, held_by));
    }
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(directory.keys_of_virtual_clusters()), ["a", "b", "c"]);
    assert_eq!(directory.orphaned_keys(), [""; 0], "they are looked for by their instances");
    let mut changes = directory.changes();
    changes.mark_unchanged();
    assert_eq!(directory.holder_gone(&holder("three")), [""; 0]);
    assert!(!changes.has_changed().unwrap(), "it had no keys");
    assert_eq!(sorted(directory.holder_gone(&holder("one"))), ["a", "c"]);
    assert!(changes.has_changed().unwrap(), "open watches of it are looked at");
}

#[test]
fn room_for_a_key_is_made_by_those_that_are_not_used() {
    let directory = directory();
    let holder = Holder::VirtualCluster(virtual_cluster("one"));
    // when it was made, and used; 0: never
    for (name, made, used) in
        [("old", 10, 0), ("older", 5, 0), ("in-use", 1, 4_000), ("used-once", 2, 20), ("fresh", 4_500, 0), ("newer", 4_900, 0)]
    {
        let lifetime = Lifetime::Idle { seconds: 9_999, since: made.max(used) };
        directory.put_key(KeyRecord { lifetime, last_activity: used, ..key(name, name, holder.clone()) });
    }
    directory.put_key(key("another's", "x", Holder::VirtualCluster(virtual_cluster("two"))));
    let order = ["older", "old", "used-once", "in-use", "fresh", "newer"];
    for most in 0..=order.len() + 1 {
        assert_eq!(directory.least_used_keys(&holder, most, 5_000), order[..order.len().saturating_sub(most)], "{most}");
    }
    let instances = SomeInstances(HashMap::from([(virtual_cluster("one"), "u".into())]).into());
    directory.set_instances(Arc::new(instances));
    let noted = HolderIdentity::Uid("u".into());
    directory.put_key(KeyRecord { holder_identity: noted, ..key("older", "older", holder.clone()) });
    assert!(directory.authenticate("older", 4_950).is_some());
    assert_eq!(directory.least_used_keys(&holder, 0, 5_000).last().map(String::as_str), Some("older"), "its use counts at once");
}
