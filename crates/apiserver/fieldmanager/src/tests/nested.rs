//! merge/{nested,multiple_appliers,ignore}_test.go.

use super::schemas::*;
use super::script::run;
use apiserver_meta::Schema;

/// Maps in maps, as deep as the cases go.
fn recursive(depth: usize) -> Schema {
    map(if depth == 0 { string() } else { recursive(depth - 1) })
}

fn nested() -> Schema {
    object([
        ("listOfLists", keyed(["name"], object([("name", string()), ("value", set(string()))]))),
        ("listOfMaps", keyed(["name"], object([("name", string()), ("value", map(string()))]))),
        ("mapOfLists", map(set(string()))),
        ("mapOfMaps", map(map(string()))),
        ("recursive", recursive(6)),
        ("struct", object([("name", string()), ("value", number())])),
    ])
}

#[test]
fn test_update_nested_type() {
    let cases = [
        (
            "listOfLists_change_value",
            r#"apply default {listOfLists: [{name: a, value: [b, c]}]}
               apply default {listOfLists: [{name: a, value: [a, c]}]}
               = {listOfLists: [{name: a, value: [a, c]}]}
               owns default .listOfLists[name="a"] .listOfLists[name="a"].name .listOfLists[name="a"].value[="a"] .listOfLists[name="a"].value[="c"]"#,
        ),
        (
            "listOfLists_change_key_and_value",
            r#"apply default {listOfLists: [{name: a, value: [b, c]}]}
               apply default {listOfLists: [{name: b, value: [a]}]}
               = {listOfLists: [{name: b, value: [a]}]}
               owns default .listOfLists[name="b"] .listOfLists[name="b"].name .listOfLists[name="b"].value[="a"]"#,
        ),
        (
            "listOfMaps_change_value",
            r#"apply default {listOfMaps: [{name: a, value: {b: x, c: y}}]}
               apply default {listOfMaps: [{name: a, value: {a: x, c: z}}]}
               = {listOfMaps: [{name: a, value: {a: x, c: z}}]}
               owns default .listOfMaps[name="a"] .listOfMaps[name="a"].name .listOfMaps[name="a"].value.a .listOfMaps[name="a"].value.c"#,
        ),
        (
            "listOfMaps_change_key_and_value",
            r#"apply default {listOfMaps: [{name: a, value: {b: x, c: y}}]}
               apply default {listOfMaps: [{name: b, value: {a: x}}]}
               = {listOfMaps: [{name: b, value: {a: x}}]}
               owns default .listOfMaps[name="b"] .listOfMaps[name="b"].name .listOfMaps[name="b"].value.a"#,
        ),
        (
            "mapOfLists_change_value",
            r#"apply default {mapOfLists: {a: [b, c]}}
               apply default {mapOfLists: {a: [a, c]}}
               = {mapOfLists: {a: [a, c]}}
               owns default .mapOfLists.a .mapOfLists.a[="a"] .mapOfLists.a[="c"]"#,
        ),
        (
            "mapOfLists_change_key_and_value",
            r#"apply default {mapOfLists: {a: [b, c]}}
               apply default {mapOfLists: {b: [a, c]}}
               = {mapOfLists: {b: [a, c]}}
               owns default .mapOfLists.b .mapOfLists.b[="a"] .mapOfLists.b[="c"]"#,
        ),
        (
            "mapOfMaps_change_value",
            "apply default {mapOfMaps: {a: {b: x, c: y}}}
             apply default {mapOfMaps: {a: {a: x, c: z}}}
             = {mapOfMaps: {a: {a: x, c: z}}}
             owns default .mapOfMaps.a .mapOfMaps.a.a .mapOfMaps.a.c",
        ),
        (
            "mapOfMaps_change_key_and_value",
            "apply default {mapOfMaps: {a: {b: x, c: y}}}
             apply default {mapOfMaps: {b: {a: x, c: z}}}
             = {mapOfMaps: {b: {a: x, c: z}}}
             owns default .mapOfMaps.b .mapOfMaps.b.a .mapOfMaps.b.c",
        ),
        (
            "mapOfMapsRecursive_change_middle_key",
            "apply default {recursive: {a: {b: {c: null}}}}
             apply default {recursive: {a: {d: {c: null}}}}
             = {recursive: {a: {d: {c: null}}}}
             owns default .recursive.a .recursive.a.d .recursive.a.d.c",
        ),
        ("struct_apply_remove_all", "apply default {struct: {name: a, value: 1}}\n apply default {}\n = {}\n nobody owns"),
        (
            "struct_apply_remove_dangling",
            "apply default {struct: {name: a}}
             apply default {struct: null}
             = {struct: null}
             owns default .struct",
        ),
        (
            "struct_apply_update_remove_all",
            "apply default {struct: {name: a}}
             update controller {struct: {name: a, value: 1}}
             apply default {}
             = {struct: {value: 1}}",
        ),
        (
            "struct_apply_update_dict_dangling",
            "apply default {struct: {name: a}}
             update controller {struct: {name: a, value: 1}}
             apply default {struct: {}}
             = {struct: {value: 1}}",
        ),
        (
            "struct_apply_update_dict_null",
            "apply default {struct: {name: a}}
             update controller {struct: {name: a, value: 1}}
             apply default {struct: null}
             = {struct: {value: 1}}",
        ),
        (
            "struct_apply_update_took_over",
            "apply default {struct: {name: a}}
             update controller {struct: {name: b, value: 1}}
             apply default {struct: null}
             = {struct: {name: b, value: 1}}",
        ),
    ];
    for (name, script) in cases {
        run(name, &nested(), script);
    }
}

#[test]
fn test_multiple_appliers_set() {
    let schema = object([("list", keyed(["name"], object([("name", string()), ("value", number())])))]);
    let cases = [
        (
            "remove_one",
            r#"apply one {list: [{name: a}, {name: b}]}
               apply two {list: [{name: c}]}
               apply one {list: [{name: a}]}
               = {list: [{name: a}, {name: c}]}
               owns one .list[name="a"] .list[name="a"].name
               owns two .list[name="c"] .list[name="c"].name"#,
        ),
        (
            "same_value_no_conflict",
            r#"apply one {list: [{name: a, value: 0}]}
               apply two {list: [{name: a, value: 0}]}
               = {list: [{name: a, value: 0}]}
               owns one .list[name="a"] .list[name="a"].name .list[name="a"].value
               owns two .list[name="a"] .list[name="a"].name .list[name="a"].value"#,
        ),
        (
            "change_value_yes_conflict",
            r#"apply one {list: [{name: a, value: 0}]}
               apply two {list: [{name: a, value: 1}]} ! one.list[name="a"].value
               = {list: [{name: a, value: 0}]}
               owns one .list[name="a"] .list[name="a"].name .list[name="a"].value"#,
        ),
        (
            "remove_one_keep_one",
            r#"apply one {list: [{name: a}, {name: b}, {name: c}]}
               apply two {list: [{name: c}, {name: d}]}
               apply one {list: [{name: a}]}
               = {list: [{name: a}, {name: c}, {name: d}]}
               owns one .list[name="a"] .list[name="a"].name
               owns two .list[name="c"] .list[name="c"].name .list[name="d"] .list[name="d"].name"#,
        ),
    ];
    for (name, script) in cases {
        run(name, &schema, script);
    }
}

#[test]
fn test_multiple_appliers_field_unsetting() {
    let schema = object([("struct", object([("name", string()), ("scalar", string()), ("complex", object([("name", string())]))]))]);
    let cases = [
        (
            "unset_scalar_sole_owner",
            "apply one {struct: {name: a, scalar: a}}
             apply one {struct: {name: a}}
             = {struct: {name: a}}
             owns one .struct.name",
        ),
        (
            "unset_scalar_shared_with_applier",
            "apply one {struct: {name: a, scalar: a}}
             apply two {struct: {scalar: a}}
             apply one {struct: {name: a}}
             = {struct: {name: a, scalar: a}}
             owns one .struct.name
             owns two .struct.scalar",
        ),
        (
            "unset_scalar_shared_with_updater",
            "update updater {struct: {name: a, scalar: a}}
             apply applier {struct: {name: a, scalar: a}}
             apply applier {struct: {name: a}}
             = {struct: {name: a, scalar: a}}
             owns updater .struct .struct.name .struct.scalar
             owns applier .struct.name",
        ),
        (
            "updater_claims_field",
            "apply applier {struct: {name: a, scalar: a}}
             update updater {struct: {name: a, scalar: b}}
             = {struct: {name: a, scalar: b}}
             owns updater .struct.scalar
             owns applier .struct.name",
        ),
        (
            "unset_complex_sole_owner",
            "apply one {struct: {name: a, complex: {name: b}}}
             apply one {struct: {name: a}}
             = {struct: {name: a}}
             owns one .struct.name",
        ),
        (
            "unset_complex_shared_with_applier",
            "apply one {struct: {name: a, complex: {name: b}}}
             apply two {struct: {complex: {name: b}}}
             apply one {struct: {name: a}}
             = {struct: {name: a, complex: {name: b}}}
             owns one .struct.name
             owns two .struct.complex.name",
        ),
    ];
    for (name, script) in cases {
        run(name, &schema, script);
    }
}

#[test]
fn test_multiple_appliers_nested_type() {
    let cases = [
        (
            "remove_one_keep_one_with_two_sub_items",
            r#"apply one {listOfLists: [{name: a}, {name: b, value: [c]}]}
               apply two {listOfLists: [{name: b, value: [d]}]}
               apply one {listOfLists: [{name: a}]}
               = {listOfLists: [{name: a}, {name: b, value: [d]}]}
               owns one .listOfLists[name="a"] .listOfLists[name="a"].name
               owns two .listOfLists[name="b"] .listOfLists[name="b"].name .listOfLists[name="b"].value[="d"]"#,
        ),
        (
            "remove_one_keep_one_with_dangling_subitem",
            r#"apply one {listOfLists: [{name: a}, {name: b, value: [c]}]}
               apply two {listOfLists: [{name: b, value: [d]}]}
               update controller {listOfLists: [{name: a}, {name: b, value: [c, d, e]}]}
               apply one {listOfLists: [{name: a}]}
               = {listOfLists: [{name: a}, {name: b, value: [d, e]}]}
               owns one .listOfLists[name="a"] .listOfLists[name="a"].name
               owns two .listOfLists[name="b"] .listOfLists[name="b"].name .listOfLists[name="b"].value[="d"]
               owns controller .listOfLists[name="b"].value[="e"]"#,
        ),
        (
            "remove_one_with_dangling_subitem_keep_one",
            r#"apply one {listOfLists: [{name: a}, {name: b, value: [c]}]}
               apply two {listOfLists: [{name: a, value: [b]}]}
               update controller {listOfLists: [{name: a, value: [b]}, {name: b, value: [c, d]}]}
               apply one {listOfLists: [{name: a}]}
               = {listOfLists: [{name: a, value: [b]}]}
               owns one .listOfLists[name="a"] .listOfLists[name="a"].name
               owns two .listOfLists[name="a"] .listOfLists[name="a"].name .listOfLists[name="a"].value[="b"]"#,
        ),
        (
            "multiple_appliers_recursive_map",
            "apply one {recursive: {a: {b: null}, c: {d: null}}}
             apply two {recursive: {a: null, c: {d: null}}}
             update controller-one {recursive: {a: {b: {c: null}}, c: {d: {e: null}}}}
             update controller-two {recursive: {a: {b: {c: {d: null}}}, c: {d: {e: {f: null}}}}}
             update controller-one {recursive: {a: {b: {c: {d: {e: null}}}}, c: {d: {e: {f: {g: null}}}}}}
             apply one {recursive: null}
             = {recursive: {a: null, c: {d: {e: {f: {g: null}}}}}}
             owns one .recursive
             owns two .recursive.a .recursive.c .recursive.c.d
             owns controller-one .recursive.c.d.e .recursive.c.d.e.f.g
             owns controller-two .recursive.c.d.e.f",
        ),
    ];
    for (name, script) in cases {
        run(name, &nested(), script);
    }
}

#[test]
fn test_multiple_appliers_deduced_type() {
    run(
        "multiple_appliers_recursive_map_deduced",
        &recursive(6),
        "apply one {a: {b: null}, c: {d: null}}
         apply two {a: null, c: {d: null}}
         update controller-one {a: {b: {c: null}}, c: {d: {e: null}}}
         update controller-two {a: {b: {c: {d: null}}}, c: {d: {e: {f: null}}}}
         update controller-one {a: {b: {c: {d: {e: null}}}}, c: {d: {e: {f: {g: null}}}}}
         apply one {}
         = {a: null, c: {d: {e: {f: {g: null}}}}}
         owns two .a .c .c.d
         owns controller-one .c.d.e .c.d.e.f.g
         owns controller-two .c.d.e.f",
    );
}

#[test]
fn test_multiple_applier_atomic_maps() {
    run(
        "force",
        &object([("atomicMap", atomic(map(string())))]),
        "apply one {atomicMap: {field1: a}}
         apply two {atomicMap: {field2: b}} ! one.atomicMap
         force two {atomicMap: {field2: b}}
         = {atomicMap: {field2: b}}
         owns two .atomicMap",
    );
}
