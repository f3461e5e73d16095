//! A project's rules about templates: which may be used, and whether one must be.
//!
//! A caller who may create `virtualclusterinstances/restricted` needs no template where others need one. Refused: asking whether the
//! template exists; the controller that makes the virtual cluster reports that in the instance's status.

use crate::project::Projects;
use apiserver_meta::{ApiError, FieldError, FieldPath, Object, RequestContext, Subresource};
use apiserver_registry::{Admission, AdmissionRequest};
use apiserver_server::admission::{Act, Permissions};
use async_trait::async_trait;
use std::sync::Arc;
use vci_management::project::{AllowedTemplate, ProjectSpec};

/// The kind of template that instances follow.
const KIND: &str = "VirtualClusterTemplate";

/// Refuses instances of a template that the project does not allow, or of none where it wants one.
#[derive(Debug)]
pub(crate) struct Templates {
    projects: Projects,
    permissions: Arc<Permissions>,
}

impl Templates {
    /// Asks these projects.
    pub(crate) fn new(projects: Projects, permissions: Arc<Permissions>) -> Self {
        Self { projects, permissions }
    }

    async fn refusal(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, name: &str) -> Result<Option<FieldError>, ApiError> {
        let path = FieldPath::new("spec").child("templateRef").child("name");
        if !name.is_empty() {
            let agrees = self.projects.agrees(ctx, request, |project| allows(project, name)).await?;
            return Ok((!agrees).then(|| FieldError::forbidden(&path, format!("the project does not allow the template {name:?}"))));
        }
        let free = needs_none(&self.projects, &self.permissions, ctx, request).await?;
        Ok((!free).then(|| FieldError::required(&path, "must not be blank")))
    }
}

#[async_trait]
impl Admission for Templates {
    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let Some(object) = object.filter(|_| request.subresource == Subresource::Main) else { return Ok(()) };
        let name = template(object);
        // What an instance has followed so far it may go on to follow; to go without a template afterwards is as in the beginning.
        if request.old.is_some_and(|old| template(old) == name) {
            return Ok(());
        }
        match self.refusal(ctx, request, name).await? {
            None => Ok(()),
            Some(error) => Err(ApiError::invalid(request.descriptor.group, request.descriptor.kind, object.name(), &[error])),
        }
    }
}

/// Whether the caller may do without a template: by the project, or by a right.
pub(super) async fn needs_none(
    projects: &Projects,
    permissions: &Permissions,
    ctx: &RequestContext,
    request: AdmissionRequest<'_>,
) -> Result<bool, ApiError> {
    let act = Act { descriptor: request.descriptor, verb: "create", subresource: "restricted", key: request.key };
    Ok(projects.agrees(ctx, request, |project| project.require_template.disabled).await? || permissions.allow(ctx, act).await)
}

fn template(instance: &Object) -> &str {
    instance.str_at(&["spec", "templateRef", "name"])
}

/// Whether instances of the project may follow a template. A list that is empty restricts nothing.
pub(crate) fn allows(project: &ProjectSpec, template: &str) -> bool {
    let allowed = &project.allowed_templates;
    allowed.is_empty() || allowed.iter().any(|entry| ["*", template].contains(&entry.name.as_str()) && is_of_instances(entry))
}

/// Whether an entry speaks of templates of instances.
pub(crate) fn is_of_instances(entry: &AllowedTemplate) -> bool {
    ["", KIND].contains(&entry.kind.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::admission::tests::{Rig, member};
    use serde_json::{Value, json};

    #[test]
    fn a_list_allows_what_it_names() {
        let table = [
            (json!([]), true),
            (json!([{"kind": KIND, "group": "storage.loft.sh", "name": "a"}]), true),
            (json!([{"name": "a"}]), true),
            (json!([{"name": "b"}, {"name": "*"}]), true),
            (json!([{"kind": "SpaceTemplate", "name": "*"}]), false),
            (json!([{"kind": KIND, "name": "b"}]), false),
            (json!([{}]), false),
        ];
        for (list, want) in table {
            let project = ProjectSpec { allowed_templates: serde_json::from_value(list.clone()).unwrap(), ..ProjectSpec::default() };
            assert_eq!(allows(&project, "a"), want, "{list}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_project_says_which_template_and_whether_one() {
        let rig = Rig::start().await;
        let members = json!([member("adam", "admin"), member("una", "user")]);
        rig.create("root", "projects", "blue", json!({"members": members, "allowedTemplates": [{"name": "good"}]})).await.unwrap();
        rig.create("root", "projects", "free", json!({"members": members, "requireTemplate": {"disabled": true}})).await.unwrap();
        rig.knows("una", "loft-p-free").await;
        let named = |name: &str| json!({"templateRef": {"name": name}});
        let blank = "spec.templateRef.name: Required value: must not be blank";
        let bad = "spec.templateRef.name: Forbidden: the project does not allow the template \"bad\"";
        // who, where, what, the refusal
        let table = [
            ("una", "blue", named("good"), None),
            ("una", "blue", named("bad"), Some(bad)),
            ("adam", "blue", named("bad"), Some(bad)),
            ("una", "blue", json!({}), Some(blank)),
            ("una", "blue", named(""), Some(blank)),
            ("una", "blue", json!({"template": {"objects": "x"}}), Some(blank)),
            ("adam", "blue", json!({}), None),
            ("root", "blue", json!({}), None),
            ("una", "free", json!({}), None),
            ("una", "free", named("whatever"), None),
        ];
        for (index, (who, project, spec, want)) in table.into_iter().enumerate() {
            let made = rig.create(who, "virtualclusterinstances", &format!("loft-p-{project}/i{index}"), spec.clone()).await;
            let refusal = made.err().map(|error| (error.code(), error.message));
            let text = |why| format!("VirtualClusterInstance.management.loft.sh \"i{index}\" is invalid: {why}");
            assert_eq!(refusal, want.map(|why| (422, text(why))), "{who} in {project}: {spec}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_allowed_stays_and_changes_are_asked_about() {
        let rig = Rig::start().await;
        let spec =
            json!({"members": [member("una", "user"), member("adam", "admin")], "allowedTemplates": [{"name": "good"}, {"name": "other"}]});
        rig.create("root", "projects", "blue", spec).await.unwrap();
        rig.knows("una", "loft-p-blue").await;
        let at = "loft-p-blue/i";
        rig.create("una", "virtualclusterinstances", at, json!({"templateRef": {"name": "good"}})).await.unwrap();
        rig.patch("root", "projects", "blue", &json!({"spec": {"allowedTemplates": [{"name": "other"}]}})).await.unwrap();
        let patch = async |who: &str, spec: Value| {
            rig.patch(who, "virtualclusterinstances", at, &json!({ "spec": spec })).await.map_err(|e| e.code())
        };
        assert_eq!(patch("una", json!({"displayName": "x", "templateRef": {"syncOnce": true}})).await, Ok(()));
        assert_eq!(patch("una", json!({"templateRef": {"name": "third"}})).await, Err(422));
        assert_eq!(patch("una", json!({"templateRef": null, "template": {"objects": "x"}})).await, Err(422));
        assert_eq!(patch("una", json!({"templateRef": {"name": "other"}})).await, Ok(()));
        assert_eq!(patch("una", json!({"templateRef": {"name": "good"}})).await, Err(422));
        assert_eq!(patch("adam", json!({"templateRef": null})).await, Ok(()));
    }
}
