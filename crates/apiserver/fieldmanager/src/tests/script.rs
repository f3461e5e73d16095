//! Scripts: who applied and updated what, and what came of it. One line, one step.
//!
//! | line | what it does |
//! |---|---|
//! | `apply WHO OBJECT` | applies; must not conflict |
//! | `apply WHO OBJECT ! WHO.path ...` | applies; must conflict with exactly these |
//! | `refuse WHO OBJECT` | applies; must not be a valid object |
//! | `force WHO OBJECT` | applies and takes what others have |
//! | `update WHO OBJECT` | replaces the object |
//! | `= OBJECT` | the object must be this |
//! | `owns WHO path ...` | the manager must own these; managers that no such line names must own nothing |
//! | `nobody owns` | as it says |

use crate::apply::Merged;
use crate::changes::Changes;
use crate::ignored::Ignored;
use crate::managed::{Entry, Identity, Managed, Operation};
use crate::set::FieldSet;
use crate::update::record;
use crate::validate::validate;
use apiserver_meta::Schema;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Runs a script from nothing.
#[track_caller]
pub(super) fn run(name: &str, schema: &Schema, script: &str) {
    run_all(name, &[(schema, script)]);
}

/// Runs scripts one after another, each under its own schema.
#[track_caller]
pub(super) fn run_all(name: &str, acts: &[(&Schema, &str)]) {
    let mut stage = Stage::default();
    for (schema, script) in acts {
        let mut owners: Option<BTreeMap<String, Vec<String>>> = None;
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let at = format!("{name}: {line}");
            let (verb, rest) = line.split_once(' ').unwrap();
            match verb {
                "apply" | "force" | "refuse" | "update" => stage.act(&at, schema, verb, rest),
                "=" => assert_eq!(Value::Object(stage.object.clone()), parse(rest), "{at}"),
                "nobody" => owners = Some(BTreeMap::new()),
                "owns" => {
                    let (who, paths) = rest.split_once(' ').unwrap();
                    let mut paths: Vec<String> = paths.split(' ').map(str::to_owned).collect();
                    paths.sort();
                    owners.get_or_insert_default().insert(who.to_owned(), paths);
                }
                _ => panic!("{at}: no such step"),
            }
        }
        if let Some(owners) = owners {
            assert_eq!(stage.owners(), owners, "{name}");
        }
    }
}

#[derive(Default)]
struct Stage {
    object: Map<String, Value>,
    managed: Managed,
}

impl Stage {
    #[track_caller]
    fn act(&mut self, at: &str, schema: &Schema, verb: &str, rest: &str) {
        let (who, rest) = rest.split_once(' ').unwrap();
        let (object, wanted) = rest.split_once(" ! ").unwrap_or((rest, ""));
        let Value::Object(object) = parse(object) else { panic!("{at}: no object") };
        let operation = if verb == "update" { Operation::Update } else { Operation::Apply };
        let id = Identity { name: who.into(), operation, api_version: "v1".into(), subresource: String::new() };
        let nothing = Ignored::new(&[]);
        self.managed.each(|_, set| set.reconcile(schema));
        if verb == "update" {
            record(&mut self.managed, Changes::between(schema, &self.object, &object, &nothing), id, "");
            self.object = object;
            return;
        }
        let valid = validate(schema, &object);
        if verb == "refuse" {
            return assert!(valid.is_err(), "{at}");
        }
        valid.unwrap();
        let merged = Merged::new(schema, &self.object, &object, self.managed.clone(), &id, &nothing);
        if verb == "apply" {
            let name =
                |(id, set): (&Identity, FieldSet)| set.paths().into_iter().map(|path| format!("{}{path}", id.name)).collect::<Vec<_>>();
            let conflicts: Vec<String> = merged.conflicts(&id).into_iter().flat_map(name).collect();
            assert_eq!(conflicts, wanted.split_whitespace().collect::<Vec<_>>(), "{at}");
            if !conflicts.is_empty() {
                return;
            }
        }
        let (object, set, mut managed) = merged.settle(&id);
        managed.replace(Entry { id, time: String::new(), set });
        managed.each(|_, _| {});
        (self.object, self.managed) = (object, managed);
    }

    fn owners(&self) -> BTreeMap<String, Vec<String>> {
        let nobody = Identity { name: String::new(), operation: Operation::Apply, api_version: String::new(), subresource: String::new() };
        let owner = |entry: &Entry| {
            let mut paths = entry.set.paths();
            paths.sort();
            (entry.id.name.clone(), paths)
        };
        self.managed.others(&nobody).into_iter().map(owner).collect()
    }
}

#[track_caller]
pub(super) fn parse(yaml: &str) -> Value {
    apiserver_meta::decode::parse_yaml(yaml.as_bytes()).unwrap().value
}
