//! Sets of fields, as ordered trees.

use crate::path::PathElement;
use crate::typed::{field_set_of, is_atomic, member};
use apiserver_meta::excerpt::excerpt;
use apiserver_meta::schema::{Schema, Shape};
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::fmt;

/// The longest text of a path, in bytes.
const MOST_PATH: usize = 1024;

/// A set of fields. Being a member says nothing about the fields above or below.
///
/// Nodes are sorted by element, each element stands once, and there is no node that neither is a member nor
/// has members below: so equal sets are equal trees and an empty set has no nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    nodes: Vec<Node>,
}

/// One element and what is in the set at and below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) element: PathElement,
    /// Whether the field itself is in the set.
    pub(crate) member: bool,
    /// What is in the set below it.
    pub(crate) below: FieldSet,
}

impl FieldSet {
    /// The set of fields with these names, from the root.
    pub(crate) fn of_names(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(path.iter().map(|name| PathElement::field(name)));
        }
        set
    }

    /// The set of nodes that come in any order, and perhaps twice. A client may have written them, and many.
    pub(crate) fn from_nodes(mut nodes: Vec<Node>) -> Self {
        if !nodes.is_sorted_by(|left, right| left.element < right.element) {
            nodes.sort_by(|left, right| left.element.cmp(&right.element));
        }
        let mut set = Self { nodes: Vec::with_capacity(nodes.len()) };
        for node in nodes {
            set.attach(node.element, node.member, node.below);
        }
        set
    }

    /// Adds one field; the path of the whole object is never a member.
    pub(crate) fn insert(&mut self, path: impl IntoIterator<Item = PathElement>) {
        let mut path = path.into_iter();
        let Some(first) = path.next() else { return };
        let mut below = Self::default();
        below.insert(&mut path as &mut dyn Iterator<Item = PathElement>);
        let member = below.is_empty();
        self.attach(first, member, below);
    }

    /// Adds an element as a member, or what is below it, or both.
    pub(crate) fn attach(&mut self, element: PathElement, member: bool, below: Self) {
        if !member && below.is_empty() {
            return;
        }
        // Walks and well-formed JSON mostly come in order.
        if self.nodes.last().is_none_or(|last| last.element < element) {
            self.nodes.push(Node { element, member, below });
            return;
        }
        let at = self.nodes.partition_point(|node| node.element < element);
        match self.nodes.get_mut(at) {
            Some(node) if node.element == element => {
                node.member |= member;
                node.below = std::mem::take(&mut node.below).union(below);
            }
            _ => self.nodes.insert(at, Node { element, member, below }),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of an element, if anything is in the set at or below it.
    pub(crate) fn node(&self, element: &PathElement) -> Option<&Node> {
        self.nodes.binary_search_by(|node| node.element.cmp(element)).ok().and_then(|at| self.nodes.get(at))
    }

    /// Every member of either.
    #[must_use]
    pub(crate) fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut nodes = Vec::with_capacity(self.nodes.len().max(other.nodes.len()));
        let (mut left, mut right) = (self.nodes.into_iter().peekable(), other.nodes.into_iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (Some(l), Some(r)) => l.element.cmp(&r.element),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return Self { nodes },
            };
            match order {
                Ordering::Less => nodes.extend(left.next()),
                Ordering::Greater => nodes.extend(right.next()),
                Ordering::Equal => nodes.extend(left.next().zip(right.next()).map(|(l, r)| Node {
                    element: l.element,
                    member: l.member | r.member,
                    below: l.below.union(r.below),
                })),
            }
        }
    }

    /// Every member of any. Many small sets cost no more than their members, times a logarithm.
    pub(crate) fn union_all(sets: impl IntoIterator<Item = Self>) -> Self {
        let mut sets: Vec<Self> = sets.into_iter().collect();
        while sets.len() > 1 {
            let mut rest = std::mem::take(&mut sets).into_iter();
            while let Some(left) = rest.next() {
                sets.push(left.union(rest.next().unwrap_or_default()));
            }
        }
        sets.pop().unwrap_or_default()
    }

    /// Every member of both.
    #[must_use]
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut out = Self::default();
        for (mine, theirs) in Matches::of(self, other) {
            if let Some(theirs) = theirs {
                out.attach(mine.element.clone(), mine.member && theirs.member, mine.below.intersection(&theirs.below));
            }
        }
        out
    }

    /// Takes the members of `other` out. Taking a field out leaves what is below it.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.retain(other, |mine, theirs| {
            mine.member &= !theirs.member;
            mine.below.subtract(&theirs.below);
            mine.member || !mine.below.is_empty()
        });
    }

    /// Takes the members of `other` out, and everything below them.
    pub(crate) fn subtract_recursive(&mut self, other: &Self) {
        self.retain(other, |mine, theirs| {
            if theirs.member {
                return false;
            }
            mine.below.subtract_recursive(&theirs.below);
            mine.member || !mine.below.is_empty()
        });
    }

    /// Calls `keep` on every node that `other` has as well.
    fn retain(&mut self, other: &Self, keep: impl Fn(&mut Node, &Node) -> bool) {
        let mut theirs = other.nodes.as_slice();
        self.nodes.retain_mut(|mine| {
            theirs = starting_at(theirs, &mine.element);
            match theirs.first() {
                Some(node) if node.element == mine.element => keep(mine, node),
                _ => true,
            }
        });
    }

    /// Whether every member of `other` is in this set.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        Matches::of(other, self)
            .all(|(theirs, mine)| mine.is_some_and(|mine| (mine.member || !theirs.member) && mine.below.contains(&theirs.below)))
    }

    /// Makes members of the named fields on the way to members: a manager of `spec.a` counts as holding `spec`
    /// in place, but a manager of `labels.a` does not hold `labels.b`.
    pub(crate) fn ensure_named_fields(&mut self, schema: &Schema) {
        for node in &mut self.nodes {
            let Some(child) = step(schema, &node.element) else { continue };
            node.member |= !node.below.is_empty() && matches!(schema.shape, Shape::Object { .. });
            node.below.ensure_named_fields(child);
        }
    }

    /// Brings a set that an older schema shaped into the shape of this one: what has become one leaf is owned
    /// whole by whoever owned a part of it.
    pub(crate) fn reconcile(&mut self, schema: &Schema) {
        for node in &mut self.nodes {
            let Some(child) = step(schema, &node.element) else { continue };
            if node.below.is_empty() {
                continue;
            }
            if is_atomic(&child.shape) && child.shape != Shape::Any {
                node.member = true;
                node.below = Self::default();
            } else {
                node.below.reconcile(child);
            }
        }
    }

    /// Whether a value without a schema is a member, as far down as [`Self::owned_whole_once`] looks: there is nothing to find for it
    /// in an object whose owners own no such value.
    pub(crate) fn has_free_member(&self, schema: &Schema) -> bool {
        self.nodes.iter().any(|node| {
            let PathElement::Field(name) = &node.element else { return false };
            let Some(child) = member(&schema.shape, name) else { return false };
            child.shape == Shape::Any && node.member || node.below.has_free_member(child)
        })
    }

    /// The objects without a schema in which something is owned, and nothing below them: once they were owned whole.
    /// The set has everything in them, and them. `owned` is what anybody owns.
    pub(crate) fn owned_whole_once(schema: &Schema, object: &Map<String, Value>, owned: &Self) -> Self {
        let mut found = Self::default();
        for node in &owned.nodes {
            let PathElement::Field(name) = &node.element else { continue };
            let (Some(child), Some(value)) = (member(&schema.shape, name), object.get(&**name)) else { continue };
            let below = match (&child.shape, value) {
                (Shape::Any, value) if node.member && node.below.is_empty() => field_set_of(child, value),
                (Shape::Object { .. } | Shape::Map { .. }, Value::Object(object)) => Self::owned_whole_once(child, object, &node.below),
                _ => Self::default(),
            };
            let whole = child.shape == Shape::Any && !below.is_empty();
            found.attach(node.element.clone(), whole, below);
        }
        found
    }

    /// Adds what is in `wholes` below the members of this set.
    pub(crate) fn unfold(&mut self, wholes: &Self) {
        for node in &mut self.nodes {
            let Some(whole) = wholes.node(&node.element) else { continue };
            if whole.member && node.member {
                node.below = std::mem::take(&mut node.below).union(whole.below.clone());
            } else {
                node.below.unfold(&whole.below);
            }
        }
    }

    /// Calls `visit` with the path of every member: those of a level before those below it.
    pub(crate) fn for_each<'a>(&'a self, visit: &mut impl FnMut(&[&'a PathElement])) {
        self.for_each_under(&mut Vec::new(), visit);
    }

    fn for_each_under<'a>(&'a self, path: &mut Vec<&'a PathElement>, visit: &mut impl FnMut(&[&'a PathElement])) {
        for node in self.nodes.iter().filter(|node| node.member) {
            path.push(&node.element);
            visit(path);
            path.pop();
        }
        for node in &self.nodes {
            path.push(&node.element);
            node.below.for_each_under(path, visit);
            path.pop();
        }
    }

    /// The paths of the first members as people read them, and how many members there are. The keys in a path come from
    /// clients, so that a path is cut and no more of them are written than are asked for.
    pub(crate) fn first_paths(&self, most: usize) -> (Vec<String>, usize) {
        let (mut paths, mut all) = (Vec::new(), 0);
        self.for_each(&mut |path| {
            all += 1;
            if paths.len() < most {
                paths.push(excerpt(&Joined(path), MOST_PATH));
            }
        });
        (paths, all)
    }

    /// The paths of all members.
    #[cfg(test)]
    pub(crate) fn paths(&self) -> Vec<String> {
        self.first_paths(usize::MAX).0
    }
}

/// The elements of a path, one behind the other.
struct Joined<'a>(&'a [&'a PathElement]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| write!(f, "{element}"))
    }
}

/// Sorted nodes without those before `element`: in ever longer steps, so that a small set is found in a large one
/// without looking at all of it.
fn starting_at<'a>(nodes: &'a [Node], element: &PathElement) -> &'a [Node] {
    let before = |at: usize| nodes.get(at).is_some_and(|node| node.element < *element);
    let (mut passed, mut step) = (0, 1);
    while before(passed + step - 1) {
        passed += step;
        step *= 2;
    }
    let rest = nodes.get(passed..).unwrap_or_default();
    let window = rest.get(..step - 1).unwrap_or(rest);
    rest.get(window.partition_point(|node| node.element < *element)..).unwrap_or_default()
}

/// The nodes of one set, each with the node of another at the same element.
struct Matches<'a> {
    left: std::slice::Iter<'a, Node>,
    right: &'a [Node],
}

impl<'a> Matches<'a> {
    fn of(left: &'a FieldSet, right: &'a FieldSet) -> Self {
        Self { left: left.nodes.iter(), right: &right.nodes }
    }
}

impl<'a> Iterator for Matches<'a> {
    type Item = (&'a Node, Option<&'a Node>);

    fn next(&mut self) -> Option<Self::Item> {
        let mine = self.left.next()?;
        self.right = starting_at(self.right, &mine.element);
        Some((mine, self.right.first().filter(|node| node.element == mine.element)))
    }
}

/// The schema one step down; `None` where the schema knows nothing of that step.
fn step<'a>(schema: &'a Schema, element: &PathElement) -> Option<&'a Schema> {
    match (&schema.shape, element) {
        (Shape::Object { fields, .. }, PathElement::Field(name)) => fields.get(&**name).map(|field| &*field.schema),
        (Shape::Map { values, .. }, PathElement::Field(_)) => Some(values),
        (Shape::Any, PathElement::Field(_)) => Some(Schema::any()),
        (Shape::List { items, .. }, PathElement::Key(_)) => Some(items),
        _ => None,
    }
}
