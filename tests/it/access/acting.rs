//! Acting for somebody else.

use super::{BLUE, BOOTSTRAP, names, object, of};
use crate::common::{GROUP, every_store_with};
use http::HeaderName;
use serde_json::json;
use vci_testkit::client::{Client, Protocol};

fn acting(client: &Client, headers: &[(&'static str, &str)]) -> Client {
    headers.iter().fold(client.clone(), |client, (name, value)| client.header(HeaderName::from_static(name), value))
}

const USER: &str = "impersonate-user";

#[tokio::test(flavor = "multi_thread")]
async fn acting_for_somebody_shows_what_they_see_and_no_more() {
    for stand in every_store_with(Some(BOOTSTRAP)).await {
        let admin = stand.server.admin(Protocol::Http2);
        let (una, tina) = (of(&stand.server, "una"), of(&stand.server, "tina"));
        una.post(BLUE, &object("mine", json!({}))).await.expect(201);
        tina.post(BLUE, &object("ours", json!({"owner": {"team": "devs"}}))).await.expect(201);
        let as_una = acting(&admin, &[(USER, "una")]);
        let as_tina = acting(&admin, &[(USER, "tina"), ("impersonate-joined-group", "loft:user:tina, loft:team:devs")]);
        let as_team = acting(&admin, &[(USER, "loft:team:devs")]);
        for (acting, own, want) in [(&as_una, &una, vec!["mine"]), (&as_tina, &tina, vec!["ours"]), (&as_team, &tina, vec!["ours"])] {
            assert_eq!(names(acting, BLUE).await, want, "on {}", stand.label);
            assert_eq!(names(own, BLUE).await, want, "on {}", stand.label);
        }
        as_una.get(&format!("{BLUE}/ours")).await.expect(403);
        let made = as_una.post(BLUE, &object("for-una", json!({}))).await.expect(201).json();
        assert_eq!(made["spec"]["owner"], json!({"user": "una"}));
        let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let who = as_una.post(whoami, &json!({})).await.expect(201).json()["status"]["userInfo"].clone();
        assert_eq!(who["username"], "una");
        assert!(!who["groups"].to_string().contains("system:masters"), "{who}");
        let with = admin.post(whoami, &json!({})).await.expect(201).json()["status"]["userInfo"]["extra"].clone();
        assert!(with.is_object() && who["extra"].is_null(), "the admin's key is not una's: {who}");
        let selves = as_una.post(&format!("{GROUP}/selves"), &json!({})).await.expect(201).json();
        assert_eq!(selves["status"]["accessKey"], json!(null), "on {}", stand.label);

        // Nobody else may, and not with a part of it.
        for user in ["una", "adam", "olga"] {
            let own = of(&stand.server, user);
            for headers in [&[(USER, "tina")][..], &[(USER, user)], &[(USER, "x"), ("impersonate-group", "system:masters")]] {
                let refused = acting(&own, headers).get(BLUE).await.expect(403).json();
                assert!(refused["message"].as_str().unwrap_or("").contains("cannot impersonate resource"), "{refused}");
            }
        }
        acting(&stand.server.anonymous(Protocol::Http2), &[(USER, "una")]).get(BLUE).await.expect(401);
        acting(&stand.server.anonymous(Protocol::Http2), &[(USER, "una")]).get("/version").await.expect(401);
        acting(&admin, &[("impersonate-group", "system:masters")]).get(BLUE).await.expect(400);
        acting(&admin, &[(USER, "system:anonymous")]).get(BLUE).await.expect(401);
        acting(&admin, &[(USER, "system:anonymous")]).get("/version").await.expect(200);
        acting(&admin, &[(USER, "locked")]).get(BLUE).await.expect(403);
        una.delete(&format!("{BLUE}/mine")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_expires_makes_none_that_lasts_longer_through_somebody_else() {
    let chief = "\n---\n{apiVersion: management.loft.sh/v1, kind: User, metadata: {name: chief}, spec: {clusterRoles: [{name: loft-management-admin}]}}\n---\n\
         {apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: chief}, spec: {user: chief, key: key-of-chief, ttl: 3600}}\n";
    let stands = every_store_with(Some(&format!("{BOOTSTRAP}{chief}"))).await;
    let (chief, keys) = (of(&stands[0].server, "chief"), format!("{GROUP}/ownedaccesskeys"));
    let endless = json!({"metadata": {"name": "endless"}, "spec": {}});
    chief.post(&keys, &endless).await.expect(403);
    for user in ["chief", "una"] {
        acting(&chief, &[(USER, user)]).post(&keys, &endless).await.expect(403);
    }
    let brief = json!({"metadata": {"name": "brief"}, "spec": {"ttl": 60}});
    acting(&chief, &[(USER, "una")]).post(&keys, &brief).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_by_role_does_not_become_one_of_the_masters() {
    let chief = "\n---\n{apiVersion: management.loft.sh/v1, kind: User, metadata: {name: chief}, spec: {clusterRoles: [{name: loft-management-admin}]}}\n---\n\
         {apiVersion: management.loft.sh/v1, kind: OwnedAccessKey, metadata: {name: chief}, spec: {user: chief, key: key-of-chief}}\n";
    let stands = every_store_with(Some(&format!("{BOOTSTRAP}{chief}"))).await;
    let server = &stands[0].server;
    let (chief, admin) = (of(server, "chief"), server.admin(Protocol::Http2));
    let users = format!("{GROUP}/users");
    acting(&chief, &[(USER, "una")]).get(BLUE).await.expect(200);
    acting(&chief, &[(USER, "admin")]).get(&users).await.expect(403);
    acting(&chief, &[(USER, "una"), ("impersonate-group", "system:masters")]).get(&users).await.expect(403);
    acting(&admin, &[(USER, "chief")]).get(&users).await.expect(200);
    acting(&admin, &[(USER, "una"), ("impersonate-group", "system:masters")]).get(&users).await.expect(200);
}
