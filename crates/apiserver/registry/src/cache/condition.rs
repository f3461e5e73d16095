//! Conditions of selectors that can be looked up: whatever is selected meets each of them.
//!
//! Looked up are labels that exist or have one of some values, selectable fields that have a value, and names. What asks for an
//! absence (`!=`, `notin`, `!key`) or for the empty value of a field is no condition here: nearly everything would meet it.

use crate::item::Item;
use apiserver_meta::Descriptor;
use apiserver_meta::selector::{FieldOperator, FieldSelector, FieldTerm, LabelOperator, LabelRequirement, LabelSelector};

/// A condition that everything selected meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The name, in any namespace.
    Name(String),
    /// A selectable field, by its place in the descriptor, and its value.
    Field { field: usize, value: String },
    /// A label, and its value where that is one of these; without any it only has to be there.
    Label { key: String, values: Vec<String> },
}

impl Condition {
    /// The conditions of selectors.
    pub(super) fn of(descriptor: &Descriptor, labels: &LabelSelector, fields: &FieldSelector) -> Vec<Self> {
        let fields = fields.terms().iter().filter_map(|term| Self::of_field(descriptor, term));
        fields.chain(labels.requirements().iter().filter_map(Self::of_label)).collect()
    }

    fn of_field(descriptor: &Descriptor, term: &FieldTerm) -> Option<Self> {
        if term.operator != FieldOperator::Equals || term.value.is_empty() {
            return None;
        }
        let value = term.value.clone();
        if term.field == "metadata.name" {
            return Some(Self::Name(value));
        }
        let field = descriptor.selectable_fields.iter().position(|field| field.label == term.field)?;
        Some(Self::Field { field, value })
    }

    fn of_label(requirement: &LabelRequirement) -> Option<Self> {
        let values = match requirement.operator {
            LabelOperator::In | LabelOperator::Equals | LabelOperator::DoubleEquals => requirement.values.clone(),
            LabelOperator::Exists | LabelOperator::GreaterThan | LabelOperator::LessThan => Vec::new(),
            LabelOperator::NotIn | LabelOperator::NotEquals | LabelOperator::DoesNotExist => return None,
        };
        Some(Self::Label { key: requirement.key.clone(), values })
    }

    /// How little may meet it, as far as can be said without looking: the least is the best to be found by.
    pub(super) fn breadth(&self) -> usize {
        match self {
            Self::Name(_) | Self::Field { .. } => 1,
            Self::Label { values, .. } if values.is_empty() => usize::MAX,
            Self::Label { values, .. } => values.len(),
        }
    }

    /// Whether an object meets it.
    #[cfg(test)]
    pub(super) fn is_met_by(&self, item: &Item) -> bool {
        match self {
            Self::Name(name) => item.name() == name,
            Self::Field { field, value } => item.fields.get(*field).is_some_and(|found| **found == **value),
            Self::Label { key, values } => {
                label(item, key).is_some_and(|found| values.is_empty() || values.iter().any(|value| value == found))
            }
        }
    }
}

/// The value of an item's label.
pub(super) fn label<'a>(item: &'a Item, key: &str) -> Option<&'a str> {
    let at = item.labels.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
    item.labels.get(at).map(|(_, value)| &**value)
}
