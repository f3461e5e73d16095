//! Lists in pages.

use crate::rig::Rig;
use apiserver_registry::List;
use futures::future::join_all;

fn token(list: &List) -> &str {
    list.continue_token.as_deref().unwrap()
}

/// upstream: RunTestListContinuation: all pages are of one moment, whatever happens between them.
pub(crate) async fn list_continuation(rig: Rig) {
    for path in ["first/bar", "second/bar", "second/foo"] {
        rig.create(path).await;
    }
    let first = rig.try_list("", "limit=1").await.unwrap();
    assert_eq!(rig.told(&first), "first/bar@1 +2 =3");
    rig.create("second/eve").await;
    rig.delete("second/bar").await;
    assert_eq!(rig.list("", &format!("token={}", token(&first))).await, "second/bar@2 second/foo@3 =3");
    let second = rig.try_list("", &format!("limit=1 token={}", token(&first))).await.unwrap();
    assert_eq!(rig.told(&second), "second/bar@2 +1 =3");
    assert_eq!(rig.list("", &format!("limit=1 token={}", token(&second))).await, "second/foo@3 =3");
}

/// upstream: RunTestListPaginationRareObject: one among many is found in one page, and nothing is promised behind it.
pub(crate) async fn list_pagination_rare_object(rig: Rig) {
    rig.create("ns/pod-1000").await;
    let body = String::from_utf8(rig.raw("ns/pod-1000").await.unwrap().value.to_vec()).unwrap();
    join_all((0..1000).map(|number| {
        let (path, body) = (format!("ns/pod-{number}"), body.replace("pod-1000", &format!("pod-{number}")));
        let rig = &rig;
        async move { rig.set_raw(&path, body.as_bytes()).await }
    }))
    .await;
    let late = rig.again().await;
    for rig in [&rig, &late] {
        for query in ["", "rv=1001 match=Exact"] {
            let list = rig.try_list("", &format!("{query} limit=1 fields=metadata.name=pod-999")).await.unwrap();
            assert_eq!(list.items.iter().map(|item| item.name()).collect::<Vec<_>>(), ["pod-999"]);
            assert_eq!((list.continue_token, list.remaining), (None, None));
        }
    }
}

/// upstream: RunTestListContinuationWithFilter: what a selector leaves out does not count.
pub(crate) async fn list_continuation_with_filter(rig: Rig) {
    for path in ["1/foo", "2/bar", "3/foo", "4/foo"] {
        rig.create(path).await;
    }
    let first = rig.try_list("", "limit=2 fields=metadata.name!=bar").await.unwrap();
    assert_eq!(rig.told(&first), "1/foo@1 3/foo@3 +? =4");
    let rest = format!("limit=2 fields=metadata.name!=bar token={}", token(&first));
    assert_eq!(rig.list("", &rest).await, "4/foo@4 =4");
}

/// upstream: RunTestListInconsistentContinuation: when the list's moment is forgotten, the answer says so, and holds a
/// token with which the rest can be had as it is now. A server that kept the moment goes on with it.
pub(crate) async fn list_inconsistent_continuation(rig: Rig) {
    for path in ["first/bar", "second/bar", "second/foo"] {
        rig.create(path).await;
    }
    let first = rig.try_list("", "limit=1").await.unwrap();
    assert_eq!(rig.told(&first), "first/bar@1 +2 =3");
    assert_eq!(rig.set("second/foo", "state=new", "").await, 4);
    rig.compact(4).await;
    let late = rig.again().await;
    let error = late.try_list("", &format!("rv=0 token={}", token(&first))).await.unwrap_err();
    assert_eq!(error.code(), 410);
    assert!(error.message.starts_with("The provided continue parameter is too old "), "{error}");
    let goes_on = error.continue_token.unwrap();
    let second = late.try_list("", &format!("rv=0 limit=1 token={goes_on}")).await.unwrap();
    assert_eq!(late.told(&second), "second/bar@2 +1 =4");
    assert_eq!(late.list("", &format!("rv=0 limit=1 token={}", token(&second))).await, "second/foo@4 =4");
}

/// upstream: RunTestListPaging: as many pages as objects, not one for what came meanwhile.
pub(crate) async fn list_paging(rig: Rig) {
    for number in 0..4 {
        rig.create(&format!("paging/test-{number}")).await;
    }
    let (mut pages, mut query) = (Vec::new(), "limit=1".to_owned());
    loop {
        let page = rig.try_list("", &query).await.unwrap();
        pages.push(page.items.iter().map(|item| item.name().to_owned()).collect::<Vec<_>>().join(" "));
        let Some(token) = page.continue_token else { break };
        if pages.len() == 2 {
            rig.create("paging/test-5").await;
        }
        query = format!("limit=1 token={token}");
    }
    assert_eq!(pages, ["test-0", "test-1", "test-2", "test-3"]);
}
