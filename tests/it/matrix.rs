//! Every route that discovery tells of, with every verb that it could take, by every sort of caller.
//!
//! What should come of it stands in [`table`], one line for each resource and some verbs. A route without a line fails the test, and
//! so does a line without a route. Writes are dry runs, so that no request changes what the next one meets.

mod granting_fields;
mod revoked;
mod routes;
mod seen;
mod table;
mod world;

use crate::common::Stand;
use http::{HeaderName, StatusCode};
use routes::{Action, Route};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use table::TABLE;
use vci_testkit::client::{Client, Protocol};
use world::Caller;

/// Routes that discovery tells of and the matrix leaves out, with the reason. This list may only become shorter.
const EXCEPTIONS: &[(&str, &str)] = &[];
/// How long it is.
const EXCEPTIONS_LEFT: usize = 0;

/// Callers who are not known, whatever they ask for.
const UNKNOWN: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_every_caller_as_the_table_says() {
    assert_eq!(EXCEPTIONS.len(), EXCEPTIONS_LEFT, "the list of exceptions may only become shorter");
    let mut requests = 0;
    for stand in crate::common::every_store_with(Some(&world::bootstrap())).await {
        world::fill(&stand).await;
        let routes = routes::of(&stand.server.admin(Protocol::Http2)).await;
        let routes: Vec<Route> = routes.into_iter().filter(|route| !EXCEPTIONS.iter().any(|(key, _)| *key == route.key)).collect();
        let got = ask_all(&stand, &routes).await;
        requests += routes.len() * world::CALLERS.len();
        compare(&stand.label, &routes, &got);
        let (callers, sent) = (world::CALLERS.len(), routes.len() * world::CALLERS.len());
        say(&format!("matrix on {}: {} routes, {} lines, {callers} callers, {sent} requests", stand.label, routes.len(), TABLE.len()));
    }
    say(&format!("matrix: {requests} requests in all"));
}

/// Tells whoever runs the tests, though this one is good.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// For each route what the callers got, one letter each.
async fn ask_all(stand: &Stand, routes: &[Route]) -> Vec<String> {
    let columns = world::CALLERS.iter().map(|caller| ask_as(stand, caller, routes));
    let columns: Vec<Vec<char>> = futures::future::join_all(columns).await;
    (0..routes.len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
}

async fn ask_as(stand: &Stand, caller: &Caller, routes: &[Route]) -> Vec<char> {
    let client = client(stand, caller);
    let mut column = Vec::new();
    for route in routes {
        column.push(letter(ask(&client, caller, route).await));
    }
    column
}

fn client(stand: &Stand, caller: &Caller) -> Client {
    let client = stand.server.anonymous(Protocol::Http2);
    let client = if caller.key.is_empty() { client } else { client.bearer(caller.key) };
    if caller.impersonated_user.is_empty() {
        client
    } else {
        client.header(HeaderName::from_static("impersonate-user"), caller.impersonated_user)
    }
}

async fn ask(client: &Client, caller: &Caller, route: &Route) -> StatusCode {
    let path = route.path.replace("NAME", world::object(caller, &route.resource));
    match route.action {
        Action::Watch => client.watch(&path).await.status,
        Action::Send { ref method, media } => {
            let body = route.body(world::object(caller, &route.resource));
            client.request(method.clone(), &path, media, body).await.status
        }
    }
}

fn letter(status: StatusCode) -> char {
    match status.as_u16() {
        200 | 201 => 'Y',
        401 => 'U',
        403 => 'F',
        404 => 'N',
        405 => 'M',
        409 => 'C',
        422 => 'I',
        _ => '?',
    }
}

fn compare(label: &str, routes: &[Route], got: &[String]) {
    let lines =
        || TABLE.iter().flat_map(|(what, verbs, row)| verbs.split(", ").map(move |verb| (format!("{what} {verb}"), row.replace(' ', ""))));
    let table: BTreeMap<String, String> = lines().collect();
    assert_eq!(table.len(), lines().count(), "two lines for one route");
    let mut wrong = Vec::new();
    for (route, got) in routes.iter().zip(got) {
        let (unknown, known) = got.split_at(UNKNOWN);
        if unknown != "U".repeat(UNKNOWN) {
            wrong.push(format!("{} {}: {unknown} for callers who are not known", route.key, route.path));
        }
        match table.get(&route.key) {
            Some(want) if want == known => {}
            Some(want) => wrong.push(format!("{}: want {want} got {known} at {}", route.key, route.path)),
            None => wrong.push(format!("no line for (\"{}\", \"{known}\") at {}", route.key, route.path)),
        }
    }
    let keys: BTreeSet<&str> = routes.iter().map(|route| route.key.as_str()).collect();
    wrong.extend(table.keys().filter(|key| !keys.contains(key.as_str())).map(|key| format!("{key}: a line without a route")));
    let names = world::CALLERS.map(|caller| caller.label).join(", ");
    assert!(wrong.is_empty(), "on {label}, {} wrong; callers: {names}\n{}", wrong.len(), wrong.join("\n"));
}
