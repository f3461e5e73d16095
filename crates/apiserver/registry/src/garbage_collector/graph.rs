//! Which objects depend on which, by the UIDs that owner references name.
//!
//! There is no entry for an object without references, and one entry for each reference of the others, so a change costs what
//! its own references cost. Whether an owner exists is not known here: see [`super::owners`].

use crate::informer::Delta;
use crate::item::{Item, OwnerUid};
use crate::write::{FINALIZER_FOREGROUND, FINALIZER_ORPHAN};
use apiserver_meta::ObjectKey;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// How many UIDs of deleted objects are remembered: those that a cache may still show for a moment.
const GONE: usize = 4096;

/// An object of one of the registries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Node {
    pub(super) registry: usize,
    pub(super) key: Arc<ObjectKey>,
}

/// The condition under which an object goes that is deleted with a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Its blocking dependents are deleted.
    Foreground,
    /// No object refers to it.
    Orphan,
}

/// Those that hold the deletion of their owner come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    Blocks,
    Follows,
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    edges: BTreeSet<(Arc<str>, Hold, Node)>,
    /// Objects that are deleted with a policy, by UID.
    waiting: HashMap<Arc<str>, (Node, Mode)>,
    /// The nodes of [`Self::waiting`].
    waiting_nodes: HashSet<Node>,
    gone: Gone,
}

/// An object to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Task {
    /// It refers to others, of which the last may be gone.
    Check(Node),
    /// It is deleted with a policy, and may be done with it.
    Finalize(Node),
}

/// The work after a change.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    pub(super) add: Vec<Task>,
    /// Tried again at once if it has failed before.
    pub(super) hurry: Option<Task>,
}

impl Graph {
    /// Takes a change of a kind in.
    pub(super) fn apply(&mut self, registry: usize, delta: &Delta) -> Tasks {
        let mut tasks = Tasks::default();
        match delta {
            Delta::Added(item) => {
                let node = node(registry, item);
                self.link(&node, &item.owners, &mut tasks);
                self.note_deletion(&node, item, &mut tasks);
            }
            Delta::Updated { old, new } => {
                let node = node(registry, new);
                if old.owners == new.owners {
                    tasks.hurry = (!new.owners.is_empty()).then(|| Task::Check(node.clone()));
                } else {
                    self.unlink(&node, &old.owners, &mut tasks);
                    self.link(&node, &new.owners, &mut tasks);
                }
                if mode(new).is_none() && mode(old).is_some() {
                    self.forget_deletion(&old.uid());
                }
                self.note_deletion(&node, new, &mut tasks);
            }
            Delta::Deleted(last) => {
                let (node, uid) = (node(registry, last), Arc::<str>::from(last.uid()));
                self.forget_deletion(&uid);
                self.unlink(&node, &last.owners, &mut tasks);
                tasks.add.extend(self.dependents(&uid).cloned().map(Task::Check));
                self.gone.insert(uid);
            }
            // An owner that a cache still had when its dependent was looked at may have gone unheard.
            Delta::Gap => {
                let dependents: BTreeSet<&Node> = self.edges.iter().map(|(_, _, node)| node).collect();
                tasks.add.extend(dependents.into_iter().cloned().map(Task::Check));
            }
            Delta::Synced(_) => {}
        }
        tasks
    }

    fn link(&mut self, node: &Node, owners: &[OwnerUid], tasks: &mut Tasks) {
        self.edges.extend(owners.iter().map(|owner| edge(owner, node)));
        if !owners.is_empty() {
            tasks.add.push(Task::Check(node.clone()));
        }
    }

    fn unlink(&mut self, node: &Node, owners: &[OwnerUid], tasks: &mut Tasks) {
        for owner in owners {
            self.edges.remove(&edge(owner, node));
            if let Some((owner, _)) = self.waiting.get(&owner.uid) {
                tasks.add.push(Task::Finalize(owner.clone()));
            }
        }
    }

    fn note_deletion(&mut self, node: &Node, item: &Item, tasks: &mut Tasks) {
        let Some(mode) = mode(item) else { return };
        let uid = Arc::<str>::from(item.uid());
        let known = self.waiting.insert(Arc::clone(&uid), (node.clone(), mode));
        self.waiting_nodes.insert(node.clone());
        if known.is_none_or(|(_, known)| known != mode) {
            tasks.add.extend(self.dependents(&uid).cloned().map(Task::Check));
        }
        tasks.add.push(Task::Finalize(node.clone()));
    }

    fn forget_deletion(&mut self, uid: &str) {
        if let Some((node, _)) = self.waiting.remove(uid) {
            self.waiting_nodes.remove(&node);
        }
    }

    fn edges_to<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = (Hold, &'a Node)> {
        let first = (Arc::from(uid), Hold::Blocks, Node { registry: 0, key: Arc::default() });
        self.edges.range(first..).take_while(move |(owner, ..)| **owner == *uid).map(|(_, hold, node)| (*hold, node))
    }

    fn dependents<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Node> {
        self.edges_to(uid).map(|(_, node)| node)
    }

    /// Whether any object refers to this one.
    pub(super) fn has_dependents(&self, uid: &str) -> bool {
        self.dependents(uid).next().is_some()
    }

    /// Whether any object refers to this one that must go first.
    pub(super) fn is_blocked(&self, uid: &str) -> bool {
        self.edges_to(uid).next().is_some_and(|(hold, _)| hold == Hold::Blocks)
    }

    /// Whether an object that refers to this one waits for its own dependents, of which this may be one.
    pub(super) fn has_waiting_dependents(&self, uid: &str) -> bool {
        self.dependents(uid).any(|node| self.waiting_nodes.contains(node))
    }

    /// The condition under which the object with this UID goes.
    pub(super) fn waits(&self, uid: &str) -> Option<Mode> {
        self.waiting.get(uid).map(|(_, mode)| *mode)
    }

    /// Whether the object with this UID was deleted a moment ago.
    pub(super) fn is_gone(&self, uid: &str) -> bool {
        self.gone.set.contains(uid)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.edges.len() + self.waiting.len() + self.waiting_nodes.len()
    }
}

/// The last UIDs of deleted objects.
#[derive(Debug, Default)]
struct Gone {
    order: VecDeque<Arc<str>>,
    set: HashSet<Arc<str>>,
}

impl Gone {
    fn insert(&mut self, uid: Arc<str>) {
        if !self.set.insert(Arc::clone(&uid)) {
            return;
        }
        self.order.push_back(uid);
        if self.order.len() > GONE
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }
}

fn node(registry: usize, item: &Item) -> Node {
    Node { registry, key: Arc::new(item.key()) }
}

fn edge(owner: &OwnerUid, node: &Node) -> (Arc<str>, Hold, Node) {
    let hold = if owner.blocks { Hold::Blocks } else { Hold::Follows };
    (Arc::clone(&owner.uid), hold, node.clone())
}

/// The condition under which an object goes; `None` when it is not being deleted, or only for others than the collector.
pub(super) fn mode(item: &Item) -> Option<Mode> {
    #[derive(Deserialize)]
    struct Outer {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "deletionTimestamp")]
        deletion_timestamp: Option<IgnoredAny>,
        #[serde(default)]
        finalizers: Vec<String>,
    }
    // Asked of every change: to look for the text is several times faster than to read the object.
    let json = std::str::from_utf8(&item.bytes).ok()?;
    if !json.contains("deletionTimestamp") || !(json.contains(FINALIZER_FOREGROUND) || json.contains(FINALIZER_ORPHAN)) {
        return None;
    }
    let Outer { metadata } = serde_json::from_str(json).ok()?;
    metadata.deletion_timestamp?;
    let held = |name: &str| metadata.finalizers.iter().any(|finalizer| finalizer == name);
    if held(FINALIZER_ORPHAN) { Some(Mode::Orphan) } else { held(FINALIZER_FOREGROUND).then_some(Mode::Foreground) }
}

#[cfg(test)]
mod tests;
