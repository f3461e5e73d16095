//! The scope of an access key (`spec.scope`).
//!
//! A scope only narrows: a request needs the holder's rights and must be within the scope. Its parts (roles, projects, virtual
//! clusters) each allow what they name. If there are rules, which are deprecated, a request must match one of them as well. Parts and
//! rules about things that are not served here allow nothing.

/// The requests that a key is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyScope {
    /// The parts, of which one must allow a request; `None`: the scope names no parts, only rules.
    pub parts: Option<ScopeParts>,
    /// One of these must match as well; `None`: there are no rules.
    pub rules: Option<Vec<ScopeRule>>,
}

/// The parts of a scope. Each allows what it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeParts {
    /// Parts that the key plays.
    pub roles: Vec<RoleInScope>,
    /// Projects; `*` is all.
    pub projects: Vec<String>,
    /// Projects and instances in them; `*` is all, in either place.
    pub instances: Vec<(String, String)>,
}

/// A part that a key plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleInScope {
    /// Which.
    pub role: KeyRole,
    /// In these projects only, if any is named; `*` is all.
    pub projects: Vec<String>,
    /// With these instances only, if any is named; `*` is all.
    pub instances: Vec<String>,
}

/// The parts that open something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// `loft-cli`: what the command line reads.
    CommandLine,
    /// `vcluster`: a virtual cluster that reports about itself.
    VirtualCluster,
    /// `metrics-reader`.
    MetricsReader,
}

/// A rule in the manner of audit policies. What is left out stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeRule {
    /// Verbs; `*` is all.
    pub verbs: Vec<String>,
    /// Resources.
    pub resources: Vec<RuleResources>,
    /// Namespaces; the empty one stands for what has none.
    pub namespaces: Vec<String>,
    /// Paths, which may end in `*`.
    pub paths: Vec<String>,
}

/// Resources of one API group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleResources {
    /// The group.
    pub group: String,
    /// `r`, `r/subresource`, `r/*`, `*/subresource` or `*`; none is all.
    pub resources: Vec<String>,
    /// Names of objects; none is all.
    pub names: Vec<String>,
}

/// A resource as rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleTarget<'a> {
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    /// `None`: all namespaces at once.
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
}

/// Whether a list that may hold `*` holds a name.
pub(crate) fn names(list: &[String], name: &str) -> bool {
    list.iter().any(|one| one == "*" || one == name)
}

fn all_or_names(list: &[String], name: &str) -> bool {
    list.is_empty() || names(list, name)
}

impl ScopeRule {
    /// Whether the rule lets a resource be touched.
    pub(crate) fn covers(&self, verb: &str, target: RuleTarget<'_>) -> bool {
        let here = match target.namespace {
            Some(namespace) => self.namespaces.is_empty() || self.namespaces.iter().any(|one| one == namespace),
            None => self.namespaces.is_empty(),
        };
        // A rule that names paths alone speaks of no resources.
        let this =
            if self.resources.is_empty() { self.paths.is_empty() } else { self.resources.iter().any(|resources| resources.covers(target)) };
        all_or_names(&self.verbs, verb) && here && this
    }

    /// Whether the rule lets a path be asked for.
    pub(crate) fn covers_path(&self, verb: &str, path: &str) -> bool {
        let matches = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => pattern == path,
        };
        let this =
            if self.paths.is_empty() { self.resources.is_empty() && self.namespaces.is_empty() } else { self.paths.iter().any(matches) };
        all_or_names(&self.verbs, verb) && this
    }
}

impl RuleResources {
    fn covers(&self, target: RuleTarget<'_>) -> bool {
        let RuleTarget { group, resource, subresource, name, .. } = target;
        let this = |pattern: &String| match pattern.split_once('/') {
            None => pattern == "*" || subresource.is_empty() && pattern == resource,
            Some((of, sub)) => !subresource.is_empty() && (of == "*" || of == resource) && (sub == "*" || sub == subresource),
        };
        (self.group == "*" || self.group == group)
            && (self.resources.is_empty() || self.resources.iter().any(this))
            && (self.names.is_empty() || self.names.iter().any(|one| one == name))
    }
}

impl KeyScope {
    /// Whether everything that this scope covers is covered by the other. Sure when it says yes; of two rules that are
    /// written differently it does not find out that they mean the same.
    pub fn within(&self, other: &Self) -> bool {
        if self.parts.is_none() && self.rules.is_none() {
            return true;
        }
        let parts = match (&self.parts, &other.parts) {
            (_, None) => other.rules.is_some(),
            (None, Some(_)) => false,
            (Some(own), Some(other)) => own.within(other),
        };
        let rules = match (&self.rules, &other.rules) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(other)) => own.iter().all(|rule| other.contains(rule)),
        };
        parts && rules
    }
}

impl ScopeParts {
    fn within(&self, other: &Self) -> bool {
        let in_project = |project: &String| names(&other.projects, project);
        let in_instance = |(project, instance): &(String, String)| {
            let is = |allowed: &str, name: &str| allowed == "*" || allowed == name;
            in_project(project) || other.instances.iter().any(|(p, i)| is(p, project) && is(i, instance))
        };
        self.roles.iter().all(|role| other.roles.iter().any(|bound| role.within(bound)))
            && self.projects.iter().all(in_project)
            && self.instances.iter().all(in_instance)
    }
}

impl RoleInScope {
    fn within(&self, other: &Self) -> bool {
        let narrower = |own: &[String], bound: &[String]| bound.is_empty() || !own.is_empty() && own.iter().all(|name| names(bound, name));
        self.role == other.role && narrower(&self.projects, &other.projects) && narrower(&self.instances, &other.instances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    fn parts(projects: &[&str], instances: &[(&str, &str)]) -> KeyScope {
        let instances = instances.iter().map(|&(project, instance)| (project.into(), instance.into())).collect();
        KeyScope { parts: Some(ScopeParts { roles: Vec::new(), projects: strings(projects), instances }), rules: None }
    }

    fn cli(projects: &[&str]) -> KeyScope {
        let role = RoleInScope { role: KeyRole::CommandLine, projects: strings(projects), instances: Vec::new() };
        KeyScope { parts: Some(ScopeParts { roles: vec![role], ..ScopeParts::default() }), rules: None }
    }

    fn rules(verbs: &[&[&str]]) -> KeyScope {
        let rule = |verbs: &&[&str]| ScopeRule { verbs: strings(verbs), ..ScopeRule::default() };
        KeyScope { parts: None, rules: Some(verbs.iter().map(rule).collect()) }
    }

    #[test]
    fn a_scope_lies_within_another_when_that_covers_all_of_it() {
        let both = KeyScope { rules: rules(&[&["get"]]).rules, ..parts(&["a"], &[]) };
        let cases = [
            (parts(&["a"], &[]), parts(&["a", "b"], &[]), true),
            (parts(&["a", "b"], &[]), parts(&["a"], &[]), false),
            (parts(&["a"], &[]), parts(&["*"], &[]), true),
            (parts(&["*"], &[]), parts(&["a"], &[]), false),
            (parts(&[], &[("a", "x")]), parts(&["a"], &[]), true),
            (parts(&[], &[("a", "x")]), parts(&[], &[("a", "*")]), true),
            (parts(&[], &[("a", "*")]), parts(&[], &[("a", "x")]), false),
            (parts(&["a"], &[]), parts(&[], &[("a", "*")]), false),
            (cli(&["a"]), cli(&[]), true),
            (cli(&[]), cli(&["a"]), false),
            (cli(&["a"]), parts(&["a"], &[]), false),
            (rules(&[&["get"]]), rules(&[&["get"], &["list"]]), true),
            (rules(&[&["get"], &["list"]]), rules(&[&["get"]]), false),
            (rules(&[&["get"]]), parts(&["a"], &[]), false),
            (parts(&["a"], &[]), rules(&[&["get"]]), false),
            (both.clone(), parts(&["a"], &[]), true),
            (both.clone(), rules(&[&["get"]]), true),
            (parts(&["a"], &[]), both.clone(), false),
            (both.clone(), both, true),
            (KeyScope::default(), parts(&[], &[]), true),
            (parts(&["a"], &[]), KeyScope::default(), false),
        ];
        for (own, other, want) in cases {
            assert_eq!(own.within(&other), want, "{own:?} in {other:?}");
        }
    }

    #[test]
    fn rules_match_as_audit_policies_do() {
        let on = |group: &str, resources: &[&str], names: &[&str]| RuleResources {
            group: group.into(),
            resources: strings(resources),
            names: strings(names),
        };
        let rule = |verbs: &[&str], resources: Vec<RuleResources>, namespaces: &[&str], paths: &[&str]| ScopeRule {
            verbs: strings(verbs),
            resources,
            namespaces: strings(namespaces),
            paths: strings(paths),
        };
        let target = RuleTarget { group: "g", resource: "r", subresource: "", namespace: Some("n"), name: "x" };
        let status = RuleTarget { subresource: "status", ..target };
        let everywhere = RuleTarget { namespace: None, name: "", ..target };
        let cases = [
            (rule(&[], vec![], &[], &[]), target, true),
            (rule(&["get"], vec![], &[], &[]), target, true),
            (rule(&["*"], vec![], &[], &[]), target, true),
            (rule(&["list"], vec![], &[], &[]), target, false),
            (rule(&[], vec![on("g", &[], &[])], &[], &[]), target, true),
            (rule(&[], vec![on("other", &[], &[])], &[], &[]), target, false),
            (rule(&[], vec![on("g", &["r"], &[])], &[], &[]), target, true),
            (rule(&[], vec![on("g", &["r"], &[])], &[], &[]), status, false),
            (rule(&[], vec![on("g", &["r/status"], &[])], &[], &[]), status, true),
            (rule(&[], vec![on("g", &["r/status"], &[])], &[], &[]), target, false),
            (rule(&[], vec![on("g", &["r/*"], &[])], &[], &[]), status, true),
            (rule(&[], vec![on("g", &["r/*"], &[])], &[], &[]), target, false),
            (rule(&[], vec![on("g", &["*/status"], &[])], &[], &[]), status, true),
            (rule(&[], vec![on("g", &["*"], &[])], &[], &[]), status, true),
            (rule(&[], vec![on("*", &["r"], &[])], &[], &[]), target, true),
            (rule(&[], vec![on("g", &["r"], &["x"])], &[], &[]), target, true),
            (rule(&[], vec![on("g", &["r"], &["y"])], &[], &[]), target, false),
            (rule(&[], vec![on("g", &["r"], &["x"])], &[], &[]), everywhere, false),
            (rule(&[], vec![], &["n"], &[]), target, true),
            (rule(&[], vec![], &["m"], &[]), target, false),
            (rule(&[], vec![], &[""], &[]), RuleTarget { namespace: Some(""), ..target }, true),
            (rule(&[], vec![], &[""], &[]), everywhere, false),
            (rule(&[], vec![], &["n"], &[]), everywhere, false),
            (rule(&[], vec![], &[], &[]), everywhere, true),
            (rule(&[], vec![], &[], &["/metrics"]), target, false),
        ];
        for (rule, target, want) in cases {
            assert_eq!(rule.covers("get", target), want, "{rule:?} on {target:?}");
        }
        let paths = [
            (rule(&[], vec![], &[], &[]), "/metrics", true),
            (rule(&["get"], vec![], &[], &["/metrics"]), "/metrics", true),
            (rule(&["post"], vec![], &[], &["/metrics"]), "/metrics", false),
            (rule(&[], vec![], &[], &["/met*"]), "/metrics", true),
            (rule(&[], vec![], &[], &["/logs*"]), "/metrics", false),
            (rule(&[], vec![on("g", &[], &[])], &[], &[]), "/metrics", false),
            (rule(&[], vec![], &["n"], &[]), "/metrics", false),
        ];
        for (rule, path, want) in paths {
            assert_eq!(rule.covers_path("get", path), want, "{rule:?} on {path}");
        }
    }
}
