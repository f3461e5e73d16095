//! What is in the answers that every sort of caller gets: the matrix's dimension of what is shown to those who are let in.
//!
//! Beside what only some may see stands something that everybody sees who is answered, to show that it was looked for in the right place.

use super::world::{self, CALLERS};
use super::{UNKNOWN, client, letter};
use crate::common::{GROUP, every_store_with};
use http::StatusCode;
use vci_testkit::client::Client;

/// What is asked for, what is looked for in the answer, and one letter for each caller who is known, as in [`super::table`]: `Y` for
/// those who see it, `-` for those who are answered without it.
const ROWS: &[(&str, &str, &str)] = &[
    ("projects/blue/templates", "title-of-others", "YYYYY YFF Y YY YF Y"),
    ("projects/blue/templates", "values-of-own", "-YY-- -FF - YY -F Y"),
    ("projects/blue/templates", "values-of-teams", "---Y- -FF Y YY -F -"),
    ("projects/blue/templates", "values-of-granted", "----Y -FF - YY -F -"),
    ("projects/blue/templates", "values-of-others", "----- -FF - YY -F -"),
    ("projects/blue/templates", "login-of-others", "----- -FF - YY -F -"),
    ("projects/blue/templates", "password-of-others", "----- -FF - YY -F -"),
    ("projects/blue", OF_ALL, "YYYYY YFF Y YY YF Y"),
    ("projects/blue", "address-of-a-vault", "YYYYY YFF Y YY YF Y"),
    ("projects/blue", "token-of-a-vault", "----Y YFF - YY YF -"),
    ("projects/blue", "\"f:una\"", "----Y YFF - YY YF -"),
    ("projects/blue", OF_UNA, "-YY-Y YFF - YY YF Y"),
    ("projects/blue", OF_ZOE, "----Y YFF - YY YF -"),
    ("projects/blue", OF_DEVS, "---YY YFF Y YY YF -"),
    ("projects/blue/status", OF_UNA, "-YY-Y YFF - YY YF Y"),
    ("projects/blue/status", "token-of-a-vault", "----Y YFF - YY YF -"),
    ("projects", OF_ALL, "YYYYY Y-- Y YY FF Y"),
    ("projects", OF_UNA, "-YY-Y Y-- - YY FF Y"),
    ("projects", "token-of-a-vault", "----Y Y-- - YY FF -"),
    ("projects?watch=1", OF_ALL, "YYYYY Y-- Y YY FF Y"),
    ("projects?watch=1", OF_UNA, "-YY-Y Y-- - YY FF Y"),
    ("projects?watch=1&fieldSelector=metadata.name%3Dblue", OF_DEVS, "---YY Y-- Y YY YF -"),
    ("projects/blue/members", "\"name\":\"una\"", "YYYYY YFF Y YY YF Y"),
    ("projects/blue/members", "una@example.com", "-YY-Y YFF - YY YF Y"),
    ("projects/blue/members", "login-of-una", "-YY-Y YFF - YY YF Y"),
    ("projects/blue/clusters", "cluster-of-others", "YYYYY YFF Y YY YF Y"),
    ("projects/blue/clusters", "cluster-of-own", "----- -FF - -- -F -"),
    ("clusters", "cluster-of-others", "YYYYY Y-- Y YY FF Y"),
    ("clusters", "cluster-of-own", "-YY-- --- - YY FF Y"),
    ("clusters?watch=1", "cluster-of-others", "YYYYY Y-- Y YY FF Y"),
    (SECRETS, "secret-of-granted", "YYY-Y YFF - YY YF Y"),
    (SECRETS, DATA_OF_GRANTED, "-YY-Y YFF - YY YF Y"),
    (SECRETS, "\"f:key\"", "-YYYY YFF Y YY YF Y"),
    ("projectsecrets", DATA_OF_GRANTED, "-YY-Y Y-- - YY FF Y"),
    ("namespaces/loft-p-blue/projectsecrets?watch=1", DATA_OF_GRANTED, "-YY-Y YFF - YY YF Y"),
    (GRANTED, "0.36.1", "YYYFY YFF F YY YF Y"),
    (GRANTED, "rendered-values-of-granted", "-YYFY YFF F YY YF Y"),
    (GRANTED, "parameter-of-granted", "---FY YFF F YY YF -"),
    (GRANTED, "rendered-objects-of-granted", "---F- -FF F YY -F -"),
    (GRANTED, "chart-password-of-granted", "---F- -FF F YY -F -"),
    (INSTANCES, "rendered-values-of-own", "-YY-- YFF - YY YF Y"),
    (INSTANCES, "chart-password-of-own", "----- -FF - YY -F -"),
    ("namespaces/loft-p-blue/virtualclusterinstances?watch=1", "chart-password-of-own", "----- -FF - YY -F -"),
    ("namespaces/loft-p-blue/virtualclusterinstances/own/status", "chart-password-of-own", "F--FF -FF F YY -F -"),
    ("virtualclustertemplates", "password-of-others", "----- --- - YY FF -"),
];

const SECRETS: &str = "namespaces/loft-p-blue/projectsecrets";
/// `data-of-granted` in base64.
const DATA_OF_GRANTED: &str = "ZGF0YS1vZi1ncmFudGVk";
const INSTANCES: &str = "namespaces/loft-p-blue/virtualclusterinstances";
/// An instance of zoe's. Victor may read it, una may use it as well, gina may do everything with it.
const GRANTED: &str = "namespaces/loft-p-blue/virtualclusterinstances/granted";

/// How much is used in the project, and by whom.
const OF_ALL: &str = r#""used":{"virtualclusterinstances":"4"}"#;
const OF_UNA: &str = r#""una":{"virtualclusterinstances":"1"}"#;
const OF_ZOE: &str = r#""zoe":{"virtualclusterinstances":"2"}"#;
const OF_DEVS: &str = r#""devs":{"virtualclusterinstances":"1"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_in_an_answer_what_is_not_theirs_to_see() {
    for stand in every_store_with(Some(&world::bootstrap())).await {
        world::fill(&stand).await;
        let mut wrong = Vec::new();
        for (path, marker, want) in ROWS {
            let mut got = String::new();
            for caller in &CALLERS[UNKNOWN..] {
                got.push(look(&client(&stand, caller), path, marker).await);
            }
            if got != want.replace(' ', "") {
                wrong.push(format!("{path}, {marker}: want {want} got {got}"));
            }
        }
        let names = CALLERS[UNKNOWN..].iter().map(|caller| caller.label).collect::<Vec<_>>().join(", ");
        assert!(wrong.is_empty(), "on {}; callers: {names}\n{}", stand.label, wrong.join("\n"));
    }
}

async fn look(client: &Client, path: &str, marker: &str) -> char {
    let path = format!("{GROUP}/{path}");
    let (status, text) = if path.contains("watch=1") { state(client, &path).await } else { whole(client, &path).await };
    match letter(status) {
        'Y' if !text.contains(marker) => '-',
        letter => letter,
    }
}

async fn whole(client: &Client, path: &str) -> (StatusCode, String) {
    let answer = client.get(path).await;
    (answer.status, answer.text())
}

/// All that a watch begins with.
async fn state(client: &Client, path: &str) -> (StatusCode, String) {
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = client.watch(&format!("{path}&{initial}")).await;
    let mut text = String::new();
    while watch.status == StatusCode::OK {
        let event = watch.next().await.expect("an event");
        if event["type"] == "BOOKMARK" {
            break;
        }
        text.push_str(&event.to_string());
    }
    (watch.status, text)
}
