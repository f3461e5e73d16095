//! Names and labels on the host cluster.
//!
//! Whatever a user has chosen (names of instances, projects and users) becomes the name of something here only in a form that every
//! kind of object accepts. Where a name has to be changed for that, a hash of the whole keeps two of them apart.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use vci_management::types::UserOrTeam;

/// The field manager of everything that the controller applies.
pub(crate) const FIELD_MANAGER: &str = "loft";
/// What keeps an instance, and what is made of it, from being deleted.
pub(crate) const NON_DELETABLE: &str = "loft.sh/non-deletable";
/// On an instance: whoever sets it deploys by other means than the controller's.
pub(crate) const SKIP_DEPLOY: &str = "loft.sh/skip-helm-deploy";
/// What keeps an instance until its virtual cluster is gone.
pub(crate) const FINALIZER: &str = "loft.sh/cleanup";
/// On a namespace: this controller made it, and takes it away again.
pub(crate) const CREATED_BY: &str = "loft.sh/created-by";
/// The controller, as the value of [`CREATED_BY`] and as the reporter of events.
pub(crate) const CONTROLLER: &str = "vci-controller";

/// Labels of a host namespace that say whose it is.
pub(crate) mod label {
    /// The instance.
    pub(crate) const INSTANCE_NAME: &str = "loft.sh/vcluster-instance-name";
    /// The instance's namespace.
    pub(crate) const INSTANCE_NAMESPACE: &str = "loft.sh/vcluster-instance-namespace";
    /// The instance's project.
    pub(crate) const INSTANCE_PROJECT: &str = "loft.sh/vcluster-instance-project";
    /// The project.
    pub(crate) const PROJECT: &str = "loft.sh/project";
    /// The owner, if that is a user.
    pub(crate) const USER: &str = "loft.sh/user";
    /// The owner, if that is a team.
    pub(crate) const TEAM: &str = "loft.sh/team";
}

/// The longest name of a namespace, and the longest value of a label.
const LONGEST_LABEL: usize = 63;
/// The longest name of a release: Helm takes 53 characters, and a StatefulSet adds eleven to it in a label of its pods.
const LONGEST_RELEASE: usize = 50;
/// A hash of 20 bits, with the hyphen before it.
const HASH: usize = 6;

/// The namespace of an instance that names none: `loft-PROJECT-v-INSTANCE`. Where that could be the namespace of a project, which begins
/// with this prefix, it begins with another word.
pub(crate) fn host_namespace(project: &str, instance: &str, project_prefix: &str) -> String {
    let name = format!("loft-{project}-v-{instance}");
    if name.starts_with(project_prefix) {
        return dns_label(&format!("vcluster-{project}-v-{instance}"), &format!("{project}/{instance}"), LONGEST_LABEL, true);
    }
    // Two pairs could become the same name.
    let ambiguous = project.contains("-v-") || instance.contains("-v-") || project.ends_with("-v") || instance.starts_with("v-");
    dns_label(&name, &format!("{project}/{instance}"), LONGEST_LABEL, ambiguous)
}

/// The release of an instance that names none: the instance's name.
pub(crate) fn release(instance: &str) -> String {
    dns_label(instance, instance, LONGEST_RELEASE, false)
}

/// Whether something can be the name of a release.
pub(crate) fn is_release(name: &str) -> bool {
    name.len() <= 53 && apiserver_meta::validation::is_dns1123_label(name).is_empty()
}

/// A text as the value of a label: itself where it can be one.
pub(crate) fn label_value(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |c: char| c.is_ascii_alphanumeric();
    if text.len() <= LONGEST_LABEL && text.chars().all(allowed) && text.starts_with(ends) && text.ends_with(ends) {
        return text.to_owned();
    }
    let cleaned: String = text.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
    let kept: String = cleaned.trim_start_matches(|c| !ends(c)).chars().take(LONGEST_LABEL - HASH).collect();
    format!("{}-{}", kept.trim_end_matches(|c| !ends(c)), hash(text)).trim_start_matches('-').to_owned()
}

/// The labels that say whose a host namespace is.
pub(crate) fn ownership(project: &str, namespace: &str, instance: &str) -> BTreeMap<String, String> {
    [(label::INSTANCE_NAME, instance), (label::INSTANCE_NAMESPACE, namespace), (label::INSTANCE_PROJECT, project)]
        .map(|(key, value)| (key.to_owned(), label_value(value)))
        .into()
}

/// The labels of a host namespace by which others find what belongs to a project and to whom.
pub(crate) fn affiliation(project: &str, owner: Option<&UserOrTeam>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([(label::PROJECT.to_owned(), label_value(project))]);
    for (key, name) in owner.iter().flat_map(|owner| [(label::USER, &owner.user), (label::TEAM, &owner.team)]) {
        if !name.is_empty() {
            labels.insert(key.into(), label_value(name));
        }
    }
    labels
}

/// A name as a DNS label of at most so many characters, with a hash of `whole` where anything had to be changed.
fn dns_label(name: &str, whole: &str, longest: usize, ambiguous: bool) -> String {
    let label: String = name.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    if !ambiguous && label == name && label.len() <= longest {
        return label;
    }
    let kept: String = label.chars().take(longest - HASH).collect();
    format!("{}-{}", kept.trim_end_matches('-'), hash(whole))
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(3).map(|byte| format!("{byte:02x}")).collect::<String>().chars().take(HASH - 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use apiserver_meta::validation::is_dns1123_label;

    #[test]
    fn namespaces_and_releases_are_what_people_expect_where_that_can_be() {
        assert_eq!(host_namespace("blue", "my-vc", "loft-p-"), "loft-blue-v-my-vc");
        assert_eq!(release("my-vc"), "my-vc");
        assert_eq!(label_value("ann"), "ann");
        assert_eq!(label_value("Ann.B_c"), "Ann.B_c");
    }

    #[test]
    fn whatever_they_are_called_no_two_instances_have_one_namespace_and_every_name_is_valid() {
        let long = "x".repeat(200);
        let names = ["p", "p-a", "a", "b", "a-v-b", "b-v-a", "v-a", "a-v", "a.b", "a-b", "v", long.as_str(), &long[1..]];
        let mut seen = std::collections::BTreeMap::new();
        for project in names {
            for instance in names {
                let namespace = host_namespace(project, instance, "loft-p-");
                assert!(!namespace.starts_with("loft-p-"), "{namespace}");
                assert!(is_dns1123_label(&namespace).is_empty(), "{namespace}");
                if let Some(other) = seen.insert(namespace.clone(), (project, instance)) {
                    panic!("{namespace} is of {other:?} and {:?}", (project, instance));
                }
                assert!(is_release(&release(instance)) && release(instance).len() <= LONGEST_RELEASE, "{}", release(instance));
            }
        }
    }

    #[test]
    fn any_text_becomes_the_value_of_a_label() {
        let long = "é".repeat(100);
        for text in ["ann@example.com", "-ann-", "system:serviceaccount:a:b", "é", "...", long.as_str()] {
            let value = label_value(text);
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            assert!(value.len() <= LONGEST_LABEL && ends(value.chars().next()) && ends(value.chars().last()), "{text}: {value}");
            assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{text}: {value}");
        }
        assert_ne!(label_value("ann@example.com"), label_value("ann:example.com"));
    }
}
