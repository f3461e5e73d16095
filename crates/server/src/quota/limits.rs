//! What a project's quotas limit.

use super::facts::{Facts, Owner};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The resource that is counted, as quotas name it. What follows it narrows what counts.
const RESOURCE: &str = "virtualclusterinstances";

/// `spec.quotas` of a project, as it is stored. Limits on resources that are not served here are kept and never asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Quotas {
    /// For the whole project.
    pub(crate) project: BTreeMap<String, String>,
    /// For each user, and for each team.
    pub(crate) user: BTreeMap<String, String>,
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit<'a> {
    pub(crate) scope: Scope,
    /// The key in `spec.quotas`.
    pub(crate) name: &'a str,
    expression: Expression<'a>,
    /// The number, as text: it was validated when it was written, but perhaps by somebody else.
    pub(crate) max: &'a str,
}

/// Whose instances are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of the project's.
    Project,
    /// Those of one owner, in the project. What has no owner is not counted.
    Owner,
}

/// Which instances are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expression<'a> {
    All,
    /// Those that do not sleep.
    Active,
    /// Those that follow a template.
    Template(&'a str),
}

impl Quotas {
    /// The limits on what is served here.
    pub(crate) fn limits(&self) -> impl Iterator<Item = Limit<'_>> {
        let scopes = [(Scope::Project, &self.project), (Scope::Owner, &self.user)];
        let entries = scopes.into_iter().flat_map(|(scope, limits)| limits.iter().map(move |(name, max)| (scope, name, max)));
        entries.filter_map(|(scope, name, max)| Some(Limit { scope, name, expression: Expression::parse(name)?, max }))
    }
}

impl<'a> Expression<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        match name.strip_prefix(RESOURCE)? {
            "" => Some(Self::All),
            ".active" => Some(Self::Active),
            rest => rest.strip_prefix(".template=").map(Self::Template),
        }
    }
}

impl Limit<'_> {
    /// Whether an instance is among those that this limit counts, for its own owner where it counts by owner.
    pub(crate) fn counts(&self, facts: &Facts<'_>) -> bool {
        if self.scope == Scope::Owner && facts.owner.is_none() {
            return false;
        }
        match self.expression {
            Expression::All => true,
            Expression::Active => facts.is_active(),
            Expression::Template(name) => facts.template == name,
        }
    }

    /// Whether two instances that it counts are counted together.
    pub(crate) fn same_count(&self, one: &Facts<'_>, other: &Facts<'_>) -> bool {
        self.scope == Scope::Project || one.owner == other.owner
    }

    /// What a refusal says of it, for an instance of this owner.
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
