//! A host cluster with quotas, whose status others may change in between.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{Asked, json_cluster};
use apiserver_meta::schema::Shape;
use apiserver_meta::testing::books;
use apiserver_meta::{ObjectKey, Principal, Schema};
use apiserver_registry::Memo;
use serde_json::{Value, json};
use std::time::Instant;

const COUNT: &str = "count/books.library.example.com";

fn quota(name: &str, hard: &str, used: Option<&str>) -> Value {
    let used = used.map_or_else(|| json!({}), |used| json!({COUNT: used}));
    json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": name, "namespace": "p-a", "uid": name, "resourceVersion": "5", "labels": {"team": "a"}, "managedFields": []},
        "spec": {"hard": {COUNT: hard}},
        "status": {"hard": {COUNT: hard, "pods": "3"}, "used": used},
    })
}

/// The quotas of a cluster, and how many writes of others come between a read and a write of this server.
struct Cluster {
    quotas: Vec<Value>,
    rivals: usize,
    writes: usize,
}

impl Cluster {
    fn new(quotas: Vec<Value>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { quotas, rivals: 0, writes: 0 }))
    }

    fn answer(&mut self, asked: &Asked) -> (u16, Value) {
        if asked.path.contains("watch=true") {
            // Tried again later.
            return (503, Value::Null);
        }
        let path = asked.path.split('?').next().unwrap();
        if path == "/api/v1/resourcequotas" {
            let list = json!({"apiVersion": "v1", "kind": "ResourceQuotaList", "metadata": {"resourceVersion": "7"}, "items": self.quotas});
            return (200, list);
        }
        let name = path.trim_start_matches("/api/v1/namespaces/p-a/resourcequotas/").trim_end_matches("/status");
        let Some(live) = self.quotas.iter_mut().find(|quota| quota["metadata"]["name"] == name) else {
            return (404, status(404, "NotFound", "resourcequotas not found"));
        };
        if !path.ends_with("/status") {
            return (200, live.clone());
        }
        if self.rivals > 0 {
            self.rivals -= 1;
            add(live, 1);
        }
        if asked.body["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"] {
            return (409, status(409, "Conflict", "the object has been modified"));
        }
        assert_eq!(asked.body["metadata"]["labels"], json!({"team": "a"}), "what others put there stays");
        self.writes += 1;
        live["status"]["used"] = asked.body["status"]["used"].clone();
        add(live, 0);
        (200, live.clone())
    }
}

/// Somebody counts one more, or nothing; either way it is another version.
fn add(quota: &mut Value, places: u64) {
    let more = |text: &Value, by: u64| Value::from((text.as_str().unwrap().parse::<u64>().unwrap() + by).to_string());
    quota["status"]["used"][COUNT] = more(&quota["status"]["used"][COUNT], places);
    quota["metadata"]["resourceVersion"] = more(&quota["metadata"]["resourceVersion"], 1);
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message})
}

fn follow(cluster: &Arc<Mutex<Cluster>>) -> ResourceQuotas {
    let cluster = Arc::clone(cluster);
    ResourceQuotas::follow(&json_cluster(move |asked| cluster.lock().unwrap().answer(&asked)), &CancellationToken::new())
}

async fn write(quotas: &ResourceQuotas, verb: Verb, subresource: Subresource, dry_run: DryRun) -> Result<(), String> {
    let (key, schema) = (ObjectKey::new("p-a", "one"), Schema::plain(Shape::Any));
    let object = Object::from_value(json!({"metadata": {"namespace": "p-a", "name": "one"}})).unwrap();
    let (descriptor, schema, memo) = (books().descriptor(), &schema, &Memo::default());
    let request = AdmissionRequest { descriptor, verb, subresource, key: &key, old: None, dry_run, schema, memo };
    let ctx = RequestContext::new(Arc::default(), Principal::default(), Instant::now() + Duration::from_secs(60), "audit".into());
    quotas.validate(&ctx, request, Some(&object)).await.map_err(|error| format!("{} {}", error.reason.code(), error.message))
}

async fn create(quotas: &ResourceQuotas) -> Result<(), String> {
    write(quotas, Verb::Create, Subresource::Main, DryRun::No).await
}

fn used(cluster: &Mutex<Cluster>) -> Vec<String> {
    let cluster = cluster.lock().unwrap();
    cluster.quotas.iter().map(|quota| quota["status"]["used"][COUNT].as_str().unwrap_or_default().to_owned()).collect()
}

fn exceeded(name: &str, used: &str, limited: &str) -> Result<(), String> {
    Err(format!(
        "403 books.library.example.com \"one\" is forbidden: exceeded quota: {name}, requested: {COUNT}=1, \
         used: {COUNT}={used}, limited: {COUNT}={limited}"
    ))
}

#[tokio::test]
async fn a_place_is_taken_in_every_quota_until_one_is_full() {
    let cluster = Cluster::new(vec![quota("large", "1k", Some("998")), quota("small", "2", Some("0"))]);
    let quotas = follow(&cluster);
    assert_eq!(create(&quotas).await, Ok(()));
    assert_eq!(create(&quotas).await, Ok(()));
    assert_eq!(used(&cluster), ["1000", "2"]);
    assert_eq!(create(&quotas).await, exceeded("large", "1000", "1k"));
    assert_eq!((used(&cluster), cluster.lock().unwrap().writes), (vec!["1000".into(), "2".into()], 4));
}

#[tokio::test]
async fn only_objects_that_come_take_places() {
    let cluster = Cluster::new(vec![quota("full", "2", Some("2"))]);
    let quotas = follow(&cluster);
    assert_eq!(write(&quotas, Verb::Update, Subresource::Main, DryRun::No).await, Ok(()));
    assert_eq!(write(&quotas, Verb::Create, Subresource::Status, DryRun::No).await, Ok(()));
    assert_eq!(write(&quotas, Verb::Delete, Subresource::Main, DryRun::No).await, Ok(()));
    assert_eq!(write(&quotas, Verb::Create, Subresource::Main, DryRun::All).await, exceeded("full", "2", "2"));
    assert_eq!(cluster.lock().unwrap().writes, 0);
}

#[tokio::test]
async fn a_dry_run_takes_no_place() {
    let cluster = Cluster::new(vec![quota("free", "2", Some("1"))]);
    assert_eq!(write(&follow(&cluster), Verb::Create, Subresource::Main, DryRun::All).await, Ok(()));
    assert_eq!(used(&cluster), ["1"]);
}

#[tokio::test]
async fn places_that_others_take_meanwhile_are_seen() {
    for (rivals, hard, want, left) in [
        (1, "3", Ok(()), "2"),
        (3, "9", Ok(()), "4"),
        (1, "1", exceeded("q", "1", "1"), "1"),
        (4, "9", Err("409 the object has been modified".to_owned()), "4"),
    ] {
        let cluster = Cluster::new(vec![quota("q", hard, Some("0"))]);
        cluster.lock().unwrap().rivals = rivals;
        assert_eq!(create(&follow(&cluster)).await, want, "{rivals} rivals for {hard}");
        assert_eq!(used(&cluster), [left], "{rivals} rivals for {hard}");
    }
}

#[tokio::test]
async fn of_many_at_once_as_many_come_in_as_there_is_room() {
    let cluster = Cluster::new(vec![quota("q", "5", Some("0"))]);
    let quotas = follow(&cluster);
    let all = futures::future::join_all((0..20).map(|_| create(&quotas))).await;
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 5, "{all:?}");
    assert_eq!((used(&cluster), cluster.lock().unwrap().writes), (vec!["5".into()], 5));
}

#[tokio::test]
async fn quotas_about_something_else_are_passed_over() {
    let about = |change: fn(&mut Value)| {
        let mut quota = quota("q", "0", Some("0"));
        change(&mut quota);
        quota
    };
    let unknown = Err(format!("403 books.library.example.com \"one\" is forbidden: status unknown for quota: q, resources: {COUNT}"));
    for (quota, want) in [
        (about(|quota| quota["metadata"]["namespace"] = "p-b".into()), Ok(())),
        (about(|quota| quota["metadata"]["namespace"] = "p-".into()), Ok(())),
        (about(|quota| quota["spec"]["scopes"] = json!(["BestEffort"])), Ok(())),
        (
            about(|quota| {
                quota["spec"]["scopeSelector"] = json!({"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]});
            }),
            Ok(()),
        ),
        (about(|quota| quota["status"] = json!({"hard": {"count/pods": "0"}, "used": {"count/pods": "0"}})), Ok(())),
        (about(|quota| quota["status"] = json!({})), Ok(())),
        (about(|_| {}), exceeded("q", "0", "0")),
        (quota("q", "0", None), unknown),
    ] {
        let cluster = Cluster::new(vec![quota.clone()]);
        assert_eq!(create(&follow(&cluster)).await, want, "{quota}");
    }
}

#[tokio::test]
async fn what_is_written_counts_before_it_is_told() {
    let known = Known::default();
    let parsed = |version: &str, used: &str| {
        let mut quota = quota("q", "5", Some(used));
        quota["metadata"]["resourceVersion"] = version.into();
        serde_json::from_value::<ResourceQuota>(quota).unwrap()
    };
    let seen = || known.counting("p-a", COUNT).first().and_then(|quota| quota.metadata.resource_version.clone());
    known.put(parsed("10", "1"));
    known.put(parsed("9", "0"));
    assert_eq!(seen().as_deref(), Some("10"));
    known.put(parsed("11", "2"));
    assert_eq!(seen().as_deref(), Some("11"));
    let mut anew = parsed("8", "0");
    anew.metadata.uid = Some("another".into());
    known.put(anew);
    assert_eq!(seen().as_deref(), Some("8"), "another quota of the same name");
    known.keep(&[]);
    assert_eq!(seen(), None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_before_the_quotas_are_known() {
    let cluster = json_cluster(|_| (503, Value::Null));
    let quotas = ResourceQuotas::follow(&cluster, &CancellationToken::new());
    let want = "403 books.library.example.com \"one\" is forbidden: not yet ready to handle request";
    assert_eq!(create(&quotas).await, Err(want.to_owned()));
}

fn parsed(version: &str, hard: &str, used: &str) -> ResourceQuota {
    let mut quota = quota("q", hard, Some(used));
    quota["metadata"]["resourceVersion"] = version.into();
    serde_json::from_value(quota).unwrap()
}

#[tokio::test]
async fn a_quota_that_is_gone_does_not_come_back_by_a_late_answer() {
    let quotas = follow(&Cluster::new(vec![]));
    assert!(quotas.is_synced().await);
    quotas.known.put(parsed("10", "1", "0"));
    quotas.known.remove(&parsed("12", "1", "1"));
    quotas.known.renew(&parsed("11", "1", "1"));
    assert_eq!(create(&quotas).await, Ok(()));
}

#[tokio::test]
async fn a_quota_that_is_not_found_is_forgotten() {
    let quotas = follow(&Cluster::new(vec![]));
    assert!(quotas.is_synced().await);
    quotas.known.put(parsed("10", "5", "0"));
    assert_eq!(create(&quotas).await, Ok(()));
    assert!(quotas.known.counting("p-a", COUNT).is_empty());
}

#[test]
fn answers_are_about_the_quota_that_was_asked_about() {
    let known = Known::default();
    let seen = || known.counting("p-a", COUNT).first().and_then(|quota| quota.metadata.resource_version.clone());
    let mut earlier = parsed("20", "5", "1");
    earlier.metadata.uid = Some("earlier".into());
    known.put(parsed("10", "5", "0"));
    known.renew(&earlier);
    known.forget(&earlier);
    known.renew(&parsed("9", "5", "0"));
    assert_eq!(seen().as_deref(), Some("10"), "another quota of the same name, or an older answer");
    known.renew(&parsed("11", "5", "1"));
    assert_eq!(seen().as_deref(), Some("11"));
    known.forget(&parsed("11", "5", "1"));
    assert_eq!(seen(), None);
}

#[tokio::test]
async fn servers_that_share_a_quota_let_in_no_more_than_there_is_room_for() {
    let cluster = Cluster::new(vec![quota("q", "5", Some("0"))]);
    let (one, two) = (follow(&cluster), follow(&cluster));
    let many = |quotas| futures::future::join_all((0..20).map(move |_| create(quotas)));
    let (of_one, of_two) = tokio::join!(many(&one), many(&two));
    let admitted = of_one.iter().chain(&of_two).filter(|it| it.is_ok()).count();
    assert_eq!((admitted, used(&cluster)), (5, vec!["5".into()]), "{of_one:?} {of_two:?}");
}
