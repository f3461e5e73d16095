//! The items of a list, taken from a snapshot while they are sent: a list holds a few of them, however many there are.

use super::snapshot::Snapshot;
use crate::item::Item;
use crate::keys::Path;
use std::sync::Arc;

/// How many items are taken at a time.
const PORTION: usize = 256;

/// The items of a list, in order, each handed out once.
#[derive(Debug)]
pub struct Rows(Inner);

#[derive(Debug)]
enum Inner {
    Made(std::vec::IntoIter<Arc<Item>>),
    Snapshot(Walk),
}

/// All objects of a snapshot whose paths begin with a prefix, from a path on.
#[derive(Debug)]
struct Walk {
    snapshot: Arc<Snapshot>,
    prefix: String,
    /// Those that are at hand.
    portion: std::vec::IntoIter<Arc<Item>>,
    /// The first behind them.
    next: Option<Path>,
}

impl From<Vec<Arc<Item>>> for Rows {
    fn from(items: Vec<Arc<Item>>) -> Self {
        Self(Inner::Made(items.into_iter()))
    }
}

impl Rows {
    pub(super) fn of(snapshot: Arc<Snapshot>, prefix: &str, start: &str) -> Self {
        let next = Some(start.into());
        Self(Inner::Snapshot(Walk { snapshot, prefix: prefix.to_owned(), portion: Vec::new().into_iter(), next }))
    }

    /// How many are still to come, and the sum of what each of them has; `None` where one has nothing to say. Nothing is taken.
    pub fn measure(&self, of: impl Fn(&Item) -> Option<usize>) -> Option<(usize, usize)> {
        let add = |(count, sum): (usize, usize), item: &Arc<Item>| Some((count + 1, sum + of(item)?));
        match &self.0 {
            Inner::Made(items) => items.as_slice().iter().try_fold((0, 0), add),
            Inner::Snapshot(Walk { snapshot, prefix, portion, next }) => {
                let at_hand = portion.as_slice().iter().try_fold((0, 0), add)?;
                let Some(next) = next else { return Some(at_hand) };
                snapshot.objects.range(prefix, next).map(|(_, item)| item).try_fold(at_hand, add)
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Arc<Item>;

    fn next(&mut self) -> Option<Arc<Item>> {
        match &mut self.0 {
            Inner::Made(items) => items.next(),
            Inner::Snapshot(walk) => walk.next(),
        }
    }
}

impl Walk {
    fn next(&mut self) -> Option<Arc<Item>> {
        if let Some(item) = self.portion.next() {
            return Some(item);
        }
        let next = self.next.take()?;
        let mut rows = self.snapshot.objects.range(&self.prefix, &next);
        let portion: Vec<Arc<Item>> = rows.by_ref().take(PORTION).map(|(_, item)| Arc::clone(item)).collect();
        self.next = rows.next().map(|(path, _)| Arc::clone(path));
        drop(rows);
        self.portion = portion.into_iter();
        self.portion.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(paths: impl IntoIterator<Item = String>) -> Arc<Snapshot> {
        let items = paths.into_iter().map(|path| Arc::new(Item { path: path.into(), bytes: b"xx".as_slice().into(), ..Item::default() }));
        let objects = items.map(|item| (Arc::clone(&item.path), item)).collect();
        Arc::new(Snapshot { objects, ..Snapshot::default() })
    }

    #[test]
    fn rows_are_those_of_the_snapshot() {
        for count in [0, 1, PORTION - 1, PORTION, PORTION + 1, 3 * PORTION + 5] {
            let paths: Vec<String> = (0..count).map(|n| format!("ns/{n:05}")).collect();
            let others = ["a/x", "ns-x/y", "ns2/z"].map(str::to_owned);
            let snapshot = snapshot(paths.iter().cloned().chain(others));
            for start in [0, 1, count / 2].into_iter().filter(|start| *start <= count) {
                let first = paths.get(start).map_or("ns/99999", String::as_str);
                let mut rows = Rows::of(Arc::clone(&snapshot), "ns/", first);
                let mut taken = Vec::new();
                loop {
                    let left = count - start - taken.len();
                    assert_eq!(rows.measure(|item| Some(item.bytes.len())), Some((left, 2 * left)));
                    match rows.next() {
                        Some(item) => taken.push(item.path.to_string()),
                        None => break,
                    }
                }
                assert_eq!(taken, paths[start..], "{count} from {start}");
            }
        }
    }

    #[test]
    fn nothing_is_known_of_all_when_one_has_nothing_to_say() {
        let items = ["a", "b"].map(|path| Arc::new(Item { path: path.into(), ..Item::default() }));
        let rows = Rows::from(items.to_vec());
        assert_eq!(rows.measure(|item| (&*item.path != "b").then_some(1)), None);
        assert_eq!((rows.measure(|_| Some(3)), rows.count()), (Some((2, 6)), 2));
    }
}
