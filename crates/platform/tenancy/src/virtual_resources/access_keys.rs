//! The access keys of a user or a team: never a secret, nor what could tell one.

use super::objects::{Objects, read};
use apiserver_endpoints::{VirtualRequest, VirtualResource};
use apiserver_meta::{ApiError, Schema, VirtualDescriptor};
use async_trait::async_trait;
use serde_json::{Value, json};
use vci_management::computed::{TEAM_ACCESS_KEYS, USER_ACCESS_KEYS, team_access_keys_schema, user_access_keys_schema};
use vci_management::plural;

/// `GET /users/NAME/accesskeys` or `GET /teams/NAME/accesskeys`.
#[derive(Debug)]
pub(crate) struct AccessKeys {
    objects: Objects,
    descriptor: &'static VirtualDescriptor,
    schema: &'static Schema,
    /// The field of a key's spec that names its holder.
    holder: &'static str,
}

impl AccessKeys {
    pub(crate) fn of_users(objects: Objects) -> Self {
        Self { objects, descriptor: &USER_ACCESS_KEYS, schema: user_access_keys_schema(), holder: "user" }
    }

    pub(crate) fn of_teams(objects: Objects) -> Self {
        Self { objects, descriptor: &TEAM_ACCESS_KEYS, schema: team_access_keys_schema(), holder: "team" }
    }
}

#[async_trait]
impl VirtualResource for AccessKeys {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        self.descriptor
    }

    fn schema(&self) -> &Schema {
        self.schema
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let mut keys: Vec<Value> = Vec::new();
        for item in self.objects.all(asked.ctx, plural::ACCESS_KEYS).await? {
            let mut key: Value = read(&item)?;
            if key["spec"][self.holder] == asked.key.name.as_str() {
                hide(&mut key);
                keys.push(key);
            }
        }
        Ok(json!({ "accessKeys": keys }))
    }
}

/// Takes out the secret, if one should be there, and its hash.
fn hide(key: &mut Value) {
    for (part, field) in [("spec", "key"), ("status", "keyHash")] {
        if let Some(members) = key.get_mut(part).and_then(Value::as_object_mut) {
            members.remove(field);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_secret_nor_hash_is_shown() {
        let mut key = json!({ "spec": { "user": "ann", "key": "s" }, "status": { "keyHash": "h", "lastActivity": "t" } });
        hide(&mut key);
        assert_eq!(key, json!({ "spec": { "user": "ann" }, "status": { "lastActivity": "t" } }));
    }
}
