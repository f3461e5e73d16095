//! No text, and no expression, takes more than its share of time, memory or stack.

use super::{ENVIRONMENT, activation, compile, evaluate, variable};
use crate::{Activation, CompositedVariable, EvaluationError, Evaluator, MATCH_CONDITIONS_BUDGET, PER_CALL_LIMIT, Program};
use apiserver_meta::testing::cost;
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The processor time that nothing may take, on the slowest machine.
const TIME: Duration = Duration::from_secs(60);

/// Evaluates a program, and checks that the cost was counted, the time is in proportion, and an error is short.
#[track_caller]
fn answered(program: &Program, activation: &Activation) -> Result<bool, EvaluationError> {
    let (mut evaluator, before) = (Evaluator::new(activation, MATCH_CONDITIONS_BUDGET), cost::of_thread());
    let outcome = evaluator.evaluate_bool(program);
    let time = cost::of_thread() - before;
    assert!(time < TIME, "{outcome:?}: {time:?}");
    // A program has its own limit, and what goes beyond is not done.
    let spent = MATCH_CONDITIONS_BUDGET - evaluator.remaining();
    assert!(spent > 0 && (spent <= PER_CALL_LIMIT + 1 || outcome.is_err()), "{outcome:?}: {spent}");
    match &outcome {
        Ok(_) => {}
        Err(EvaluationError::Failed { reason, .. }) => assert!(!reason.is_empty() && reason.len() < 10_000, "{} bytes", reason.len()),
        Err(EvaluationError::OutOfBudget) => assert_eq!(evaluator.remaining(), 0),
        Err(error @ EvaluationError::Compile(_)) => panic!("it was compiled: {error}"),
    }
    outcome
}

/// Compiles a text, and checks that an error says something, and not too much.
fn compiled(source: &str) -> Option<Program> {
    match ENVIRONMENT.compile(source) {
        Ok(program) => Some(program),
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("compilation failed: ") && text.len() < 20_000, "{} bytes", text.len());
            None
        }
    }
}

/// A policy whose variables double each other's strings.
fn doubling(depth: usize) -> Arc<[CompositedVariable]> {
    let of = |index: usize| match index {
        0 => "'0123456789abcdef'".to_owned(),
        _ => format!("variables.v{} + variables.v{}", index - 1, index - 1),
    };
    (0..depth).map(|index| variable(format!("v{index}"), &of(index))).collect()
}

#[test]
fn work_beyond_the_limit_is_cut_off() {
    let big = "x".repeat(1 << 20);
    let many: Vec<_> = (0..100_000).collect();
    let activation = activation().bind("object", json!({"s": big, "l": many, "m": {"l": many}})).with_variables(doubling(60));
    for source in [
        "lists.range(100000000000).size() > 0",
        "lists.range(2000).all(a, lists.range(2000).all(b, lists.range(2000).all(c, a + b + c >= 0)))",
        "object.l.all(a, object.m == object.m)",
        "object.l.distinct().size() > 0",
        "object.l.map(x, object.l).flatten(9).size() > 0",
        "sets.contains(object.l, object.l.reverse())",
        "object.l.all(a, a in object.l)",
        "variables.v59.size() > 0",
        "object.s.replace('', object.s).size() > 0",
        "object.l.map(x, object.s).join(object.s).size() > 0",
        "object.l.exists(x, object.s.matches('(x*)*y'))",
        "'a'.matches('((((((a{100}){100}){100}){100}){100}){100})')",
        "object.l.exists(x, object.s.indexOf(object.s + 'y') > 0)",
        "'%s%s%s'.format([object.l.map(x, object.s), object.l.map(x, object.s), 1]).size() > 0",
        "object.l.sortBy(x, object.s).size() > 0",
        "object.l.all(x, format.dns1123Label().validate(object.s).hasValue())",
        "object.l.all(x, url('http://x/' + object.s).getQuery().size() == 0)",
    ] {
        let outcome = answered(&compile(source), &activation);
        assert!(outcome.is_err(), "{source}: {outcome:?}");
    }
}

#[test]
fn the_budget_of_an_evaluator_ends_everything() {
    let activation = activation();
    let program = compile("lists.range(1000).all(x, x >= 0) || true");
    let mut evaluator = Evaluator::new(&activation, 20_000);
    let mut answers = Vec::new();
    while answers.last() != Some(&Err(EvaluationError::OutOfBudget)) && answers.len() < 100 {
        answers.push(evaluator.evaluate_bool(&program));
    }
    assert!((3..20).contains(&answers.len()), "{answers:?}");
    assert!(answers.iter().rev().skip(1).all(|it| *it == Ok(true)));
    assert_eq!(evaluator.remaining(), 0);
}

#[test]
fn variables_nest_no_deeper_than_the_stack() {
    let of = |index: usize| match index {
        0 => "1".to_owned(),
        _ => format!("[[[[variables.v{}]]]][0][0][0][0]", index - 1),
    };
    let chain = (0..300).map(|index| variable(format!("v{index}"), &of(index))).collect();
    let activation = activation().with_variables(chain);
    let error = evaluate(&compile("variables.v299 == 1"), &activation).unwrap_err().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
}

#[test]
fn odd_texts_are_refused_in_time() {
    let texts = [
        "[".repeat(10_000),
        "{".repeat(10_000),
        "(".repeat(90) + &")".repeat(90),
        "!".repeat(50_000),
        "-".repeat(50_000) + "'a",
        "a?".repeat(5_000),
        "[1].all(x, ".repeat(200),
        "x.".repeat(20_000),
        "'".repeat(9_999),
        "\"\"\"".repeat(999),
        "1 ? 2 : ".repeat(3_000),
        "a && ".repeat(10_000),
        "object.x[".repeat(3_000),
        "f(".repeat(3_000),
        "\u{0}\u{feff}\u{202e}".repeat(100),
        // An error for each of them would quote all of them.
        "\u{0}".repeat(90_000),
        "0x".repeat(1_000),
        "!(-(!(-(".repeat(40),
    ];
    for text in texts {
        // It is parsed on another thread.
        let before = cost::of_process();
        let program = compiled(&text);
        let (time, shown) = (cost::of_process() - before, text.chars().take(20).collect::<String>());
        assert!(program.is_none(), "{shown}");
        assert!(time < TIME, "{shown}: {time:?}");
    }
}

/// One of many words.
fn one_of(separator: char, lines: &[&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(lines.iter().flat_map(|line| line.split(separator)).collect::<Vec<_>>())
}

/// Pieces of expressions, put together without regard to grammar.
fn soup() -> impl Strategy<Value = String> {
    let piece = one_of(
        '~',
        &[
            "object~.~spec~?.~[~]~(~)~{~}~,~:~?~1~2u~1.5~'a'~b'x'~true~null~+~-~*~/~%~==~<~&&~||~!~ in ~all~exists~map",
            "filter~x~has~size~variables~twice~request~params~format~'%s'~matches~'(a*)*'~quantity~ip~cidr~url~semver",
            "sortBy~optMap~orValue~optional.none()~duration('1h')~timestamp('2020-01-01T00:00:00Z')~authorizer~path",
            "check~lists.range(9)~.ports~9223372036854775807~\\~`~\n~//~€",
        ],
    );
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Expressions that parse, of whatever types.
fn grown() -> impl Strategy<Value = String> {
    let leaf = one_of(
        '~',
        &[
            "object~object.spec~object.spec.ports~object.spec.names~object.metadata.labels~1~-1~2u~1.5~'a'~b'x'~true",
            "null~[]~{}~params~request~variables.twice~variables.broken~optional.none()~quantity('1k')~ip('::1')",
            "cidr('::/0')~int~url('http://a/b?c=d')~semver('1.2.3')~duration('1h')~timestamp('2020-01-01T00:00:00Z')",
            "authorizer~9223372036854775807~lists.range(9)~'%d %s'~0.0 / 0.0~-9223372036854775807 - 1",
        ],
    )
    .prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = one_of('~', &["+~-~*~/~%~==~!=~<~>=~&&~||~ in "]);
        let method = one_of(
            ' ',
            &[
                "size sum max min isSorted first last sort distinct reverse flatten join trim hasValue value getHours",
                "masked ip family getQuery major asInteger lowerAscii allowed getFullYear",
            ],
        );
        let binary = one_of(
            ' ',
            &[
                "indexOf lastIndexOf contains matches find findAll split charAt substring format orValue or add sub",
                "compareTo isLessThan containsIP containsCIDR join getHours path check flatten startsWith",
            ],
        );
        let folded = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter", "sortBy", "optMap", "optFlatMap"]);
        let converted = one_of(' ', &["int uint double string bytes bool type dyn duration timestamp size sign isURL"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), method).prop_map(|(a, f)| format!("{a}.{f}()")),
            (inner.clone(), binary, inner.clone()).prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
            (inner.clone(), folded, inner.clone()).prop_map(|(a, f, b)| format!("{a}.{f}(x, {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}.transformMap(k, v, {b})")),
            (converted, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a}[{b}]")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_text_harms(source in prop_oneof![soup(), "\\PC{0,60}"]) {
        if let Some(program) = compiled(&source) {
            // The same again: nothing is random.
            prop_assert_eq!(answered(&program, &activation()), answered(&program, &activation()));
        }
    }

    #[test]
    fn no_expression_harms(source in grown()) {
        if let Some(program) = compiled(&source) {
            // The same again: nothing is random.
            prop_assert_eq!(answered(&program, &activation()), answered(&program, &activation()));
        }
    }
}
