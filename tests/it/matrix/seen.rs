//! What is in the answers that every sort of caller gets: the matrix's dimension of what is shown to those who are let in.
//!
//! Beside what only some may see stands something that everybody sees who is answered, to show that it was looked for in the right place.

use super::world::{self, CALLERS};
use super::{UNKNOWN, client, letter};
use crate::common::{GROUP, every_store_with};
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
    ("virtualclustertemplates", "password-of-others", "----- --- - YY FF -"),
];

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
    let answer = client.get(&format!("{GROUP}/{path}")).await;
    match letter(answer.status) {
        'Y' if !answer.text().contains(marker) => '-',
        letter => letter,
    }
}
