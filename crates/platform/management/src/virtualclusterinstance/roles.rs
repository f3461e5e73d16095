//! Roles inside of a virtual cluster, and as whom its users are known there.
//!
//! A template (`access`) and the instance (`spec.extraAccessRules`) give cluster roles inside to users and teams. The proxy reaches the
//! virtual cluster as its administrator and says for whom it acts: by the user's name, and by a group for each role
//! ([`ROLE_GROUP_PREFIX`]), which the controller binds to the ClusterRole of that name inside. So sharing takes effect with the next
//! request. Pure rules; refused: who may use an instance at all.
//!
//! | who | roles |
//! |---|---|
//! | administrators of the platform and of the project | `cluster-admin`: they can change every rule |
//! | those whom rules name, the owner among them | the roles of all rules that name them or a team of theirs, or `*` |
//! | an owner whom no rule names | `cluster-admin` |
//! | others whom no rule names | `access.defaultClusterRole`; where it is empty, `cluster-admin` |
//!
//! Rules of a template bind owners too, because templates are written for those who will own what is made from them.

use crate::access::Caller;
use crate::types::{InstanceAccess, InstanceAccessRule};
use std::collections::BTreeSet;

/// The prefix of the group that stands for a cluster role inside a virtual cluster; the role's name follows.
pub const ROLE_GROUP_PREFIX: &str = "loft:clusterrole:";
/// The cluster role that may do everything.
pub const CLUSTER_ADMIN: &str = "cluster-admin";
/// The group that stands for [`CLUSTER_ADMIN`]: every Kubernetes API knows it without a binding.
pub const GROUP_MASTERS: &str = "system:masters";
/// The group of everybody who is known, the only one of Kubernetes' own that callers keep inside a virtual cluster.
const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// What users of the host cluster are called inside a virtual cluster, whose own users of such a name are others.
const HOST_USER_PREFIX: &str = "loft:host:";

/// What a caller is to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// May do everything with it by a role in the platform or in the project.
    Administrator,
    /// Owns it, alone or through a team.
    Owner,
    /// May use it.
    User,
}

/// The cluster roles of a caller inside a virtual cluster: one at least.
pub fn cluster_roles(
    access: Option<&InstanceAccess>,
    extra: &[InstanceAccessRule],
    caller: &Caller,
    relation: Relation,
) -> BTreeSet<String> {
    let admin = || BTreeSet::from([CLUSTER_ADMIN.to_owned()]);
    if relation == Relation::Administrator {
        return admin();
    }
    let rules = access.map(|access| access.rules.as_slice()).unwrap_or_default().iter().chain(extra);
    let roles: BTreeSet<String> = rules.filter(|rule| names(rule, caller)).map(|rule| rule.cluster_role.clone()).collect();
    let roles: BTreeSet<String> = roles.into_iter().filter(|role| !role.is_empty()).collect();
    if !roles.is_empty() {
        return roles;
    }
    match (relation, access.map(|access| access.default_cluster_role.as_str())) {
        (Relation::Administrator | Relation::Owner, _) | (Relation::User, None | Some("")) => admin(),
        (Relation::User, Some(role)) => BTreeSet::from([role.to_owned()]),
    }
}

/// All cluster roles that rules or the default give to anybody: those that the controller binds.
pub fn bound_roles(access: Option<&InstanceAccess>, extra: &[InstanceAccessRule]) -> BTreeSet<String> {
    let rules = access.map(|access| access.rules.as_slice()).unwrap_or_default().iter().chain(extra);
    let default = access.map(|access| access.default_cluster_role.clone());
    let roles = rules.map(|rule| rule.cluster_role.clone()).chain(default);
    roles.filter(|role| !role.is_empty() && role != CLUSTER_ADMIN).collect()
}

/// The name under which a user acts inside a virtual cluster. Names that Kubernetes keeps for itself mean somebody else there.
pub fn user_inside(name: &str) -> String {
    if name.starts_with("system:") { format!("{HOST_USER_PREFIX}{name}") } else { name.to_owned() }
}

/// The groups with which a caller of these groups and roles acts inside a virtual cluster.
pub fn groups_inside(groups: &[String], roles: &BTreeSet<String>) -> Vec<String> {
    let kept = groups.iter().filter(|group| {
        let is_reserved = group.starts_with("system:") || group.starts_with(ROLE_GROUP_PREFIX);
        !is_reserved || *group == GROUP_AUTHENTICATED
    });
    let mut inside: Vec<String> = kept.cloned().collect();
    if !inside.iter().any(|group| group == GROUP_AUTHENTICATED) {
        inside.push(GROUP_AUTHENTICATED.into());
    }
    inside.extend(roles.iter().map(|role| role_group(role)));
    inside
}

/// The group that stands for a cluster role.
pub fn role_group(role: &str) -> String {
    if role == CLUSTER_ADMIN { GROUP_MASTERS.to_owned() } else { format!("{ROLE_GROUP_PREFIX}{role}") }
}

fn names(rule: &InstanceAccessRule, caller: &Caller) -> bool {
    let among = |list: &[String], name: &str| list.iter().any(|one| one == "*" || one == name);
    let user = caller.user.as_deref().is_some_and(|user| among(&rule.users, user));
    user || caller.teams.iter().any(|team| among(&rule.teams, team))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(users: &[&str], teams: &[&str], role: &str) -> InstanceAccessRule {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        InstanceAccessRule { users: list(users), teams: list(teams), cluster_role: role.into() }
    }

    fn caller(user: Option<&str>, teams: &[&str]) -> Caller {
        Caller { user: user.map(str::to_owned), teams: teams.iter().map(|team| (*team).to_owned()).collect(), ..Caller::default() }
    }

    #[test]
    fn roles_of_rules_then_the_default_then_all() {
        use Relation::{Administrator, Owner, User};
        let access = |rules: Vec<InstanceAccessRule>, default: &str| Some(InstanceAccess { rules, default_cluster_role: default.into() });
        let ann = || caller(Some("ann"), &["red"]);
        for (access, extra, caller, relation, want) in [
            (None, vec![], ann(), User, &["cluster-admin"][..]),
            (access(vec![], ""), vec![], ann(), User, &["cluster-admin"]),
            (access(vec![], "view"), vec![], ann(), User, &["view"]),
            (access(vec![], "view"), vec![], ann(), Owner, &["cluster-admin"]),
            (access(vec![], "view"), vec![], ann(), Administrator, &["cluster-admin"]),
            (access(vec![rule(&["ann"], &[], "edit")], "view"), vec![], ann(), User, &["edit"]),
            (access(vec![rule(&["ann"], &[], "edit")], "view"), vec![], ann(), Owner, &["edit"]),
            (access(vec![rule(&["ann"], &[], "edit")], "view"), vec![], ann(), Administrator, &["cluster-admin"]),
            (access(vec![rule(&["bob"], &[], "edit")], "view"), vec![], ann(), User, &["view"]),
            (access(vec![rule(&["*"], &[], "edit")], "view"), vec![], ann(), User, &["edit"]),
            (access(vec![rule(&[], &["red"], "edit")], "view"), vec![], ann(), User, &["edit"]),
            (access(vec![rule(&[], &["*"], "edit")], "view"), vec![], ann(), User, &["edit"]),
            (access(vec![rule(&[], &["*"], "edit")], "view"), vec![], caller(Some("ann"), &[]), User, &["view"]),
            (access(vec![rule(&["*"], &[], "edit")], "view"), vec![], caller(None, &["red"]), User, &["view"]),
            (access(vec![rule(&["red"], &["ann"], "edit")], "view"), vec![], ann(), User, &["view"]),
            (
                access(vec![rule(&["ann"], &[], "edit")], ""),
                vec![rule(&["ann"], &[], "view"), rule(&[], &["red"], "edit")],
                ann(),
                User,
                &["edit", "view"],
            ),
            (None, vec![rule(&["ann"], &[], "")], ann(), User, &["cluster-admin"]),
            (access(vec![rule(&["ann"], &[], "")], "view"), vec![], ann(), User, &["view"]),
            (access(vec![], "view"), vec![], caller(None, &[]), User, &["view"]),
        ] {
            let roles = cluster_roles(access.as_ref(), &extra, &caller, relation);
            assert_eq!(roles.iter().collect::<Vec<_>>(), want, "{access:?} {extra:?} {caller:?} {relation:?}");
        }
    }

    #[test]
    fn groups_of_kubernetes_and_of_roles_are_nobodys_to_bring() {
        let groups: Vec<String> =
            ["system:masters", "system:nodes", "system:authenticated", "loft:user:ann", "loft:clusterrole:cluster-admin", "dev"]
                .map(str::to_owned)
                .into();
        let roles = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(groups_inside(&groups, &roles(&["view"])), ["system:authenticated", "loft:user:ann", "dev", "loft:clusterrole:view"]);
        assert_eq!(
            groups_inside(&[], &roles(&["cluster-admin", "view"])),
            ["system:authenticated", "system:masters", "loft:clusterrole:view"]
        );
    }

    #[test]
    fn users_of_the_host_are_nobody_that_kubernetes_knows() {
        assert_eq!(user_inside("ann"), "ann");
        assert_eq!(user_inside("loft:team:red"), "loft:team:red");
        assert_eq!(user_inside("system:serviceaccount:kube-system:x"), "loft:host:system:serviceaccount:kube-system:x");
    }

    #[test]
    fn roles_that_need_a_binding() {
        let access = InstanceAccess {
            rules: vec![rule(&["a"], &[], "view"), rule(&["b"], &[], "cluster-admin")],
            default_cluster_role: "edit".into(),
        };
        let roles = bound_roles(Some(&access), &[rule(&["c"], &[], "view"), rule(&["c"], &[], "x")]);
        assert_eq!(roles.into_iter().collect::<Vec<_>>(), ["edit", "view", "x"]);
        assert!(bound_roles(None, &[]).is_empty());
    }
}
