//! How a project and its namespace are named after each other. Nothing else takes such names apart or puts them together.

use crate::directory::DEFAULT_NAMESPACE_PREFIX;
use std::fmt;
use std::sync::Arc;

/// The prefix of project namespaces: the namespace of project P is the prefix followed by P.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamespacePrefix(Arc<str>);

impl NamespacePrefix {
    pub(crate) fn new(prefix: &str) -> Self {
        Self(prefix.into())
    }

    /// The namespace of a project.
    pub(crate) fn namespace_of(&self, project: &str) -> String {
        format!("{self}{project}")
    }

    /// The name of the project whose namespace this is, or would be; `None` for a namespace that can be no project's.
    pub(crate) fn project_of<'a>(&self, namespace: &'a str) -> Option<&'a str> {
        namespace.strip_prefix(&*self.0).filter(|project| !project.is_empty())
    }
}

impl Default for NamespacePrefix {
    fn default() -> Self {
        Self::new(DEFAULT_NAMESPACE_PREFIX)
    }
}

impl fmt::Display for NamespacePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_without_a_project_is_none_of_a_project() {
        let prefix = NamespacePrefix::new("p-");
        assert_eq!(prefix.project_of(&prefix.namespace_of("blue")), Some("blue"));
        assert_eq!((prefix.project_of("p-"), prefix.project_of("blue"), prefix.project_of("")), (None, None, None));
        assert_eq!(NamespacePrefix::new("").project_of("blue"), Some("blue"));
    }
}
