//! The filter of one list or watch: an extent, selectors and access.

use super::condition::Condition;
use super::event::Event;
use super::objects::Objects;
use crate::frame::EventKind;
use crate::item::Item;
use apiserver_meta::options::ListOptions;
use apiserver_meta::selector::{FieldSelector, LabelSelector};
use apiserver_meta::{AccessFilter, Descriptor, NamespaceScope, ObjectFilter, Scope};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which part of the collection is looked at. Watchers are found by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    All,
    /// One namespace.
    Namespace(String),
    /// One object, by path.
    Object(String),
    /// Nothing: the selectors contradict the namespace.
    Nothing,
}

/// The part of a collection that one list or watch sees.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) extent: Extent,
    /// The prefix of the paths it looks at.
    prefix: String,
    /// The conditions of the selectors that can be looked up.
    conditions: Vec<Condition>,
    descriptor: &'static Descriptor,
    labels: LabelSelector,
    fields: FieldSelector,
    view: ObjectFilter,
    /// The caller's scope in each namespace seen so far. Held on to, so that what was shown is known when it
    /// changes.
    scopes: Mutex<HashMap<String, NamespaceScope>>,
}

/// A namespace in which the caller's scope is no longer what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScopeChange {
    pub(super) namespace: String,
    pub(super) was: NamespaceScope,
    pub(super) now: NamespaceScope,
}

impl Filter {
    /// The filter of a list or watch of a namespace, or of all when it is empty.
    pub(super) fn new(descriptor: &'static Descriptor, namespace: &str, options: &ListOptions, view: &ObjectFilter) -> Self {
        let extent = extent(descriptor, namespace, &options.fields);
        Self {
            prefix: match &extent {
                Extent::All | Extent::Nothing => String::new(),
                Extent::Namespace(namespace) => format!("{namespace}/"),
                Extent::Object(path) => path.clone(),
            },
            conditions: match extent {
                Extent::All | Extent::Namespace(_) => Condition::of(descriptor, &options.labels, &options.fields),
                Extent::Object(_) | Extent::Nothing => Vec::new(),
            },
            extent,
            descriptor,
            labels: options.labels.clone(),
            fields: options.fields.clone(),
            view: view.clone(),
            scopes: Mutex::default(),
        }
    }

    /// The prefix of the paths it looks at.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The conditions that every object it shows meets, as far as they can be looked up.
    pub(super) fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Whether it shows the whole of its extent: then what is left can be counted.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.view, ObjectFilter::All)
            && !matches!(self.extent, Extent::Nothing)
            && self.labels.is_empty()
            && self.fields.is_empty()
    }

    /// Whether the extent holds the path.
    pub(super) fn spans(&self, path: &str) -> bool {
        match &self.extent {
            Extent::All => true,
            Extent::Namespace(namespace) => path.strip_prefix(namespace.as_str()).is_some_and(|rest| rest.starts_with('/')),
            Extent::Object(object) => path == object,
            Extent::Nothing => false,
        }
    }

    /// Whether selectors and view let an object of its extent through.
    pub(super) fn shows(&self, item: &Item) -> bool {
        self.selects(item) && self.views(item)
    }

    /// The kind of event that a change is to those who look through the filter; `None`: none.
    pub(super) fn classify(&self, event: &Event) -> Option<EventKind> {
        event.kind_where(|item| self.shows(item))
    }

    /// Whether the selectors let an object through.
    pub(super) fn selects(&self, item: &Item) -> bool {
        self.labels.matches(&item.labels) && self.fields.matches(|label| field(self.descriptor, item, label))
    }

    fn views(&self, item: &Item) -> bool {
        let ObjectFilter::Access(access) = &self.view else { return true };
        let scope = self.scope_in(&**access, item.namespace());
        scope.allows(&**access, &item.facts)
    }

    fn scope_in(&self, access: &dyn AccessFilter, namespace: &str) -> NamespaceScope {
        let mut scopes = self.scopes();
        if let Some(scope) = scopes.get(namespace) {
            return *scope;
        }
        let scope = access.scope(namespace);
        scopes.insert(namespace.to_owned(), scope);
        scope
    }

    /// Reads the caller's scope in a namespace anew. From here on the filter answers by that.
    pub(super) fn refresh(&self, namespace: &str) -> Option<ScopeChange> {
        let ObjectFilter::Access(access) = &self.view else { return None };
        let now = access.scope(namespace);
        let mut scopes = self.scopes();
        let Some(known) = scopes.get_mut(namespace) else {
            scopes.insert(namespace.to_owned(), now);
            return None;
        };
        let was = std::mem::replace(known, now);
        (was != now).then(|| ScopeChange { namespace: namespace.to_owned(), was, now })
    }

    /// Takes a refresh back that could not be sent.
    pub(super) fn restore(&self, change: ScopeChange) {
        self.scopes().insert(change.namespace, change.was);
    }

    /// Notes the caller's scope in every namespace of the extent, so that a later change of it is noticed.
    pub(super) fn observe(&self, objects: &Objects) {
        let ObjectFilter::Access(access) = &self.view else { return };
        let mut next = String::new();
        loop {
            let Some((_, item)) = objects.range(&self.prefix, &next).next() else { break };
            let namespace = item.namespace();
            self.scope_in(&**access, namespace);
            if namespace.is_empty() {
                break;
            }
            // The first path behind all of this namespace: `0` follows `/`.
            next = format!("{namespace}0");
        }
    }

    /// [`Filter::refresh`] of every namespace seen so far.
    pub(super) fn refresh_all(&self) -> Vec<ScopeChange> {
        if matches!(self.view, ObjectFilter::All) {
            return Vec::new();
        }
        let seen: Vec<String> = self.scopes().keys().cloned().collect();
        seen.iter().filter_map(|namespace| self.refresh(namespace)).collect()
    }

    /// The kind of event that a change of scope is to an object of that namespace: shown from now on, or no longer. Selectors
    /// are asked as well.
    pub(super) fn classify_change(&self, change: &ScopeChange, item: &Item) -> Option<EventKind> {
        let ObjectFilter::Access(access) = &self.view else { return None };
        match (change.was.allows(&**access, &item.facts), change.now.allows(&**access, &item.facts)) {
            (false, true) if self.selects(item) => Some(EventKind::Added),
            (true, false) if self.selects(item) => Some(EventKind::Deleted),
            _ => None,
        }
    }

    fn scopes(&self) -> MutexGuard<'_, HashMap<String, NamespaceScope>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `metadata.name=x` makes a list or watch one of a single object, `metadata.namespace=x` one of a namespace.
fn extent(descriptor: &Descriptor, namespace: &str, fields: &FieldSelector) -> Extent {
    let namespaced = descriptor.scope == Scope::Namespaced;
    let selected = fields.requires_exact("metadata.namespace").unwrap_or(namespace);
    let impossible =
        if namespaced { !namespace.is_empty() && selected != namespace } else { !selected.is_empty() && selected != namespace };
    if impossible {
        return Extent::Nothing;
    }
    match (namespaced, selected, fields.requires_exact("metadata.name")) {
        (_, _, Some("")) => Extent::Nothing,
        (false, _, Some(name)) => Extent::Object(name.to_owned()),
        (true, namespace, Some(name)) if !namespace.is_empty() => Extent::Object(format!("{namespace}/{name}")),
        (true, namespace, None) if !namespace.is_empty() => Extent::Namespace(namespace.to_owned()),
        (true, "", _) if fields.requires_exact("metadata.namespace").is_some() => Extent::Nothing,
        _ => Extent::All,
    }
}

/// The value that a field selector compares.
fn field<'a>(descriptor: &Descriptor, item: &'a Item, label: &str) -> Option<&'a str> {
    match label {
        "metadata.name" => Some(item.name()),
        "metadata.namespace" => Some(item.namespace()),
        _ => {
            let index = descriptor.selectable_fields.iter().position(|field| field.label == label)?;
            item.fields.get(index).map(|value| &**value)
        }
    }
}
