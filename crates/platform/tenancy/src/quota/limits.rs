//! The limits that a project's quotas set.

use super::facts::{Facts, Owner};
use vci_management::project::{Counted, Quotas};

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit<'a> {
    pub(crate) scope: Scope,
    /// The key in `spec.quotas`.
    pub(crate) name: &'a str,
    counted: Counted<'a>,
    /// The number, as text: it was validated when it was written, but perhaps by somebody else.
    pub(crate) max: &'a str,
}

/// The instances that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of the project's.
    Project,
    /// Those of one owner, in the project. What has no owner is not counted.
    Owner,
}

/// The limits on what is served here.
pub(crate) fn limits(quotas: &Quotas) -> impl Iterator<Item = Limit<'_>> {
    let scopes = [(Scope::Project, &quotas.project), (Scope::Owner, &quotas.user)];
    let entries = scopes.into_iter().flat_map(|(scope, limits)| limits.iter().map(move |(name, max)| (scope, name, max)));
    entries.filter_map(|(scope, name, max)| Some(Limit { scope, name, counted: Counted::parse(name)?, max }))
}

impl Limit<'_> {
    /// Whether an instance is among those that this limit counts, for its own owner where it counts by owner.
    pub(crate) fn counts(&self, facts: &Facts<'_>) -> bool {
        if self.scope == Scope::Owner && facts.owner.is_none() {
            return false;
        }
        match self.counted {
            Counted::All => true,
            Counted::Active => facts.is_active(),
            Counted::Template(name) => facts.template == name,
        }
    }

    /// Whether two instances that it counts are counted together.
    pub(crate) fn same_count(&self, one: &Facts<'_>, other: &Facts<'_>) -> bool {
        self.scope == Scope::Project || one.owner == other.owner
    }

    /// The text of a refusal by this limit, for an instance of this owner.
    pub(crate) fn refusal(&self, facts: &Facts<'_>) -> String {
        let scope = match (self.scope, facts.owner) {
            (Scope::Project, _) => "project",
            (Scope::Owner, Some(Owner::Team(_))) => "per-team",
            (Scope::Owner, _) => "per-user",
        };
        match self.number() {
            Some(max) => format!("{scope} {} limit of {max} would be exceeded", self.name),
            None => format!("{scope} {} limit {:?} is not a whole number", self.name, self.max),
        }
    }

    /// How many there may be; `None` for what is no number, which allows nothing more.
    pub(crate) fn number(&self) -> Option<u64> {
        self.max.parse().ok()
    }
}
