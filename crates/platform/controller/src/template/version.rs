//! Which definition an instance is made from.
//!
//! - A template written out in the instance is applied whenever it changes.
//! - A template with versions is matched anew each time, so that `1.x.x` follows it and changes of a pinned version arrive.
//! - A template without versions is applied once, so that its author does not change running clusters. `syncOnce` applies it
//!   again, and the version `x.x.x` follows it.

use super::{
    NEW_TEMPLATE_VERSION_AVAILABLE, TEMPLATE_CHANGES_AVAILABLE, TEMPLATE_NOT_FOUND, TemplateError, VERSION_ERROR, VERSION_NOT_FOUND, quoted,
};
use semver::Version;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use vci_management::types::{AppParameter, VirtualClusterTemplateDefinition};
use vci_management::virtualclusterinstance::{TemplateRef, VirtualClusterInstanceSpec};
use vci_management::virtualclustertemplate::{TemplateVersion, VirtualClusterTemplate};

/// The pattern that follows a template without versions.
const FOLLOW: &str = "x.x.x";

/// What is known of the template that was applied last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied<'a> {
    /// None was.
    Nothing,
    /// One was, with this [`Resolution::digest`]. Empty when that is not known.
    Digest(&'a str),
}

/// A definition that was found, and what is to be done about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolution<'a> {
    /// What the virtual cluster is made from.
    pub definition: &'a VirtualClusterTemplateDefinition,
    /// The parameters that the definition declares; `None` where it cannot declare any, because it stands in the instance.
    pub parameters: Option<&'a [AppParameter]>,
    /// The version of the template, where it has versions.
    pub version: Option<&'a str>,
    /// Names the template and its contents. To be kept as the digest of what is applied, when it is.
    pub digest: String,
    /// Whether the definition is to be rendered and applied. Otherwise what was applied last stays.
    pub apply: bool,
    /// Why TemplateSynced is False; `None`: it is True. This only informs.
    pub pending: Option<TemplateError>,
    /// The new `spec.templateRef`, when it is to be written back: `syncOnce` is done, or a version that cannot be is cleared.
    pub write_back: Option<TemplateRef>,
}

/// Finds the definition of an instance. `template` is the object that `spec.templateRef` names, when it is there.
///
/// # Errors
/// There is no template, its version is none, or it has no such version.
pub fn resolve<'a>(
    spec: &'a VirtualClusterInstanceSpec,
    template: Option<&'a VirtualClusterTemplate>,
    applied: Applied<'_>,
) -> Result<Resolution<'a>, TemplateError> {
    let reference = spec.template_ref.as_ref().filter(|reference| !reference.name.is_empty());
    match (reference, &spec.template) {
        (Some(reference), _) => {
            let absent = || format!("there is no template {}; correct spec.templateRef.name", quoted(&reference.name));
            let template = template.ok_or_else(|| TemplateError::new(TEMPLATE_NOT_FOUND, absent()))?;
            by_reference(reference, template, applied)
        }
        (None, Some(definition)) => Ok(inline(definition)),
        (None, None) => {
            Err(TemplateError::new(TEMPLATE_NOT_FOUND, "the instance has no template; set spec.templateRef.name or spec.template"))
        }
    }
}

fn inline(definition: &VirtualClusterTemplateDefinition) -> Resolution<'_> {
    let digest = digest("", definition, &[]);
    Resolution { definition, parameters: None, version: None, digest, apply: true, pending: None, write_back: None }
}

fn by_reference<'a>(
    reference: &TemplateRef,
    template: &'a VirtualClusterTemplate,
    applied: Applied<'_>,
) -> Result<Resolution<'a>, TemplateError> {
    let mut wanted = TemplateRef { sync_once: false, ..reference.clone() };
    let pattern = Pattern::parse(&reference.version)?;
    let mut resolution = if template.spec.versions.is_empty() {
        if pattern.follows_in_capitals() {
            wanted.version.clear();
        }
        unversioned(reference, &pattern, template, applied)?
    } else {
        versioned(reference, &pattern, &template.spec.versions)?
    };
    resolution.write_back = (wanted != *reference).then_some(wanted);
    Ok(resolution)
}

fn unversioned<'a>(
    reference: &TemplateRef,
    pattern: &Pattern<'_>,
    template: &'a VirtualClusterTemplate,
    applied: Applied<'_>,
) -> Result<Resolution<'a>, TemplateError> {
    if !pattern.is_wild() {
        let message = format!(
            "template {} has no versions, and {} asks for one; clear spec.templateRef.version",
            quoted(&reference.name),
            quoted(&reference.version)
        );
        return Err(TemplateError::new(VERSION_NOT_FOUND, message));
    }
    let spec = &template.spec;
    let digest = digest(&reference.name, &spec.template, &spec.parameters);
    let is_new = match applied {
        Applied::Nothing => true,
        // Of another template: whoever changes the reference means it.
        Applied::Digest(last) => last == digest || !last.is_empty() && template_of(last) != template_of(&digest),
    };
    let apply = is_new || reference.sync_once || reference.version == FOLLOW;
    let pending = || {
        let message = format!(
            "template {} was changed since it was applied; set spec.templateRef.syncOnce to apply it, or the version x.x.x to follow it",
            quoted(&reference.name)
        );
        TemplateError::new(TEMPLATE_CHANGES_AVAILABLE, message)
    };
    Ok(Resolution {
        definition: &spec.template,
        parameters: Some(&spec.parameters),
        version: None,
        digest,
        apply,
        pending: (!apply).then(pending),
        write_back: None,
    })
}

fn versioned<'a>(reference: &TemplateRef, pattern: &Pattern<'_>, versions: &'a [TemplateVersion]) -> Result<Resolution<'a>, TemplateError> {
    // What is no version cannot be chosen.
    let known = || versions.iter().filter_map(|entry| Some((parse(&entry.version)?, entry)));
    let found = known().filter(|(version, _)| pattern.matches(version)).max_by(|(a, _), (b, _)| a.cmp(b));
    let Some((version, entry)) = found else {
        let message =
            format!("template {} has no version {}; correct spec.templateRef.version", quoted(&reference.name), quoted(&reference.version));
        return Err(TemplateError::new(VERSION_NOT_FOUND, message));
    };
    let newest = known().map(|(version, _)| version).max().filter(|newest| *newest > version);
    let pending = newest.map(|newest| {
        let message = format!("template {} has version {newest}, which is newer than {version}", quoted(&reference.name));
        TemplateError::new(NEW_TEMPLATE_VERSION_AVAILABLE, message)
    });
    Ok(Resolution {
        definition: &entry.template,
        parameters: Some(&entry.parameters),
        version: Some(&entry.version),
        digest: digest(&reference.name, &entry.template, &entry.parameters),
        apply: true,
        pending,
        write_back: None,
    })
}

fn parse(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

/// Three parts, each a number or `x`. A part that is neither matches nothing.
#[derive(Clone, Copy, Debug)]
struct Pattern<'a> {
    parts: [&'a str; 3],
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Ok(Self { parts: ["x"; 3] });
        }
        let parts: Vec<_> = text.strip_prefix('v').unwrap_or(text).split('.').collect();
        let parts = parts.try_into().map_err(|_| {
            let message = format!("version {} must be three parts separated by dots, each a number or x, such as 1.2.x", quoted(text));
            TemplateError::new(VERSION_ERROR, message)
        })?;
        Ok(Self { parts })
    }

    fn matches(&self, version: &Version) -> bool {
        let numbers = [version.major, version.minor, version.patch];
        self.parts.iter().zip(numbers).all(|(part, number)| matches!(*part, "x" | "X") || *part == number.to_string())
    }

    fn is_wild(&self) -> bool {
        self.parts.iter().all(|part| matches!(*part, "x" | "X"))
    }

    /// A pattern that would follow a template without versions if it were written in small letters.
    fn follows_in_capitals(&self) -> bool {
        self.is_wild() && self.parts.contains(&"X")
    }
}

/// `NAME@HASH`.
fn digest(name: &str, definition: &VirtualClusterTemplateDefinition, parameters: &[AppParameter]) -> String {
    let hash = Sha256::digest(json!([definition, parameters]).to_string());
    let hash = hash.iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("{name}@{hash}")
}

fn template_of(digest: &str) -> &str {
    digest.rsplit_once('@').map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;

    fn instance(reference: &Value) -> VirtualClusterInstanceSpec {
        serde_json::from_value(json!({"templateRef": reference})).unwrap()
    }

    fn template(versions: &[&str]) -> VirtualClusterTemplate {
        let versions: Vec<_> = versions.iter().map(|version| json!({"version": version, "template": {"objects": version}})).collect();
        serde_json::from_value(json!({"spec": {"versions": versions, "template": {"objects": "unversioned"}}})).unwrap()
    }

    #[test]
    fn the_highest_version_that_matches_is_chosen() {
        type Row<'a> = (&'a [&'a str], &'a str, Result<&'a str, &'a str>, bool);
        let all = ["1.0.0", "1.2.3", "v1.10.0", "2.0.0-rc.1", "junk", "1.2.10"];
        let table: [Row<'_>; 15] = [
            (&all, "", Ok("2.0.0-rc.1"), false),
            (&all, "x.x.x", Ok("2.0.0-rc.1"), false),
            (&all, "X.X.X", Ok("2.0.0-rc.1"), false),
            (&all, "1.x.x", Ok("v1.10.0"), true),
            (&all, "1.2.x", Ok("1.2.10"), true),
            (&all, "v1.2.X", Ok("1.2.10"), true),
            (&all, "1.2.3", Ok("1.2.3"), true),
            (&all, "x.0.0", Ok("2.0.0-rc.1"), false),
            (&all, "3.x.x", Err(VERSION_NOT_FOUND), false),
            (&all, "a.b.c", Err(VERSION_NOT_FOUND), false),
            (&all, "1.2", Err(VERSION_ERROR), false),
            (&all, "1.2.3.4", Err(VERSION_ERROR), false),
            (&["junk"], "", Err(VERSION_NOT_FOUND), false),
            (&[], "1.2.3", Err(VERSION_NOT_FOUND), false),
            (&[], "1", Err(VERSION_ERROR), false),
        ];
        for (versions, pattern, want, newer) in table {
            let (spec, template) = (instance(&json!({"name": "t", "version": pattern})), template(versions));
            let resolution = resolve(&spec, Some(&template), Applied::Digest("t@0"));
            let got = resolution.as_ref().map(|found| found.version.unwrap()).map_err(|error| error.reason);
            assert_eq!(got, want, "{pattern}");
            if let Ok(found) = resolution {
                assert_eq!(found.definition.objects, want.unwrap());
                assert!(found.apply && found.write_back.is_none());
                assert_eq!(found.pending.map(|pending| pending.reason), newer.then_some(NEW_TEMPLATE_VERSION_AVAILABLE), "{pattern}");
            }
        }
    }

    #[test]
    fn a_template_without_versions_is_applied_once_unless_somebody_says_so() {
        let template = template(&[]);
        let now = digest("t", &template.spec.template, &[]);
        let table = [
            // version, syncOnce, applied, whether to apply, written back
            ("", false, Applied::Nothing, true, None),
            ("", false, Applied::Digest(&now), true, None),
            ("", false, Applied::Digest("t@old"), false, None),
            ("", false, Applied::Digest(""), false, None),
            ("", false, Applied::Digest("other@old"), true, None),
            ("", true, Applied::Digest("t@old"), true, Some("")),
            ("", true, Applied::Nothing, true, Some("")),
            ("x.x.x", false, Applied::Digest("t@old"), true, None),
            ("X.X.X", false, Applied::Digest("t@old"), false, Some("")),
            ("x.X.x", true, Applied::Digest("t@old"), true, Some("")),
        ];
        for (version, sync_once, applied, apply, written) in table {
            let spec = instance(&json!({"name": "t", "version": version, "syncOnce": sync_once}));
            let found = resolve(&spec, Some(&template), applied).unwrap();
            assert_eq!(found.apply, apply, "{version} {sync_once} {applied:?}");
            let pending = found.pending.as_ref().map(|pending| pending.reason);
            assert_eq!(pending, (!apply).then_some(TEMPLATE_CHANGES_AVAILABLE), "{version} {sync_once} {applied:?}");
            let want = written.map(|version| TemplateRef { name: "t".into(), version: version.into(), sync_once: false });
            assert_eq!(found.write_back, want, "{version} {sync_once} {applied:?}");
        }
    }

    #[test]
    fn a_template_that_is_not_there_is_told_and_changes_nothing() {
        let written_out: VirtualClusterInstanceSpec = serde_json::from_value(json!({"template": {"objects": "o"}})).unwrap();
        let found = resolve(&written_out, None, Applied::Digest("@old")).unwrap();
        assert!(found.apply && found.parameters.is_none() && found.definition.objects == "o");

        for (spec, named) in [(json!({"name": "nope", "syncOnce": true}), "\"nope\""), (json!({}), "spec.templateRef.name")] {
            let spec = instance(&spec);
            let error = resolve(&spec, None, Applied::Nothing).unwrap_err();
            assert!(error.reason == TEMPLATE_NOT_FOUND && error.message.contains(named), "{error}");
        }
    }
}
