//! A kind like those that are served, and a server that does with it what comes before and after this crate.

use super::schemas::*;
use crate::{ApplyError, Manager, ResetField, apply, update};
use apiserver_meta::schema::Presence::{Always, OmitZero};
use apiserver_meta::types::ObjectMeta;
use apiserver_meta::{Object, Schema, decode};
use serde_json::{Value, json};

pub(super) const VERSION: &str = "library.example.com/v1";

pub(super) fn schema() -> Schema {
    let rule =
        object([("name", string()), ("verbs", atomic(set(string()))), ("users", atomic(set(string()))), ("teams", atomic(set(string())))]);
    let condition = object([("type", string()), ("status", string()), ("reason", string()), ("lastTransitionTime", string())]);
    let spec = object([
        ("displayName", string()),
        ("description", string()),
        ("owner", object([("user", string()), ("team", string())])),
        ("templateRef", object([("name", string()), ("version", string())])),
        ("clusterRef", object([("cluster", string()), ("namespace", string())])),
        ("parameters", string()),
        ("replicas", number()),
        ("selector", atomic(map(string()))),
        ("access", atomic(keyed(["name"], rule))),
        ("containers", keyed(["name"], object([("name", string()), ("image", string())]))),
        ("data", map(string())),
        ("free", Schema::any().as_ref().clone()),
    ]);
    let status = object([("phase", string()), ("reason", string()), ("message", string()), ("conditions", keyed(["type"], condition))]);
    let kind = object([
        ("apiVersion", string()),
        ("kind", string()),
        ("metadata", Schema::of::<ObjectMeta>()),
        ("spec", with_presence(with_presence(spec, "clusterRef", Always), "containers", OmitZero)),
        ("status", status),
    ]);
    ["metadata", "spec", "status"].into_iter().fold(kind, |kind, name| with_presence(kind, name, Always))
}

/// One stored object.
pub(super) struct Server {
    pub(super) schema: Schema,
    pub(super) live: Option<Object>,
    seconds: u32,
}

impl Server {
    pub(super) fn new() -> Self {
        Self { schema: schema(), live: None, seconds: 0 }
    }

    /// Writes the object anew, as `who` or `who/subresource`, a second later than the write before.
    pub(super) fn put(&mut self, who: &str, body: Value) -> &Object {
        let (mut new, time) = (canonical(&self.schema, body), self.tick());
        let (name, subresource) = who.split_once('/').unwrap_or((who, ""));
        let old = self.live.clone().unwrap_or_else(|| canonical(&self.schema, json!({})));
        if subresource.is_empty() {
            new.0.insert("status".into(), old.0["status"].clone());
        } else {
            let sent = new.metadata_mut().remove("managedFields");
            new = Object(
                [("status".into(), new.0["status"].clone())]
                    .into_iter()
                    .chain(old.0.clone().into_iter().filter(|(k, _)| k != "status"))
                    .collect(),
            );
            if let Some(sent) = sent {
                new.metadata_mut().insert("managedFields".into(), sent);
            }
        }
        update(&self.schema, self.live.as_ref(), &mut new, manager(name, subresource, &time), reset(subresource));
        self.store(new)
    }

    /// Writes the object with some change.
    pub(super) fn patch(&mut self, who: &str, change: impl FnOnce(&mut Value)) -> &Object {
        let mut body = self.live.clone().unwrap_or_default().into_value();
        change(&mut body);
        self.put(who, body)
    }

    pub(super) fn apply(&mut self, who: &str, body: Value) -> Result<&Object, ApplyError> {
        self.try_apply(who, body, false)
    }

    pub(super) fn force(&mut self, who: &str, body: Value) -> &Object {
        self.try_apply(who, body, true).unwrap()
    }

    fn try_apply(&mut self, who: &str, mut body: Value, force: bool) -> Result<&Object, ApplyError> {
        let time = self.tick();
        let (name, subresource) = who.split_once('/').unwrap_or((who, ""));
        for (member, value) in [("apiVersion", VERSION), ("kind", "Book")] {
            body.as_object_mut().unwrap().entry(member).or_insert(value.into());
        }
        let applied = Object::from_value(body).unwrap();
        let new = apply(&self.schema, self.live.as_ref(), &applied, manager(name, subresource, &time), force, reset(subresource))?;
        Ok(self.store(new))
    }

    fn tick(&mut self) -> String {
        self.seconds += 1;
        format!("2026-01-02T03:{:02}:{:02}Z", self.seconds / 60, self.seconds % 60)
    }

    fn store(&mut self, mut new: Object) -> &Object {
        let same = canonical(&self.schema, new.clone().into_value()) == new;
        assert!(same, "not canonical: {:.2000}", serde_json::to_string(&new.0).unwrap());
        if self.live.is_none() {
            new.set_meta_str("uid", "u-1");
            new.set_meta_str("creationTimestamp", "2026-01-02T03:00:00Z");
            new.metadata_mut().insert("generation".into(), 1.into());
        }
        self.live.insert(new)
    }

    pub(super) fn managed(&self) -> Value {
        self.live.as_ref().unwrap().metadata().get("managedFields").cloned().unwrap_or(json!([]))
    }

    /// The managers in stored order, as `name`.
    pub(super) fn managers(&self) -> Vec<String> {
        self.managed().as_array().unwrap().iter().map(|entry| entry["manager"].as_str().unwrap().to_owned()).collect()
    }

    /// A manager's entry.
    #[track_caller]
    pub(super) fn entry(&self, name: &str) -> Value {
        self.managed().as_array().unwrap().iter().find(|entry| entry["manager"] == name).unwrap().clone()
    }

    /// Who owns what, without times: `name operation subresource` and fieldsV1.
    #[track_caller]
    pub(super) fn expect(&self, step: &str, want: &[(&str, Value)]) {
        let got: Vec<(String, Value)> = self
            .managed()
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let text = |member: &str| entry[member].as_str().unwrap_or("");
                assert!(!text("time").is_empty(), "{step}");
                assert_eq!((text("apiVersion"), text("fieldsType")), (VERSION, "FieldsV1"), "{step}");
                let who = format!("{} {} {}", text("manager"), text("operation"), text("subresource"));
                (who.trim_end().to_owned(), entry["fieldsV1"].clone())
            })
            .collect();
        let want: Vec<(String, Value)> = want.iter().map(|(who, set)| ((*who).to_owned(), set.clone())).collect();
        assert_eq!(got, want, "{step}");
    }
}

pub(super) fn manager<'a>(name: &'a str, subresource: &'a str, time: &'a str) -> Manager<'a> {
    Manager { name, api_version: VERSION, subresource, time }
}

pub(super) fn reset(subresource: &str) -> &'static [ResetField] {
    if subresource.is_empty() { &[&["status"]] } else { &[&["metadata"], &["spec"]] }
}

/// As the decoder makes it, but that an empty list of managed fields stays: it is said, not zero.
#[track_caller]
pub(super) fn canonical(schema: &Schema, body: Value) -> Object {
    let empty_list = body["metadata"].get("managedFields").is_some_and(|list| *list == json!([]));
    let mut object = Object::from_value(decode::conform(body, schema).unwrap().value).unwrap();
    if empty_list {
        object.metadata_mut().insert("managedFields".into(), json!([]));
    }
    object
}
