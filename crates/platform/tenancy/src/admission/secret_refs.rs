//! References to secrets of projects, in what a virtual cluster is made from: the credentials of chart repositories.
//!
//! Whoever writes a definition says to which repository the credentials are sent. So to write one needs the verb `use` on each secret that
//! it names, new or not: an unchanged reference beside another repository would give the secret away as well.
//!
//! An instance names secrets of its own project. A template that leaves out the project means the project of the instance that follows
//! it, and is not asked about. One answer for all reasons: it tells nobody which secrets there are.

use super::stored::Stored;
use crate::namespace_prefix::NamespacePrefix;
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, ObjectFilter, ObjectKey, RequestContext, Scope, Subresource};
use apiserver_registry::{Admission, AdmissionRequest};
use apiserver_server::admission::{Act, Permissions};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use vci_management::plural;

/// Refuses definitions that name secrets which the caller may not use.
#[derive(Debug)]
pub(crate) struct SecretRefs {
    stored: Arc<Stored>,
    permissions: Arc<Permissions>,
    prefix: NamespacePrefix,
}

/// A secret that a definition names.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Reference<'a> {
    /// Empty: the project of the instance.
    project: &'a str,
    name: &'a str,
}

impl SecretRefs {
    pub(crate) fn new(stored: Arc<Stored>, permissions: Arc<Permissions>, prefix: NamespacePrefix) -> Self {
        Self { stored, permissions, prefix }
    }

    async fn errors(
        &self,
        ctx: &RequestContext,
        request: AdmissionRequest<'_>,
        references: BTreeSet<Reference<'_>>,
    ) -> Result<Vec<FieldError>, ApiError> {
        let is_instance = request.descriptor.scope == Scope::Namespaced;
        let own = self.prefix.project_of(&request.key.namespace).filter(|_| is_instance).unwrap_or_default();
        let path = FieldPath::new("spec").child("template");
        let mut errors = Vec::new();
        for Reference { project, name } in references {
            if is_instance && !["", own].contains(&project) {
                let why = format!("names a secret of the project {project:?}: an instance uses those of its own project");
                errors.push(FieldError::forbidden(&path, why));
                continue;
            }
            let project = if project.is_empty() { own } else { project };
            if !project.is_empty() && !self.may_use(ctx, &ObjectKey::new(self.prefix.namespace_of(project), name)).await? {
                errors.push(FieldError::forbidden(
                    &path,
                    format!("names the secret {name:?} of the project {project:?}, which may not be used"),
                ));
            }
        }
        Ok(errors)
    }

    async fn may_use(&self, ctx: &RequestContext, key: &ObjectKey) -> Result<bool, ApiError> {
        let Some(secrets) = self.stored.resource(plural::PROJECT_SECRETS) else { return Ok(false) };
        match self.permissions.filter(ctx, Act { descriptor: secrets.descriptor(), verb: "use", subresource: "", key }).await {
            None => Ok(false),
            Some(ObjectFilter::All) => Ok(true),
            Some(filter) => {
                let facts = self.stored.facts(&**secrets, key).await?;
                Ok(facts.is_some_and(|facts| filter.allows(&key.namespace, &facts)))
            }
        }
    }
}

#[async_trait]
impl Admission for SecretRefs {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let Some(object) = object.filter(|_| request.subresource == Subresource::Main) else { return Ok(()) };
        let unchanged = |old: &Object| DEFINITIONS.iter().all(|path| old.at(path) == object.at(path));
        if request.old.is_some_and(unchanged) {
            return Ok(());
        }
        let errors = self.errors(ctx, request, references(object)).await?;
        if errors.is_empty() {
            return Ok(());
        }
        Err(ApiError::invalid(request.descriptor.group, request.descriptor.kind, object.name(), &errors))
    }
}

/// Where definitions stand, in instances and templates.
const DEFINITIONS: [&[&str]; 2] = [&["spec", "template"], &["spec", "versions"]];

fn references(object: &Object) -> BTreeSet<Reference<'_>> {
    let versions = list(object.at(DEFINITIONS[1])).filter_map(|version| version.get("template"));
    let definitions = object.at(DEFINITIONS[0]).into_iter().chain(versions);
    let deployed = definitions.flat_map(|definition| [Some(definition), definition.get("spaceTemplate")]).flatten();
    let charts = deployed.flat_map(|deployed| list(deployed.get("charts")));
    let named = charts.flat_map(|chart| ["usernameRef", "passwordRef"].map(|field| chart.get(field)?.get("projectSecretRef")));
    named.flatten().map(|reference| Reference { project: text(reference, "project"), name: text(reference, "name") }).collect()
}

fn text<'a>(reference: &'a Value, field: &str) -> &'a str {
    reference.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::admission::tests::{Rig, member};
    use serde_json::{Value, json};

    const VCI: &str = "virtualclusterinstances";
    const TEMPLATES: &str = "virtualclustertemplates";

    fn chart(repository: &str, secret: &Value) -> Value {
        json!({"name": "c", "repoURL": repository, "passwordRef": {"projectSecretRef": secret}})
    }

    fn instance(secret: &Value) -> Value {
        json!({"template": {"charts": [chart("https://a.example.com", secret)]}})
    }

    /// In blue, where nobody needs a template, una and tina are users and adam is an admin; zoe has a secret in red.
    async fn rig() -> Rig {
        let rig = Rig::start().await;
        let members = json!([member("adam", "admin"), member("una", "user"), member("tina", "user")]);
        rig.create("root", "projects", "blue", json!({"members": members, "requireTemplate": {"disabled": true}})).await.unwrap();
        rig.create("root", "projects", "red", json!({"members": [member("una", "user")]})).await.unwrap();
        rig.knows("una", "loft-p-red").await;
        let access = json!([{"verbs": ["get"], "users": ["una"]}, {"verbs": ["use"], "teams": ["devs"]}]);
        for (at, spec) in [
            ("loft-p-blue/of-una", json!({"owner": {"user": "una"}})),
            ("loft-p-blue/of-adam", json!({"owner": {"user": "adam"}, "access": access})),
            ("loft-p-red/of-una", json!({"owner": {"user": "una"}})),
        ] {
            rig.create("root", "projectsecrets", at, spec).await.unwrap();
        }
        rig
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_instance_names_secrets_that_its_writer_may_use() {
        let rig = rig().await;
        let named = |name: &str| json!({"name": name, "key": "password"});
        let table = [
            ("una", named("of-una"), true),
            ("una", json!({"project": "blue", "name": "of-una"}), true),
            ("una", named("of-adam"), false),
            ("una", named("missing"), false),
            ("una", json!({"project": "red", "name": "of-una"}), false),
            ("tina", named("of-adam"), true),
            ("tina", named("of-una"), false),
            ("adam", named("of-una"), true),
            ("adam", named("missing"), true),
            ("root", named("of-adam"), true),
            ("root", json!({"project": "red", "name": "of-una"}), false),
        ];
        for (index, (who, secret, want)) in table.into_iter().enumerate() {
            let made = rig.create(who, VCI, &format!("loft-p-blue/i{index}"), instance(&secret)).await;
            assert_eq!(made.map_err(|error| error.code()).err(), (!want).then_some(422), "{who}: {secret}");
        }
        let space = json!({"template": {"spaceTemplate": {"charts": [{"usernameRef": {"projectSecretRef": named("of-adam")}}]}}});
        let error = rig.create("una", VCI, "loft-p-blue/s", space).await.unwrap_err();
        let want = "spec.template: Forbidden: names the secret \"of-adam\" of the project \"blue\", which may not be used";
        assert!(error.code() == 422 && error.message.ends_with(want), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn credentials_are_not_sent_elsewhere_by_those_who_may_not_use_them() {
        let rig = rig().await;
        let mut spec = instance(&json!({"name": "of-adam"}));
        spec["owner"] = json!({"user": "una"});
        rig.create("adam", VCI, "loft-p-blue/i", spec).await.unwrap();
        let charts = |repository: &str| json!({"spec": {"template": {"charts": [chart(repository, &json!({"name": "of-adam"}))]}}});
        let sent = rig.patch("una", VCI, "loft-p-blue/i", &charts("https://una.example.com")).await.unwrap_err();
        assert_eq!(sent.code(), 422, "{sent}");
        rig.patch("una", VCI, "loft-p-blue/i", &json!({"spec": {"displayName": "d"}})).await.unwrap();
        rig.patch("adam", VCI, "loft-p-blue/i", &charts("https://b.example.com")).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_template_names_secrets_of_projects_that_its_writer_may_use() {
        let rig = rig().await;
        let access = json!([{"verbs": ["update", "patch"], "users": ["una"]}]);
        let spec = json!({"owner": {"user": "tina"}, "access": access, "versions": [{"version": "1.0.0"}]});
        rig.create("root", TEMPLATES, "t", spec).await.unwrap();
        let versions = |secret: &Value| json!([{"version": "1.0.0", "template": {"charts": [chart("https://a.example.com", secret)]}}]);
        let table = [
            ("una", json!({"project": "red", "name": "of-una"}), true),
            ("una", json!({"project": "blue", "name": "of-adam"}), false),
            ("una", json!({"name": "of-adam"}), true),
            ("root", json!({"project": "blue", "name": "of-adam"}), true),
        ];
        for (who, secret, want) in table {
            let changed = rig.patch(who, TEMPLATES, "t", &json!({"spec": {"versions": versions(&secret)}})).await;
            assert_eq!(changed.map_err(|error| error.code()).err(), (!want).then_some(422), "{who}: {secret}");
        }
    }
}
