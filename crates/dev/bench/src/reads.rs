//! The steps that read: get, and lists of every form.

use crate::api::{Api, List};
use crate::client::JSON;
use crate::failure::fail;
use crate::step::Run;
use crate::writes::scattered;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

/// All of them; returns the bytes of a list of everything.
pub(crate) async fn run(run: &mut Run<'_>) -> usize {
    let (objects, until) = (run.objects, run.reading());
    run.step("get", until, move |api, i| api.get(scattered(i, objects))).await;
    let everything = run.step("list of all", until, |api, _| api.list("", JSON)).await;
    let middle = query_of_the_middle(run).await;
    let queries = [
        ("page of 500", "limit=500".to_owned(), JSON),
        ("page of 500 from the middle", middle, JSON),
        ("Table of 500", "limit=500".into(), TABLE),
        ("PartialObjectMetadataList of 500", "limit=500".into(), METADATA),
        ("label selector that selects nothing", format!("labelSelector={}", Api::LABEL_OF_NONE), JSON),
        ("label selector that selects a few", format!("labelSelector={}", Api::LABEL_OF_A_FEW), JSON),
        ("field selector that selects nothing", format!("fieldSelector={}", run.target.api.field_of_none), JSON),
    ];
    for (operation, query, media) in queries {
        run.step(operation, until, move |api, _| api.list(&query, media)).await;
    }
    everything
}

/// The query for the page behind the first half of all objects.
async fn query_of_the_middle(run: &Run<'_>) -> String {
    let half = run.target.api.list(&format!("limit={}", run.objects.div_ceil(2)), JSON);
    let list: List = run.target.connector.connect().await.read(half).await;
    let token = list.metadata.next().unwrap_or_else(|| fail("half of all objects are all of them: --sizes is to be 2 or more"));
    format!("limit=500&continue={token}")
}
