//! Which objects of a collection a request reaches: the authorizer's answer, carried to where objects are known.
//!
//! A filter decides by a namespace and by [`Facts`], small values that a kind keeps beside an object's bytes, so that lists and
//! watches leave out what a caller may not see without decoding anything. Refused: which roles exist and what they allow; that
//! is for whoever makes the filter.

use crate::opaque::Opaque;
use std::any::Any;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// Facts about one object, of a type that its kind and the authorizers agree on. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Facts(Opaque);

impl Eq for Facts {}

impl Facts {
    /// Facts of this type.
    pub fn new(facts: impl Any + fmt::Debug + PartialEq + Hash + Send + Sync) -> Self {
        Self(Opaque::new(facts))
    }

    /// The facts, when they are of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.get()
    }
}

/// Which objects of a collection a request reaches.
#[derive(Clone, Debug, Default)]
pub enum ObjectFilter {
    /// Every object.
    #[default]
    All,
    /// The objects that this filter allows.
    Access(Arc<dyn AccessFilter>),
}

/// A filter that an authorizer makes for one request.
pub trait AccessFilter: fmt::Debug + Send + Sync + 'static {
    /// Returns the caller's scope in a namespace, before any object is checked. Called for each namespace, and again when access may
    /// have changed: one filter serves a list over all namespaces, and a watch for hours.
    fn scope(&self, namespace: &str) -> NamespaceScope;

    /// Whether an object of these facts is allowed, in a namespace whose scope is [`NamespaceScope::Filtered`].
    fn allows(&self, facts: &Facts) -> bool;

    /// The text of a 403 about an object that is not allowed, for example `User "u" cannot get resource "r" in ...`.
    fn denial(&self) -> &str;
}

/// The scope of a caller in one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceScope {
    /// Every object.
    All,
    /// The objects whose facts the filter allows.
    Filtered,
    /// Nothing.
    Nothing,
}

impl ObjectFilter {
    /// The text of a 403 about an object that does not exist, where it must not be told from one that the caller may not see:
    /// outside of namespaces, whose objects belong to many who know nothing of each other, and in namespaces that the caller
    /// does not reach. A caller who reaches a namespace is told what is missing in it.
    pub fn denial_of_absent(&self, namespace: &str) -> Option<&str> {
        let Self::Access(filter) = self else { return None };
        let hidden = match filter.scope(namespace) {
            NamespaceScope::All => false,
            NamespaceScope::Filtered => namespace.is_empty(),
            NamespaceScope::Nothing => true,
        };
        hidden.then(|| filter.denial())
    }

    /// Whether the filter allows an object of these facts in this namespace.
    pub fn allows(&self, namespace: &str, facts: &Facts) -> bool {
        match self {
            Self::All => true,
            Self::Access(filter) => filter.scope(namespace).allows(&**filter, facts),
        }
    }
}

impl NamespaceScope {
    /// Whether a filter that has this scope in a namespace allows an object of these facts there.
    pub fn allows(self, filter: &dyn AccessFilter, facts: &Facts) -> bool {
        match self {
            Self::All => true,
            Self::Filtered => filter.allows(facts),
            Self::Nothing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(NamespaceScope);

    impl AccessFilter for Fixed {
        fn scope(&self, _: &str) -> NamespaceScope {
            self.0
        }

        fn allows(&self, facts: &Facts) -> bool {
            facts.get::<u8>() == Some(&1)
        }

        fn denial(&self) -> &str {
            "no"
        }
    }

    fn filter(scope: NamespaceScope) -> ObjectFilter {
        ObjectFilter::Access(Arc::new(Fixed(scope)))
    }

    #[test]
    fn what_is_missing_is_told_to_those_who_reach_the_namespace() {
        for (filter, whole_cluster, namespace) in [
            (ObjectFilter::All, None, None),
            (filter(NamespaceScope::All), None, None),
            (filter(NamespaceScope::Filtered), Some("no"), None),
            (filter(NamespaceScope::Nothing), Some("no"), Some("no")),
        ] {
            assert_eq!((filter.denial_of_absent(""), filter.denial_of_absent("a")), (whole_cluster, namespace), "{filter:?}");
        }
    }

    #[test]
    fn facts_decide_where_the_namespace_does_not() {
        let (mine, other, none) = (Facts::new(1_u8), Facts::new(1_u16), Facts::default());
        for (filter, want) in [
            (ObjectFilter::All, [true; 3]),
            (filter(NamespaceScope::All), [true; 3]),
            (filter(NamespaceScope::Filtered), [true, false, false]),
            (filter(NamespaceScope::Nothing), [false; 3]),
        ] {
            assert_eq!([&mine, &other, &none].map(|facts| filter.allows("a", facts)), want, "{filter:?}");
        }
    }
}
