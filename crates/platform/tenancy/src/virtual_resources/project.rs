//! Views of a project for its members: the other members, and the templates and clusters that they may use.
//!
//! Fields that callers see, here and in the project itself (see `private_part` of its kind):
//!
//! |                                          | may change the project | other members               | may get the template |
//! |------------------------------------------|------------------------|-----------------------------|----------------------|
//! | users' names, display names, icons       | all                    | all                         |                      |
//! | their e-mails, login names and subjects  | all                    | their own                   |                      |
//! | teams' names and display names           | all                    | all                         |                      |
//! | `status.quotas`: limits, and in all      | all                    | all                         |                      |
//! | `status.quotas`: use by users and teams  | all                    | their own, and their teams' |                      |
//! | `spec.vault.auth`                        | all                    | nothing                     |                      |
//! | templates: names, versions, parameters   | all                    | all                         | all                  |
//! | host clusters that the project allows    | all                    | all                         |                      |
//! | templates: what is made from them        | nothing                | nothing                     | all                  |
//!
//! A project may be changed by its owner, its admins, users and teams whom an access rule grants that, and administrators.

use super::objects::{Objects, json, read, team_info, user_info};
use super::offered_template::offered;
use crate::admission::templates;
use apiserver_auth::Target;
use apiserver_endpoints::{VirtualRequest, VirtualResource};
use apiserver_meta::{ApiError, RequestContext, Schema, VirtualDescriptor};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use vci_management::access::Caller;
use vci_management::computed::{
    PROJECT_CLUSTERS, PROJECT_MEMBERS, PROJECT_TEMPLATES, ProjectMember, project_clusters_schema, project_members_schema,
    project_templates_schema,
};
use vci_management::plural::{CLUSTERS, TEAMS, TEMPLATES, USERS};
use vci_management::project::{AllowedTemplate, Member, Project};
use vci_management::types::EntityInfo;
use vci_management::{GROUP, VERSION};

/// `GET /projects/NAME/members`: the users and teams that the project names and that there are. The name `*` stands for all.
#[derive(Debug)]
pub(crate) struct Members(pub(crate) Objects);

#[async_trait]
impl VirtualResource for Members {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        &PROJECT_MEMBERS
    }

    fn schema(&self) -> &Schema {
        project_members_schema()
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let Project { spec, .. } = asked.parent()?;
        let mut users = self.users(asked.ctx, &names(&spec.members, "User")).await?;
        let teams = self.teams(asked.ctx, &names(&spec.members, "Team")).await?;
        if !asked.sees_all_of_parent().await {
            let own = Caller::of(&asked.identity.principal).user.as_deref();
            users.iter_mut().filter(|user| own != Some(user.info.name.as_str())).for_each(|user| conceal(&mut user.info));
        }
        Ok(json!({ "users": json(&users)?, "teams": json(&teams)? }))
    }
}

impl Members {
    async fn users(&self, ctx: &RequestContext, names: &BTreeSet<&str>) -> Result<Vec<ProjectMember>, ApiError> {
        let mut users = Vec::new();
        if names.contains("*") {
            for item in self.0.all(ctx, USERS).await? {
                users.push(ProjectMember { info: user_info(&item)? });
            }
            return Ok(users);
        }
        for name in names {
            users.extend(self.0.user(ctx, name).await?.map(|info| ProjectMember { info }));
        }
        Ok(users)
    }

    async fn teams(&self, ctx: &RequestContext, names: &BTreeSet<&str>) -> Result<Vec<ProjectMember>, ApiError> {
        let mut teams = Vec::new();
        if names.contains("*") {
            for item in self.0.all(ctx, TEAMS).await? {
                teams.push(ProjectMember { info: team_info(&item)? });
            }
            return Ok(teams);
        }
        for name in names {
            teams.extend(self.0.team(ctx, name).await?.map(|info| ProjectMember { info }));
        }
        Ok(teams)
    }
}

/// Leaves of a user what others share and pick by. In place of the names to log in with, which clients show, stands the object's.
fn conceal(user: &mut EntityInfo) {
    user.email.clear();
    (user.username, user.subject) = (user.name.clone(), user.name.clone());
}

/// The members of a kind whose role gives them something.
fn names<'a>(members: &'a [Member], kind: &str) -> BTreeSet<&'a str> {
    members.iter().filter(|member| member.kind == kind && member.has_known_role()).map(|member| member.name.as_str()).collect()
}

/// `GET /projects/NAME/templates`: the templates that the project allows and that there are. Whole are those that the caller may get;
/// of the others only what they are chosen by.
#[derive(Debug)]
pub(crate) struct Templates(pub(crate) Objects);

#[async_trait]
impl VirtualResource for Templates {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        &PROJECT_TEMPLATES
    }

    fn schema(&self) -> &Schema {
        project_templates_schema()
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let Project { spec, .. } = asked.parent()?;
        let readable = asked.view("get", &all_templates()).await;
        let mut allowed: Vec<Value> = Vec::new();
        for item in self.0.all(asked.ctx, TEMPLATES).await? {
            if templates::allows(&spec, item.name()) {
                let is_readable = readable.as_ref().is_some_and(|view| view.allows("", &item.facts));
                allowed.push(if is_readable { read(&item)? } else { offered(read(&item)?)? });
            }
        }
        let is_there = |name: &str| allowed.iter().any(|template| template["metadata"]["name"] == name);
        let default = default_template(&spec.allowed_templates).filter(|name| is_there(name)).map(str::to_owned);
        let mut answer = json!({ "virtualClusterTemplates": allowed });
        if let Some(default) = default {
            answer["defaultVirtualClusterTemplate"] = default.into();
        }
        Ok(answer)
    }
}

fn all_templates() -> Target {
    Target::Resource {
        group: GROUP.into(),
        version: VERSION.into(),
        resource: TEMPLATES.into(),
        subresource: String::new(),
        namespace: String::new(),
        name: String::new(),
    }
}

fn default_template(allowed: &[AllowedTemplate]) -> Option<&str> {
    let for_instances = allowed.iter().filter(|entry| templates::is_of_instances(entry));
    for_instances.filter(|entry| entry.is_default).map(|entry| entry.name.as_str()).next()
}

/// `GET /projects/NAME/clusters`: the host clusters that the project allows and that there are.
#[derive(Debug)]
pub(crate) struct Clusters(pub(crate) Objects);

#[async_trait]
impl VirtualResource for Clusters {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        &PROJECT_CLUSTERS
    }

    fn schema(&self) -> &Schema {
        project_clusters_schema()
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let Project { spec, .. } = asked.parent()?;
        let mut allowed: Vec<Value> = Vec::new();
        for item in self.0.all(asked.ctx, CLUSTERS).await? {
            if spec.allows_cluster(item.name()) {
                allowed.push(read(&item)?);
            }
        }
        Ok(json!({ "clusters": allowed }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "VirtualClusterTemplate";

    fn entry(kind: &str, name: &str, is_default: bool) -> AllowedTemplate {
        AllowedTemplate { kind: kind.into(), name: name.into(), is_default, ..AllowedTemplate::default() }
    }

    #[test]
    fn the_template_that_is_taken_unasked() {
        let cases: [(&[AllowedTemplate], Option<&str>); 5] = [
            (&[], None),
            (&[entry(KIND, "*", false)], None),
            (&[entry("", "a", true)], Some("a")),
            (&[entry(KIND, "b", false), entry(KIND, "a", true)], Some("a")),
            (&[entry("SpaceTemplate", "s", true), entry("", "a", true)], Some("a")),
        ];
        for (allowed, want) in cases {
            assert_eq!(default_template(allowed), want, "{allowed:?}");
        }
    }

    #[test]
    fn only_members_with_a_role_count() {
        let member = |kind: &str, name: &str, role: &str| Member {
            kind: kind.into(),
            name: name.into(),
            cluster_role: role.into(),
            ..Member::default()
        };
        let members = [
            member("User", "b", "loft-management-project-user"),
            member("User", "a", "admin"),
            member("User", "a", "viewer"),
            member("User", "c", "none"),
            member("Team", "t", "viewer"),
        ];
        assert_eq!(names(&members, "User").into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(names(&members, "Team").into_iter().collect::<Vec<_>>(), ["t"]);
    }
}
