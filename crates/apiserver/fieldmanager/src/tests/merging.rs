//! merge/{leaf,key,set,duplicates,default_keys,preserve_unknown,field_level_overrides,schema_change}_test.go.

use super::schemas::*;
use super::script::{run, run_all};
use apiserver_meta::Schema;

fn leaf() -> Schema {
    object([("numeric", number()), ("string", string()), ("bool", boolean())])
}

#[test]
fn test_update_leaf() {
    let cases = [
        (
            "apply_twice",
            "apply default {numeric: 1, string: string}
             apply default {numeric: 2, string: string, bool: false}
             = {numeric: 2, string: string, bool: false}
             owns default .numeric .string .bool",
        ),
        (
            "apply_update_apply_no_conflict",
            "apply default {numeric: 1, string: string}
             update controller {numeric: 1, string: string, bool: true}
             apply default {numeric: 2, string: string}
             = {numeric: 2, string: string, bool: true}
             owns default .numeric .string
             owns controller .bool",
        ),
        (
            "apply_update_apply_with_conflict",
            "apply default {numeric: 1, string: string}
             update controller {numeric: 1, string: controller string, bool: true}
             apply default {numeric: 2, string: user string} ! controller.string
             force default {numeric: 2, string: user string}
             = {numeric: 2, string: user string, bool: true}
             owns default .numeric .string
             owns controller .bool",
        ),
        (
            "apply_twice_remove",
            "apply default {numeric: 1, string: string, bool: false}
             apply default {string: new string}
             = {string: new string}
             owns default .string",
        ),
        (
            "update_apply_omits",
            "apply default {numeric: 2}
             update controller {numeric: 1}
             apply default {}
             = {numeric: 1}
             owns controller .numeric",
        ),
        (
            "update_remove_empty_set",
            "apply default {string: string}
             update controller {string: new string}
             = {string: new string}
             owns controller .string",
        ),
        (
            "apply_remove_empty_set",
            "apply default {string: string}
             apply default {}
             = {}
             nobody owns",
        ),
    ];
    for (name, script) in cases {
        run(name, &leaf(), script);
    }
}

fn named_values() -> Schema {
    object([("list", keyed(["name"], object([("name", string()), ("value", number())])))])
}

#[test]
fn test_update_associative_lists() {
    run(
        "removing_obsolete_applied_structs",
        &named_values(),
        r#"apply default {list: [{name: a, value: 1}]}
           apply default {list: [{name: b, value: 2}]}
           = {list: [{name: b, value: 2}]}
           owns default .list[name="b"] .list[name="b"].name .list[name="b"].value"#,
    );
}

#[test]
fn test_update_set() {
    let schema = object([("list", set(string()))]);
    let cases = [
        (
            "apply_twice",
            r#"apply default {list: [a, c]}
               apply default {list: [a, b, c, d]}
               = {list: [a, b, c, d]}
               owns default .list[="a"] .list[="b"] .list[="c"] .list[="d"]"#,
        ),
        (
            "apply_update_apply_no_overlap",
            r#"apply default {list: [a, c]}
               update controller {list: [a, b, c, d]}
               apply default {list: [a, aprime, c, cprime]}
               = {list: [a, b, aprime, c, d, cprime]}
               owns default .list[="a"] .list[="aprime"] .list[="c"] .list[="cprime"]
               owns controller .list[="b"] .list[="d"]"#,
        ),
        (
            "apply_update_apply_with_overlap",
            r#"apply default {list: [a, c]}
               update controller {list: [a, b, c, d]}
               apply default {list: [a, b, c]}
               = {list: [a, b, c, d]}
               owns default .list[="a"] .list[="b"] .list[="c"]
               owns controller .list[="b"] .list[="d"]"#,
        ),
        (
            "apply_twice_reorder",
            r#"apply default {list: [a, b, c, d]}
               apply default {list: [a, d, c, b]}
               = {list: [a, d, c, b]}
               owns default .list[="a"] .list[="b"] .list[="c"] .list[="d"]"#,
        ),
        (
            "apply_update_apply_reorder",
            r#"apply default {list: [a, b, c, d]}
               update controller {list: [a, d, c, b]}
               apply default {list: [a, b, c, d]}
               = {list: [a, b, c, d]}
               owns default .list[="a"] .list[="b"] .list[="c"] .list[="d"]"#,
        ),
        (
            "apply_twice_remove",
            r#"apply default {list: [a, b, c, d]}
               apply default {list: [a, c]}
               = {list: [a, c]}
               owns default .list[="a"] .list[="c"]"#,
        ),
        (
            "items of the live list alone stay behind the common item before them",
            "update controller {list: [x, a, y, b, z]}
             apply default {list: [b, n, a]}
             = {list: [x, y, b, z, n, a]}",
        ),
    ];
    for (name, script) in cases {
        run(name, &schema, script);
    }
}

fn duplicates() -> Schema {
    let element = object([("name", string()), ("value1", number()), ("value2", number())]);
    object([("list", keyed(["name"], element)), ("unrelated", number()), ("set", set(number()))])
}

#[test]
fn test_duplicates_of_sets() {
    let cases = [
        ("ownership/duplicates", "update one {set: [1, 1, 3, 4]}\n owns one .set .set[=1] .set[=3] .set[=4]"),
        (
            "ownership/add_duplicate",
            "update one {set: [1, 3, 4]}
             update two {set: [1, 1, 3, 4]}
             owns one .set .set[=3] .set[=4]
             owns two .set[=1]",
        ),
        (
            "ownership/remove_duplicate",
            "update one {set: [1, 1, 3, 4]}
             update two {set: [1, 3, 4]}
             owns one .set .set[=3] .set[=4]
             owns two .set[=1]",
        ),
        (
            "merging/remove_duplicate",
            "update updater {set: [1, 1, 3, 4]}
             apply applier {set: [1]} ! updater.set[=1]
             force applier {set: [1]}
             = {set: [1, 3, 4]}
             owns updater .set .set[=3] .set[=4]
             owns applier .set[=1]",
        ),
        (
            "merging/ignore_duplicate",
            "update updater {set: [1, 1, 3, 4]}
             apply applier {set: [5]}
             = {set: [1, 1, 3, 4, 5]}
             owns updater .set .set[=1] .set[=3] .set[=4]
             owns applier .set[=5]",
        ),
        ("an applied set has none", "refuse applier {set: [1, 1]}"),
    ];
    for (name, script) in cases {
        run(name, &duplicates(), script);
    }
}

#[test]
fn test_duplicates_of_lists() {
    const B: &str = r#".list[name="b"] .list[name="b"].name .list[name="b"].value1"#;
    const A: &str = r#".list[name="a"]"#;
    const AAB: &str = "list: [{name: a, value1: 1}, {name: a, value1: 2}, {name: b, value1: 3}]";
    let cases = [
        ("ownership/duplicated_items", format!("update updater {{{AAB}}}\n owns updater .list {A} {B}")),
        (
            "ownership/change_duplicated_items",
            format!(
                "update one {{{AAB}}}
                 update two {{list: [{{name: a, value1: 1}}, {{name: a, value1: 3}}, {{name: b, value1: 3}}]}}
                 owns one .list {B}
                 owns two {A}"
            ),
        ),
        (
            "ownership/change_fields_duplicated_items",
            format!(
                "update one {{{AAB}}}
                 update two {{list: [{{name: a, value1: 1}}, {{name: a, value1: 2, value2: 3}}, {{name: b, value1: 3}}]}}
                 owns one .list {B}
                 owns two {A}"
            ),
        ),
        (
            "ownership/add_duplicated_items_different_field",
            format!(
                "update one {{list: [{{name: a, value1: 1}}, {{name: b, value1: 3}}]}}
                 update two {{list: [{{name: a, value1: 1}}, {{name: a, value2: 3}}, {{name: b, value1: 3}}]}}
                 owns one .list {B}
                 owns two {A}"
            ),
        ),
        (
            "ownership/add_unrelated_to_list_with_duplicates",
            format!(
                "update one {{list: [{{name: a, value1: 1}}, {{name: a, value1: 2}}]}}
                 update two {{{AAB}}}
                 owns one .list {A}
                 owns two {B}"
            ),
        ),
        (
            "merge/unrelated_with_duplicated_items",
            format!(
                "update updater {{{AAB}}}
                 force applier {{unrelated: 5}}
                 = {{{AAB}, unrelated: 5}}
                 owns updater .list {A} {B}
                 owns applier .unrelated"
            ),
        ),
        (
            "merge/change_duplicated_item",
            format!(
                "update updater {{{AAB}}}
                 apply applier {{list: [{{name: a, value1: 3}}]}} ! updater{A}
                 apply applier {{list: [{{name: a, value1: 2}}]}} ! updater{A}
                 force applier {{list: [{{name: a, value1: 3}}]}}
                 = {{list: [{{name: a, value1: 3}}, {{name: b, value1: 3}}]}}
                 owns updater .list {B}
                 owns applier {A} {A}.name {A}.value1"
            ),
        ),
        (
            "merge/change_non_duplicated_item",
            format!(
                r#"update updater {{{AAB}}}
                   force applier {{list: [{{name: b, value1: 4}}]}}
                   = {{list: [{{name: a, value1: 1}}, {{name: a, value1: 2}}, {{name: b, value1: 4}}]}}
                   owns updater .list {A} .list[name="b"] .list[name="b"].name
                   owns applier {B}"#
            ),
        ),
        (
            "merge/apply_update_duplicates_apply_without",
            format!(
                "apply applier {{list: [{{name: a, value1: 1}}, {{name: b, value1: 3}}]}}
                 update updater {{{AAB}}}
                 apply applier {{list: [{{name: b, value1: 3}}]}}
                 = {{{AAB}}}
                 owns applier {B}
                 owns updater {A}"
            ),
        ),
        ("an applied list has none", format!("refuse applier {{{AAB}}}")),
    ];
    for (name, script) in cases {
        run(name, &duplicates(), &script);
    }
}

fn ports() -> Schema {
    let port = object([("port", number()), ("protocol", string()), ("name", string())]);
    object([("ports", keyed(["port", "protocol"], with_default(port, "protocol", "TCP")))])
}

#[test]
fn test_default_keys_flat() {
    const TCP: &str = r#".ports[port=80,protocol="TCP"]"#;
    const UDP: &str = r#".ports[port=80,protocol="UDP"]"#;
    let cases = [
        ("A", format!("apply default {{ports: [{{port: 80}}]}}\n = {{ports: [{{port: 80}}]}}\n owns default {TCP} {TCP}.port")),
        (
            "B",
            format!(
                "apply default {{ports: [{{port: 80}}, {{port: 80, protocol: UDP}}]}}
                 = {{ports: [{{port: 80}}, {{port: 80, protocol: UDP}}]}}
                 owns default {TCP} {TCP}.port {UDP} {UDP}.port {UDP}.protocol"
            ),
        ),
        (
            "with_conflict",
            format!(
                "apply one {{ports: [{{port: 80, protocol: TCP, name: foo}}]}}
                 apply two {{ports: [{{port: 80, name: bar}}]}} ! one{TCP}.name
                 = {{ports: [{{port: 80, protocol: TCP, name: foo}}]}}
                 owns one {TCP} {TCP}.port {TCP}.protocol {TCP}.name"
            ),
        ),
        (
            "missing_undefaulted_defaulted_key",
            r#"apply default {ports: [{protocol: TCP, name: A}]}
               = {ports: [{protocol: TCP, name: A}]}
               owns default .ports[protocol="TCP"] .ports[protocol="TCP"].name .ports[protocol="TCP"].protocol"#
                .into(),
        ),
    ];
    for (name, script) in cases {
        run(name, &ports(), &script);
    }
}

#[test]
fn test_default_keys_flat_errors() {
    run("ambiguous_A", &ports(), "refuse default {ports: [{port: 80}, {port: 80}]}");
    run("ambiguous_B", &ports(), "refuse default {ports: [{port: 80}, {port: 80, protocol: TCP}]}");
    run("no key at all", &named_values(), "refuse default {list: [{value: 1}]}");
}

#[test]
fn test_default_keys_nested() {
    let sentence = object([("page", number()), ("line", number()), ("text", string())]);
    let sentence = with_default(with_default(sentence, "page", 2.0), "line", 3);
    let chapter = object([("chapter", number()), ("section", string()), ("sentences", keyed(["page", "line"], sentence))]);
    let book = object([("book", keyed(["chapter", "section"], with_default(with_default(chapter, "chapter", 1), "section", "A")))]);
    run(
        "missing_every_key_nested, integer_key_with_float_default",
        &book,
        r#"apply default {book: [{sentences: [{text: blah}]}]}
           apply default {book: [{sentences: [{text: blah, page: 2}]}]}
           = {book: [{sentences: [{text: blah, page: 2}]}]}
           owns default .book[chapter=1,section="A"] .book[chapter=1,section="A"].sentences[line=3,page=2] .book[chapter=1,section="A"].sentences[line=3,page=2].text .book[chapter=1,section="A"].sentences[line=3,page=2].page"#,
    );
}

#[test]
fn test_preserve_unknown_fields() {
    // Free keys are kept where the schema has a map; elsewhere an applied object must not have them.
    run(
        "preserve_unknown_fields",
        &map(string()),
        "apply default {num: five, unknown: value}
         apply default {num: six, unknown: new}
         = {num: six, unknown: new}
         owns default .num .unknown",
    );
    run("undeclared", &leaf(), "refuse default {unknown: value}");
    run("of another type", &leaf(), "refuse default {numeric: text}");
}

#[test]
fn test_field_level_overrides() {
    let element = || object([("name", string()), ("value", number())]);
    let schema = object([("list", atomic(keyed(["name"], element()))), ("map", atomic(element())), ("separable", set(number()))]);
    run(
        "atomic list and map, separable list",
        &schema,
        "apply one {list: [{name: a, value: 1}], map: {name: a, value: 1}, separable: [1]}
         apply two {list: [{name: b, value: 2}]} ! one.list
         apply two {map: {name: b, value: 2}} ! one.map
         apply two {separable: [2]}
         = {list: [{name: a, value: 1}], map: {name: a, value: 1}, separable: [1, 2]}
         owns one .list .map .separable[=1]
         owns two .separable[=2]",
    );
}

fn structs() -> Schema {
    object([("struct", object([("numeric", number()), ("string", string())]))])
}

fn atomic_structs() -> Schema {
    object([("struct", atomic(object([("numeric", number()), ("string", string())])))])
}

#[test]
fn test_granular_to_atomic_schema_changes() {
    run_all(
        "to-atomic",
        &[
            (&structs(), "apply one {struct: {numeric: 1}}"),
            (
                &atomic_structs(),
                "apply two {struct: {string: string}} ! one.struct
                 force two {struct: {string: string}}
                 = {struct: {string: string}}
                 owns two .struct",
            ),
        ],
    );
    run_all(
        "to-atomic-owner-with-no-child-fields",
        &[
            (&structs(), "apply one {struct: {numeric: 1}}\n force two {struct: {numeric: 2}}"),
            (
                &atomic_structs(),
                "apply three {struct: {string: string}} ! two.struct
                 force two {struct: {string: string}}
                 = {struct: {string: string}}
                 owns two .struct",
            ),
        ],
    );
}

#[test]
fn test_atomic_to_granular_schema_changes() {
    run_all(
        "to-granular",
        &[
            (&atomic_structs(), "apply one {struct: {numeric: 1, string: a}}\n apply two {struct: {string: b}} ! one.struct"),
            (
                &structs(),
                "apply two {struct: {string: b}}
                 = {struct: {numeric: 1, string: b}}
                 owns one .struct
                 owns two .struct.string",
            ),
        ],
    );
}

#[test]
fn test_associative_list_schema_changes() {
    let element = || object([("name", string()), ("id", number()), ("value", number())]);
    let optional = object([("list", keyed(["name", "id"], element()))]);
    let defaulted = object([("list", keyed(["name", "id"], with_default(element(), "id", 1)))]);
    run_all(
        "new required key with default",
        &[
            (&named_values(), "apply one {list: [{name: a, value: 1}, {name: b, value: 1}]}"),
            (
                &defaulted,
                "apply one {list: [{name: a, value: 2}, {name: b, id: 1, value: 2}, {name: b, id: 2, value: 2}]}
                 = {list: [{name: a, value: 2}, {name: b, id: 1, value: 2}, {name: b, id: 2, value: 2}]}",
            ),
        ],
    );
    run_all(
        "new optional key",
        &[
            (&named_values(), "apply one {list: [{name: a, value: 1}]}"),
            (
                &optional,
                r#"apply one {list: [{name: a, value: 2}, {name: a, id: 1, value: 1}]}
                   = {list: [{name: a, value: 2}, {name: a, id: 1, value: 1}]}
                   owns one .list[name="a"] .list[name="a"].name .list[name="a"].value .list[id=1,name="a"] .list[id=1,name="a"].id .list[id=1,name="a"].name .list[id=1,name="a"].value"#,
            ),
        ],
    );
}

#[test]
fn test_promote_field_to_associative_list_key() {
    let element = || object([("name", string()), ("id", number()), ("value", number())]);
    let before = object([("list", keyed(["name"], element()))]);
    let after = object([("list", keyed(["name", "id"], element()))]);
    let cases = [
        ("identical item merges", "{list: [{name: a, id: 1, value: 1}]}", "{list: [{name: a, id: 1, value: 2}]}"),
        ("distinct item added", "{list: [{name: a, id: 1, value: 1}]}", "{list: [{name: a, id: 1, value: 1}, {name: a, id: 2, value: 2}]}"),
        (
            "item missing new key field is distinct",
            "{list: [{name: a, value: 1}]}",
            "{list: [{name: a, value: 1}, {name: a, id: 2, value: 2}]}",
        ),
    ];
    for (name, first, second) in cases {
        run_all(name, &[(&before, &format!("apply one {first}")), (&after, &format!("apply one {second}\n = {second}"))]);
    }
}
