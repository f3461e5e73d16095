//! Requests at random: whatever is asked, the answer is one that the API knows, and the server goes on.
//!
//! `PROPTEST_CASES` says how many scripts are tried; by default so many as take two seconds.
#![allow(clippy::unwrap_used)]

mod requests;
mod words;

use super::fixture::{Answer, COLLECTION, Server};
use crate::RequestInfo;
use axum::body::Body as HttpBody;
use http::{Request, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use requests::{Body, Start, Wish};
use serde_json::Value;
use std::cell::Cell;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use words::{TOKEN, UID, VERSION};

/// Scripts by default.
const CASES: u32 = 400;
/// How long a watch is listened to.
const LISTEN: Duration = Duration::from_millis(2);
/// How long any other answer may take, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn whatever_is_asked_is_answered() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(async {
        let server = Server::start_with(apiserver_meta::testing::resources()).await;
        for name in ["a", "b", "c"] {
            server.create(name).await;
        }
        server
    });
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    // The server keeps what earlier scripts did, so a script found here may need them to fail again.
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() });
    let (wishes, asked) = (Cell::new(0_u32), Cell::new(0_u32));
    let outcome = runner.run(&vec(requests::wish(), 1..5), |script| {
        runtime.block_on(async {
            let mut known = Known::default();
            for wish in script {
                wishes.set(wishes.get() + 1);
                if let Asked::Yes = ask(&server, wish, &mut known).await? {
                    asked.set(asked.get() + 1);
                }
            }
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let (wishes, asked) = (wishes.get(), asked.get());
    assert!(asked > wishes / 2, "of {wishes} requests only {asked} could be sent");
    runtime.block_on(still_serves(&server));
}

/// What answers have told, for what comes after.
#[derive(Clone, Default)]
struct Known {
    token: String,
    version: String,
    uid: String,
}

impl Known {
    fn learn(&mut self, answer: &Value) {
        let text = |path: &str| answer.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
        let told =
            [(&mut self.token, "/metadata/continue"), (&mut self.version, "/metadata/resourceVersion"), (&mut self.uid, "/metadata/uid")];
        for (place, path) in told {
            let text = text(path);
            if !text.is_empty() {
                *place = text;
            }
        }
    }

    fn fill(&self, text: &str) -> String {
        text.replace(TOKEN, &self.token).replace(VERSION, &self.version).replace(UID, &self.uid)
    }
}

/// Whether a wish could be put into a request at all.
enum Asked {
    Yes,
    No,
}

async fn ask(server: &Server, wish: Wish, known: &mut Known) -> Result<Asked, TestCaseError> {
    let body = body(server, &wish, known).await;
    let known_before = known.clone();
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let query: Vec<String> = wish.query.iter().map(|(name, value)| format!("{name}={}", encoded(&known.fill(value)))).collect();
    let Ok(uri) = format!("{}?{}", wish.path, query.join("&")).parse::<Uri>() else { return Ok(Asked::No) };
    let mut request = Request::builder().method(wish.method).uri(uri.clone());
    if !wish.headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", "Bearer admin");
    }
    for (name, value) in &wish.headers {
        request = request.header(*name, value);
    }
    let Ok(request) = request.body(HttpBody::from(body.clone())) else { return Ok(Asked::No) };
    let shown = || format!("{} {uri} {:?}\n{}", wish.method, wish.headers, String::from_utf8_lossy(&body[..body.len().min(2000)]));

    let Ok(response) = tokio::time::timeout(PATIENCE, server.raw(request)).await else {
        return Err(TestCaseError::fail(format!("no answer\n{}", shown())));
    };
    let is_watch = response.extensions().get::<Arc<RequestInfo>>().is_some_and(|info| info.verb == "watch");
    let time = if is_watch && response.status().is_success() { LISTEN } else { PATIENCE };
    match tokio::time::timeout(time, Answer::read(response)).await {
        Err(_) if time == LISTEN => Ok(Asked::Yes),
        Err(_) => Err(TestCaseError::fail(format!("no end\n{}", shown()))),
        Ok(mut answer) => {
            unpack(&mut answer);
            if let Ok(json) = serde_json::from_str(&answer.text) {
                known.learn(&json);
            }
            let revision = wish.revision(|text| known_before.fill(text));
            judge(&answer, &wish, revision, is_watch)
                .map(|()| Asked::Yes)
                .map_err(|why| TestCaseError::fail(format!("{why}: {}\n{}\n{}", answer.status, answer.text, shown())))
        }
    }
}

async fn body(server: &Server, wish: &Wish, known: &mut Known) -> Vec<u8> {
    match &wish.body {
        Body::None => Vec::new(),
        Body::Raw(bytes) => bytes.clone(),
        Body::Bent { start, edits, cuts } => {
            let mut value = match start {
                Start::Value(value) => value.clone(),
                Start::Stored => {
                    let stored = server.get(&wish.path.replace("/watch", ""), &[]).await;
                    let value = serde_json::from_str(&stored.text).unwrap_or_default();
                    known.learn(&value);
                    value
                }
            };
            edits.iter().for_each(|edit| edit.apply(&mut value));
            let mut bytes = known.fill(&value.to_string()).into_bytes();
            cuts.iter().for_each(|(at, cut)| cut.apply(at, &mut bytes));
            bytes
        }
    }
}

/// Long answers are packed for clients that ask for it, errors as well.
fn unpack(answer: &mut Answer) {
    if answer.header("content-encoding") == "gzip" {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&*answer.bytes).read_to_end(&mut bytes).unwrap();
        answer.text = String::from_utf8_lossy(&bytes).into_owned();
        answer.bytes = bytes;
    }
}

/// What is wrong with an answer.
fn judge(answer: &Answer, wish: &Wish, revision: Option<u64>, is_watch: bool) -> Result<(), &'static str> {
    if answer.header("audit-id").is_empty() || answer.header("cache-control").is_empty() {
        return Err("a header is missing");
    }
    match answer.status.as_u16() {
        504 if !wish.sets_a_time() && !revision.is_some_and(|revision| is_ahead(answer, wish, revision)) => {
            Err("a timeout that nobody asked for")
        }
        code if wish.method == "HEAD" && (code < 500 || code == 504) => Ok(()),
        304 if answer.text.is_empty() => Ok(()),
        301 if !answer.header("location").is_empty() => Ok(()),
        101 => Ok(()),
        200..=299 => readable(answer, is_watch),
        400..=499 => understood(answer),
        // One check of this server always fails.
        500 if wish.path.contains("readyz") => Ok(()),
        504 => understood(answer),
        _ => Err("a code that nobody expects"),
    }
}

/// Whether it was refused because the store had not come to this revision. An answer without a body does not say.
fn is_ahead(answer: &Answer, wish: &Wish, revision: u64) -> bool {
    let current = answer.text.split_once(&format!("Too large resource version: {revision}, current: ")).map(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap()
    });
    current.map_or(wish.method == "HEAD", |current| current < revision)
}

/// A good answer is what its type says, and a list has items.
fn readable(answer: &Answer, is_watch: bool) -> Result<(), &'static str> {
    if is_watch || !answer.header("content-type").starts_with("application/json") {
        return Ok(());
    }
    let json: Value = serde_json::from_str(&answer.text).map_err(|_| "a good answer that is no JSON")?;
    match json.get("items").or(json.get("rows")) {
        Some(Value::Null) => Err("a list without items"),
        _ => Ok(()),
    }
}

/// An error is a `Status` that says why, but for the few plain answers that upstream has as well.
fn understood(answer: &Answer) -> Result<(), &'static str> {
    let status: Value = match answer.header("content-type") {
        "application/json" => serde_json::from_str(&answer.text).map_err(|_| "an error that is no JSON")?,
        "application/yaml" => apiserver_meta::decode::parse_yaml(&answer.bytes).map_err(|_| "an error that is no YAML")?.value,
        "" if answer.status == StatusCode::NOT_ACCEPTABLE && answer.text.is_empty() => return Ok(()),
        plain if plain.starts_with("text/plain") && matches!(answer.status.as_u16(), 400 | 404) => return Ok(()),
        _ => return Err("an error of no type"),
    };
    let text = |field: &str| status[field].as_str().unwrap_or("");
    if (text("kind"), text("apiVersion"), text("status")) != ("Status", "v1", "Failure") || !status["metadata"].is_object() {
        return Err("an error that is no Status");
    }
    if status["code"] != answer.status.as_u16() {
        return Err("a Status of another code");
    }
    if text("message").is_empty() || (text("reason").is_empty() && answer.status != StatusCode::INTERNAL_SERVER_ERROR) {
        return Err("a Status that does not say why");
    }
    let after = status["details"]["retryAfterSeconds"].as_u64().unwrap_or(0);
    if after.to_string() != answer.header("retry-after") && after != 0 {
        return Err("a Status that says otherwise than its header when to come back");
    }
    Ok(())
}

/// What is listed can be read one by one and is the same.
async fn still_serves(server: &Server) {
    server.send("DELETE", &format!("{COLLECTION}/still-here"), &[], "").await;
    server.create("still-here").await;
    for collection in ["/apis/example.io/v1/widgets", "/apis/library.example.com/v1/books"] {
        let list = server.get(collection, &[]).await;
        assert_eq!(list.status, StatusCode::OK, "{}", list.text);
        for item in list.json()["items"].as_array().unwrap() {
            let text = |field: &str| item["metadata"][field].as_str().unwrap().to_owned();
            let (group_version, plural) = collection.rsplit_once('/').unwrap();
            let one = server.get(&format!("{group_version}/namespaces/{}/{plural}/{}", text("namespace"), text("name")), &[]).await;
            assert_eq!(one.json(), *item);
        }
    }
}
