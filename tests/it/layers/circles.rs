//! Which files of a crate use each other. Paths are read from the syntax tree: what a file imports or names by a path is a use;
//! what it hands on by `pub use` is none, and whoever imports that uses the file it comes from. Tests are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, UseTree, Visibility};

/// The names that lead to a module or an item, from the root of its crate.
type Names = Vec<String>;

/// The circles of a crate's files with more than one file each.
pub(super) fn circles(source: &Path) -> Vec<Vec<String>> {
    let modules = Modules::read(source);
    let edges: BTreeMap<&Names, BTreeSet<&Names>> = modules.0.iter().map(|(name, module)| (name, modules.used_by(name, module))).collect();
    let reached: BTreeMap<&Names, BTreeSet<&Names>> = edges.keys().map(|from| (*from, reach(from, &edges))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for from in edges.keys() {
        let circle: Vec<_> = reached[from].iter().filter(|to| reached[*to].contains(from)).collect();
        if circle.len() > 1 && circle.iter().all(|name| seen.insert(**name)) {
            circles.push(circle.into_iter().map(|name| if name.is_empty() { "lib".into() } else { name.join("::") }).collect());
        }
    }
    circles
}

/// Everything that is used from here on, over any number of steps.
fn reach<'a>(from: &'a Names, edges: &BTreeMap<&'a Names, BTreeSet<&'a Names>>) -> BTreeSet<&'a Names> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(name) = next.pop() {
        next.extend(edges[name].iter().filter(|used| reached.insert(**used)));
    }
    reached
}

/// What one file says.
#[derive(Default)]
struct Module {
    uses: Vec<Names>,
    /// What it hands on: a name, and what is meant by it.
    exports: BTreeMap<String, Names>,
}

struct Modules(BTreeMap<Names, Module>);

impl Modules {
    fn read(source: &Path) -> Self {
        let files: Vec<(Names, PathBuf)> = files(source).into_iter().filter_map(|file| Some((module_of(source, &file)?, file))).collect();
        let known: BTreeSet<Names> = files.iter().map(|(name, _)| name.clone()).collect();
        let read = |(name, file): (Names, PathBuf)| {
            let text = std::fs::read_to_string(&file).expect("a source file");
            let tree: File = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let mut reader = Reader { here: name.clone(), known: &known, module: Module::default() };
            reader.visit_file(&tree);
            (name, reader.module)
        };
        Self(files.into_iter().map(read).collect())
    }

    fn used_by<'a>(&'a self, name: &Names, module: &Module) -> BTreeSet<&'a Names> {
        module.uses.iter().filter_map(|used| self.file_of(used.clone())).filter(|used| *used != name).collect()
    }

    /// The file that an item comes from.
    fn file_of(&self, mut item: Names) -> Option<&Names> {
        // Exports lead from file to file; nobody writes more of them than this.
        for _ in 0..16 {
            let file = (0..=item.len()).rev().map(|length| item[..length].to_vec()).find(|name| self.0.contains_key(name))?;
            let (found, module) = self.0.get_key_value(&file)?;
            let rest = &item[file.len()..];
            match rest.first().and_then(|first| module.exports.get(first)) {
                Some(meant) => item = meant.iter().chain(&rest[1..]).cloned().collect(),
                None => return Some(found),
            }
        }
        None
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of sources").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect()
}

/// `None` for tests.
fn module_of(source: &Path, file: &Path) -> Option<Names> {
    let below = file.strip_prefix(source).ok()?.with_extension("");
    let mut names: Names = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if names.iter().any(|name| name == "tests" || name.ends_with("_tests")) {
        return None;
    }
    if matches!(names.last().map(String::as_str), Some("lib" | "main" | "mod")) {
        names.pop();
    }
    Some(names)
}

struct Reader<'a> {
    here: Names,
    known: &'a BTreeSet<Names>,
    module: Module,
}

impl Reader<'_> {
    /// A path as seen from the root of the crate; `None` for one that leads elsewhere.
    fn resolve(&self, path: &[String]) -> Option<Names> {
        let mut base = self.here.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (base, rest) = (Names::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                let module: Names = base.iter().cloned().chain([child.to_owned()]).collect();
                if !self.known.contains(&module) {
                    return None;
                }
            }
        }
        base.extend_from_slice(rest);
        Some(base)
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(module) => &module.attrs,
            Item::Fn(function) => &function.attrs,
            Item::Use(import) => &import.attrs,
            Item::Impl(block) => &block.attrs,
            _ => &Vec::new(),
        };
        if attributes.iter().any(is_for_tests) {
            return;
        }
        if let Item::Use(import) = item {
            let mut all = Vec::new();
            flatten(&import.tree, &mut Vec::new(), &mut all);
            for (name, path) in all {
                let Some(path) = self.resolve(&path) else { continue };
                match &import.vis {
                    Visibility::Inherited => self.module.uses.push(path),
                    _ => drop(self.module.exports.insert(name, path)),
                }
            }
        }
        visit::visit_item(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 && path.leading_colon.is_none() {
            self.module.uses.extend(self.resolve(&names));
        }
        visit::visit_path(self, path);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
}

/// The names that a tree of imports brings in, and what they mean.
fn flatten(tree: &UseTree, above: &mut Names, all: &mut Vec<(String, Names)>) {
    match tree {
        UseTree::Path(path) => {
            above.push(path.ident.to_string());
            flatten(&path.tree, above, all);
            above.pop();
        }
        UseTree::Name(name) if name.ident == "self" => all.push((above.last().cloned().unwrap_or_default(), above.clone())),
        UseTree::Name(name) => all.push((name.ident.to_string(), above.iter().cloned().chain([name.ident.to_string()]).collect())),
        UseTree::Rename(renamed) => {
            all.push((renamed.rename.to_string(), above.iter().cloned().chain([renamed.ident.to_string()]).collect()));
        }
        UseTree::Glob(_) => all.push(("*".into(), above.clone())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, above, all)),
    }
}
