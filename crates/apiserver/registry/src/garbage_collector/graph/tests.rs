use super::*;
use serde_json::json;

fn item(name: &str, owners: &[&str], metadata: &str) -> Arc<Item> {
    let owners = owners.iter().map(|owner| OwnerUid { uid: (*owner).into(), blocks: owner.starts_with('!') }).collect();
    let bytes = format!(r#"{{"metadata":{{{metadata}"uid":"uid-of-{name}"}}}}"#).into();
    Arc::new(Item { path: name.into(), revision: 1, bytes, owners, ..Item::default() })
}

fn deleting(name: &str, finalizers: &[&str]) -> Arc<Item> {
    item(name, &[], &format!(r#""deletionTimestamp":"t","finalizers":{},"#, json!(finalizers)))
}

fn named(tasks: Tasks) -> Vec<String> {
    let mut names: Vec<String> = tasks
        .add
        .into_iter()
        .map(|task| match task {
            Task::Check(node) => format!("check {}", node.key.name),
            Task::Finalize(node) => format!("finalize {}", node.key.name),
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_change_concerns_those_who_refer_to_the_object_and_nobody_else() {
    let mut graph = Graph::default();
    let (a, b) = (item("a", &["uid-of-o", "x"], ""), item("b", &["uid-of-o", "uid-of-o"], ""));
    assert_eq!(named(graph.apply(0, &Delta::Added(Arc::clone(&a)))), ["check a"]);
    assert_eq!(named(graph.apply(0, &Delta::Added(Arc::clone(&b)))), ["check b"]);
    assert_eq!(named(graph.apply(1, &Delta::Added(item("o", &[], "")))), [""; 0]);
    let (old, new) = (item("o", &[], ""), deleting("o", &["a/b", "orphan"]));
    let started = graph.apply(1, &Delta::Updated { old: Arc::clone(&old), new: Arc::clone(&new) });
    assert_eq!(named(started), ["check a", "check b", "finalize o"]);
    assert_eq!(graph.waits("uid-of-o"), Some(Mode::Orphan));
    let free = item("a", &["x"], "");
    let freed = graph.apply(0, &Delta::Updated { old: a, new: Arc::clone(&free) });
    assert_eq!(named(freed), ["check a", "finalize o"]);
    assert!(graph.has_dependents("uid-of-o") && !graph.is_gone("uid-of-o"));
    assert_eq!(named(graph.apply(1, &Delta::Deleted(new))), ["check b"]);
    assert_eq!(named(graph.apply(1, &Delta::Gap)), ["check a", "check b"], "whoever refers to anything");
    assert!(graph.is_gone("uid-of-o") && graph.waits("uid-of-o").is_none());
    graph.apply(0, &Delta::Deleted(b));
    graph.apply(0, &Delta::Deleted(free));
    assert_eq!(graph.len(), 0, "nothing is kept of what is gone");
}

#[test]
fn only_those_who_block_hold_a_deletion() {
    let mut graph = Graph::default();
    graph.apply(0, &Delta::Added(item("follows", &["uid"], "")));
    assert!(graph.has_dependents("uid") && !graph.is_blocked("uid"));
    let mut blocks = item("blocks", &["uid"], "");
    Arc::get_mut(&mut blocks).into_iter().flat_map(|item| item.owners.iter_mut()).for_each(|owner| owner.blocks = true);
    graph.apply(0, &Delta::Added(Arc::clone(&blocks)));
    assert!(graph.is_blocked("uid") && !graph.is_blocked("ui") && !graph.is_blocked("uid2"));
    graph.apply(0, &Delta::Deleted(blocks));
    assert!(!graph.is_blocked("uid"));
}

#[test]
fn what_an_object_waits_for_is_read_from_its_finalizers() {
    let table = [
        (deleting("o", &["foregroundDeletion"]), Some(Mode::Foreground)),
        (deleting("o", &["foregroundDeletion", "orphan"]), Some(Mode::Orphan)),
        (deleting("o", &["example.com/orphan"]), None),
        (item("o", &[], r#""finalizers":["orphan"],"#), None),
        (item("orphan", &[], r#""labels":{"deletionTimestamp":"orphan"},"#), None),
    ];
    for (item, want) in table {
        assert_eq!(mode(&item), want, "{:?}", item.bytes);
    }
}

#[test]
fn a_failed_task_is_hurried_by_a_change_and_the_last_deletions_are_remembered() {
    let mut graph = Graph::default();
    let item = item("a", &["x"], "");
    let tasks = graph.apply(0, &Delta::Updated { old: Arc::clone(&item), new: item });
    assert!(tasks.add.is_empty() && matches!(tasks.hurry, Some(Task::Check(_))));
    for index in 0..2 * GONE {
        graph.gone.insert(index.to_string().into());
    }
    assert_eq!((graph.gone.set.len(), graph.is_gone("0"), graph.is_gone("8000")), (GONE, false, true));
}
