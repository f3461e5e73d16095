//! Expressions and their values: a table for each part of the language and each library.

use super::{ENVIRONMENT, activation, compile, evaluate};
use crate::environment::MAX_SOURCE_BYTES;
use crate::{Activation, Environment, EvaluationError, Evaluator, Output, POLICY_BUDGET};
use serde_json::json;

/// Every expression is true.
#[track_caller]
fn all_true(expressions: &[&str]) {
    let activation = activation();
    for source in expressions {
        assert_eq!(evaluate(&compile(source), &activation), Ok(true), "{source}");
    }
}

/// Every expression ends with this reason.
#[track_caller]
fn all_fail(expressions: &[(&str, &str)]) {
    let activation = activation();
    for (source, want) in expressions {
        match evaluate(&compile(source), &activation) {
            Err(EvaluationError::Failed { reason, .. }) => assert_eq!(reason, *want, "{source}"),
            other => panic!("{source}: {other:?}"),
        }
    }
}

#[test]
fn fields_and_literals() {
    all_true(&[
        "object.spec.replicas == 3",
        "object.spec.replicas <= params.maxReplicas",
        "object['spec']['replicas'] == 3",
        "object.metadata.labels['a/b'] == 'slashed'",
        "object.metadata.labels.`a/b` == 'slashed'",
        "object.spec.ports[1].port == 443",
        "object.spec.big == 9007199254740993",
        "object.spec.ratio == 0.5 && object.spec.ratio < 1",
        "oldObject == null",
        "object.spec.nothing == null",
        "namespaceObject.metadata.labels.env == 'prod'",
        "request.operation in ['CREATE', 'UPDATE']",
        "'app' in object.metadata.labels && !('x' in object.metadata.labels)",
        "has(object.spec.paused) && !has(object.spec.missing) && !has(object.spec.nothing.deeper)",
        "size(object.spec.ports) == 2 && object.spec.ports.size() == 2",
        "type(1) == int && type('') == string && type([]) == list && type(null) == null_type && type(1u) == uint",
        "type(timestamp('2020-01-01T00:00:00Z')) == google.protobuf.Timestamp",
        "1 == 1.0 && 1u == 1 && 2 > 1.5 && [1] == [1.0] && {'a': 1} == {'a': 1u}",
        "1 != '1' && [] != {} && quantity('1') != [1] && !('1' == dyn(quantity('1')))",
        "{'a': 1, 'b': 2}.a == 1 && {1: 'x'}[1u] == 'x'",
        "b'abc' + b'd' == b'abcd' && size(b'abc') == 3",
        "'😀'.size() == 1 && r'\\d' == '\\\\d'",
        "-object.spec.replicas == -3 && 7 % 3 == 1 && -7 / 2 == -3",
        "true ? true : object.missing",
        "[1, 2] + [3] == [1, 2, 3] && 'a' + 'b' == 'ab'",
    ]);
}

#[test]
fn what_decides_wins_over_failures() {
    all_true(&[
        "true || object.missing == 1",
        "object.missing == 1 || true",
        "!(false && object.missing == 1)",
        "!(object.missing == 1 && false)",
        "[1, 2, 3].exists(i, i / (i - 1) == 2 || i == 3)",
        "![0, 1].all(i, 1 / i == 2)",
    ]);
}

#[test]
fn comprehensions() {
    all_true(&[
        "object.spec.ports.all(p, p.port > 0)",
        "object.spec.ports.exists(p, p.name == 'http')",
        "object.spec.ports.exists_one(p, p.port == 80)",
        "object.spec.ports.map(p, p.port) == [80, 443]",
        "object.spec.ports.map(p, p.port > 100, p.name) == ['https']",
        "object.spec.ports.filter(p, p.port > 100).size() == 1",
        "object.metadata.labels.all(k, k.size() > 0)",
        "[1, 2].all(x, [3, 4].all(y, x < y))",
        "[3, 1, 2].map(x, x * 2).exists(x, x == 6)",
        "['a', 'b'].all(i, v, i == 0 ? v == 'a' : v == 'b')",
        "{'a': 1, 'b': 2}.exists(k, v, k == 'b' && v == 2)",
        "{'a': 1, 'b': 1}.existsOne(k, v, k == 'a' && v == 1)",
        "[1, 2].transformList(i, v, i * v) == [0, 2]",
        "[1, 2, 3].transformList(i, v, v > 1, v) == [2, 3]",
        "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
        "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v) == {'b': 2}",
        "{'a': 'x'}.transformMapEntry(k, v, {v: k}) == {'x': 'a'}",
        "object.spec.ports.sortBy(p, -p.port).map(p, p.port) == [443, 80]",
    ]);
}

#[test]
fn optionals() {
    all_true(&[
        "object.?spec.?missing.orValue('d') == 'd'",
        "object.?spec.missing.deeper.orValue(1) == 1",
        "object.?spec.?replicas.value() == 3",
        "object.spec.ports[?5].hasValue() == false && object.spec.ports[?0].hasValue()",
        "object.metadata.labels[?'app'].orValue('') == 'web'",
        "optional.none().or(optional.of(2)).value() == 2",
        "optional.of(1).orValue(1 / 0) == 1 && optional.of(1).or(object.missing).value() == 1 && dyn('x').orValue('y') == 'x'",
        "optional.ofNonZeroValue('').hasValue() == false",
        "object.?spec.?replicas.optMap(r, r + 1).value() == 4",
        "object.?spec.?replicas.optFlatMap(r, optional.none()).hasValue() == false",
        "[1, ?optional.none(), ?optional.of(2)] == [1, 2]",
        "{?'a': optional.none(), 'b': 1} == {'b': 1}",
        "[1, 2].first().value() == 1 && [].last().hasValue() == false",
        "optional.unwrap([optional.of(1), optional.none()]) == [1]",
    ]);
}

#[test]
fn conversions() {
    all_true(&[
        "int('42') == 42 && int(3.9) == 3 && int(7u) == 7 && int(timestamp('1970-01-01T00:01:00Z')) == 60",
        "uint(3) == 3u && double('1.5') == 1.5 && double(2) == 2.0",
        "string(3) == '3' && string(1.0) == '1' && string(1e30) == '1e+30' && string(123456789.0) == '1.23456789e+08' && string(123456.0) == '123456' && string(0.5) == '0.5' && string(true) == 'true'",
        "string(b'abc') == 'abc' && bytes('abc') == b'abc' && bool('true') && !bool('0')",
        "string(duration('90s')) == '90s' && string(duration('1500ms')) == '1.5s'",
        "string(timestamp('2020-01-02T03:04:05Z')) == '2020-01-02T03:04:05Z'",
        "duration('1h30m').getMinutes() == 90 && duration('1h') > duration('59m')",
        "timestamp('2020-02-29T10:00:00Z') + duration('24h') == timestamp('2020-03-01T10:00:00Z')",
        "timestamp('2020-01-01T00:00:01Z') - timestamp('2020-01-01T00:00:00Z') == duration('1s')",
        "timestamp('2020-05-06T07:08:09Z').getFullYear() == 2020 && timestamp('2020-05-06T07:08:09Z').getMonth() == 4",
        "timestamp('2020-05-06T07:08:09Z').getDate() == 6 && timestamp('2020-05-06T07:08:09Z').getDayOfMonth() == 5",
        "timestamp('2020-05-06T07:08:09Z').getDayOfWeek() == 3 && timestamp('2020-05-06T07:08:09Z').getHours('+02:00') == 9",
        "timestamp('2020-05-06T07:08:09+02:00').getHours() == 5",
    ]);
}

#[test]
fn strings() {
    all_true(&[
        "'tacocat'.charAt(3) == 'o' && 'ab'.charAt(2) == ''",
        "'tacocat'.indexOf('c') == 2 && 'tacocat'.indexOf('c', 3) == 4 && 'tacocat'.indexOf('x') == -1 && 'a'.indexOf('') == 0",
        "'tacocat'.lastIndexOf('c') == 4 && 'tacocat'.lastIndexOf('c', 3) == 2 && 'ab'.lastIndexOf('') == 2",
        "['a', 'b'].join() == 'ab' && ['a', 'b'].join('-') == 'a-b'",
        "'aXbXc'.replace('X', '-') == 'a-b-c' && 'aXbXc'.replace('X', '-', 1) == 'a-bXc' && 'ab'.replace('', '.') == '.a.b.'",
        "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'ab'.split('') == ['a', 'b']",
        "'a,b'.split(',', 0) == [] && 'abc'.split('', 2) == ['a', 'bc']",
        "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco'",
        "'TaCo'.lowerAscii() == 'taco' && 'taco'.upperAscii() == 'TACO' && '  x '.trim() == 'x'",
        "strings.quote('a\"b\\n') == '\"a\\\\\"b\\\\n\"'",
        "'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.contains('b') && 'abc'.matches('^[a-c]+$') && matches('abc', 'b')",
        "'%s is %d, %.2f, %x, %b'.format(['x', 3, 12345.5, 255, 5]) == 'x is 3, 12,345.50, ff, 101'",
        "'%e'.format([1234.5]) == '1.234500×10⁰³' && '%X %o'.format(['az', -8]) == '617A -10'",
        "'%s'.format([[1, 'a', {'k': null, 'd': 1.5}]]) == '[1, \"a\", {\"d\":1.500000, \"k\":null}]' && '100%%'.format([]) == '100%'",
        "'%s %s %s'.format([1.0, duration('1s'), [duration('1s')]]) == '1 1s [duration(\"1s\")]'",
    ]);
}

#[test]
fn lists_and_sets() {
    all_true(&[
        "[1, 2, 2].isSorted() && ![2, 1].isSorted() && object.spec.names.isSorted() == false",
        "[1, 2, 3].sum() == 6 && [1.5, 1.5].sum() == 3.0 && [].sum() == 0",
        "[3, 1, 2].max() == 3 && ['b', 'a'].min() == 'a'",
        "[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(5) == -1",
        "[1, 2, 3, 4].slice(1, 3) == [2, 3] && [[1, [2]], [3]].flatten() == [1, [2], 3] && [[1, [2]]].flatten(2) == [1, 2]",
        "[3, 1, 2].sort() == [1, 2, 3] && [1, 1.0, 2].distinct() == [1, 2] && [1, 2].reverse() == [2, 1]",
        "lists.range(3) == [0, 1, 2]",
        "sets.contains([1, 2, 3], [2.0]) && sets.equivalent([1, 1, 2], [2, 1]) && sets.intersects([1], [1, 5]) && !sets.intersects([], [1])",
    ]);
}

#[test]
fn regular_expressions_and_urls() {
    all_true(&[
        "'abc 123'.find('[0-9]+') == '123' && 'abc'.find('[0-9]+') == ''",
        "'123 abc 456'.findAll('[0-9]+') == ['123', '456'] && '1 2 3'.findAll('[0-9]', 2) == ['1', '2']",
        // Go's classes are ASCII, and know no nesting.
        "!'٣'.matches('\\\\d') && '['.matches('^[[]$') && 'a_1'.matches('^[\\\\w]+$') && 'é'.matches('^.$')",
        "isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute-path') && !isURL('../relative') && !isURL('https://a:b:c/')",
        "url('https://example.com:80/').getHost() == 'example.com:80' && url('https://example.com/').getHost() == 'example.com'",
        "url('https://[::1]:80/').getHostname() == '::1' && url('https://[::1]:80/').getPort() == '80' && url('/path').getHost() == ''",
        "url('https://example.com/path with spaces/').getEscapedPath() == '/path%20with%20spaces/'",
        "url('https://example.com/?k=1&k=2&m=a+b').getQuery() == {'k': ['1', '2'], 'm': ['a b']}",
        "url('https://example.com').getScheme() == 'https' && url('https://example.com').getEscapedPath() == ''",
    ]);
}

#[test]
fn addresses() {
    all_true(&[
        "ip('127.0.0.1').family() == 4 && ip('::1').family() == 6 && isIP('::1') && !isIP('127.0.0.256') && !isIP('::ffff:1.2.3.4')",
        "ip('0.0.0.0').isUnspecified() && ip('127.0.0.1').isLoopback() && ip('224.0.0.1').isLinkLocalMulticast() && ip('fe80::1').isLinkLocalUnicast()",
        "ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast() && !ip('ff00::1').isGlobalUnicast()",
        "ip.isCanonical('127.0.0.1') && !ip.isCanonical('2001:DB8::1') && string(ip('2001:DB8::1')) == '2001:db8::1'",
        "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1')) && cidr('192.168.0.0/24').containsIP('192.168.0.9') && !cidr('192.168.0.0/24').containsIP('192.168.1.1')",
        "cidr('192.168.0.0/16').containsCIDR('192.168.10.0/24') && !cidr('192.168.0.0/24').containsCIDR(cidr('192.168.0.0/16'))",
        "cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24') && cidr('::1/128').prefixLength() == 128",
        "isCIDR('192.168.0.0/16') && !isCIDR('192.168.0.0/33') && !isCIDR('1.2.3.4') && string(cidr('10.0.0.0/8')) == '10.0.0.0/8'",
        "cidr('0.0.0.0/0').containsIP('8.8.8.8') && ip('1.1.1.1') == ip('1.1.1.1') && ip('1.1.1.1') != ip('1.1.1.2')",
    ]);
}

#[test]
fn quantities_versions_and_formats() {
    all_true(&[
        "quantity('500000G').isInteger() && quantity('50k').asInteger() == 50000 && !quantity('9999999999999999999999999G').isInteger() && !quantity('50m').isInteger()",
        "quantity('50k').add('20k' == '' ? quantity('0') : quantity('20k')) == quantity('70k') && quantity('50k').add(20) == quantity('50020') && quantity('50k').sub(quantity('100k')) == quantity('-50k')",
        "quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('50Mi').compareTo(quantity('50M')) == 1 && quantity('150Mi').isGreaterThan(quantity('100Mi')) && quantity('50M').isLessThan(quantity('100M'))",
        "sign(quantity('-1')) == -1 && sign(quantity('0')) == 0 && quantity('1.5').asApproximateFloat() == 1.5 && quantity('1e3') == quantity('1k')",
        "isQuantity('1.3G') && isQuantity('10e3') && isQuantity('.5') && !isQuantity('1.3Gi1') && !isQuantity('200K') && !isQuantity('') && isQuantity('Mi')",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-alpha').compareTo(semver('1.0.0')) == -1 && semver('1.2.3').major() == 1 && semver('1.2.3').patch() == 3",
        "isSemver('1.0.0') && !isSemver('v1.0') && isSemver('v1.0', true) && semver('v01.01', true) == semver('1.1.0') && !isSemver('01.0.0')",
        "!format.dns1123Label().validate('my-label').hasValue() && format.dns1123Label().validate('My').hasValue() && format.named('uuid').value().validate('x').value() == ['does not match the UUID format']",
        "!format.named('nothing').hasValue() && !format.dns1123LabelPrefix().validate('my-').hasValue() && !format.uri().validate('http://example.com').hasValue() && format.uri().validate('x').hasValue()",
        "!format.date().validate('2021-01-01').hasValue() && format.date().validate('2021-13-01').hasValue() && !format.datetime().validate('2021-01-01T00:00:00Z').hasValue() && !format.byte().validate('aGVsbG8=').hasValue()",
    ]);
}

#[test]
fn the_authorizer_is_asked() {
    all_true(&[
        "authorizer.group('').resource('pods').namespace('default').check('create').allowed()",
        "!authorizer.group('').resource('pods').check('create').allowed()",
        "authorizer.group('').resource('pods').namespace('default').check('get').reason() == 'jane get'",
        "authorizer.path('/healthz').check('get').allowed() && !authorizer.path('/metrics').check('get').allowed()",
        "authorizer.requestResource.check('update').allowed()",
        "!authorizer.serviceAccount('default', 'bot').group('').resource('pods').namespace('default').check('get').allowed()",
        "authorizer.path('/x').check('explode').errored() && authorizer.path('/x').check('explode').error() == 'no answer'",
    ]);
    all_fail(&[
        ("authorizer.path(' ').check('get').allowed()", "path must not be empty"),
        // Three questions cost more than an expression may.
        ("[1, 2, 3].all(i, authorizer.path('/healthz').check('get').allowed())", "operation cancelled: actual cost limit exceeded"),
    ]);
}

#[test]
fn composited_variables_are_evaluated_when_needed() {
    all_true(&[
        "variables.twice == 6",
        "has(variables.broken)",
        "true || variables.broken == 1",
        "[1].exists(object, variables.replicas == 3)",
    ]);
    all_fail(&[
        ("variables.broken == 1", "composited variable \"broken\" fails to evaluate: no such key: missing"),
        ("variables.self == 1", "composited variable \"self\" fails to evaluate: no such key: self"),
        ("variables.nothing == 1", "no such key: nothing"),
    ]);
    let unparsable = evaluate(&compile("variables.unparsable == 1"), &activation()).unwrap_err().to_string();
    assert!(
        unparsable.contains("composited variable \"unparsable\" fails to compile: compilation failed: ERROR: <input>:1:"),
        "{unparsable}"
    );
}

#[test]
fn failures_say_what_upstream_says() {
    all_fail(&[
        ("object.spec.missing == 1", "no such key: missing"),
        ("object.spec.replicas.deeper == 1", "no such key: deeper"),
        ("object.spec.nothing.deeper == 1", "no such key: deeper"),
        ("object.spec.ports[7].port == 1", "index out of bounds: 7"),
        ("object.spec.ports['x'] == 1", "unsupported index type 'string' in list"),
        ("object.metadata.labels['x'] == ''", "no such key: x"),
        ("1 / 0 == 1", "division by zero"),
        ("1 % 0 == 1", "modulus by zero"),
        ("9223372036854775807 + 1 == 0", "integer overflow"),
        ("1u - 2u == 0u", "unsigned integer overflow"),
        ("object.spec.replicas + 'x' == ''", "no such overload"),
        ("object.spec.names < 1", "no such overload: _<_"),
        ("object.spec - 1 == 1", "no such overload: _-_"),
        ("object.metadata.name / 2 == 1", "no such overload"),
        ("-object.spec == 1", "no such overload: -_"),
        ("size(object.spec.replicas) == 1", "no such overload: size"),
        ("object.spec.replicas.all(x, true)", "got 'types.Int', expected iterable type"),
        ("object.spec.names.join(1) == ''", "no such overload: join(list, int)"),
        ("quantity('1') == object.metadata.name", "no such overload"),
        ("int(object.metadata.name) == 1", "type conversion error from 'string' to 'int'"),
        ("optional.none().value()", "optional.none() dereference"),
        ("'abc'.charAt(9) == ''", "index out of range: 9"),
        ("[].max() == 1", "max called on empty list"),
        ("object.spec.replicas", "must evaluate to bool but got int"),
        ("quantity('x') == quantity('1')", "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
    ]);
}

#[test]
fn what_is_no_expression_does_not_compile() {
    for source in [
        "",
        "1 +",
        "object.",
        "foo == 1",
        "object.spec.foo()",
        "unknown(1)",
        "[1].map(1, 2)",
        "has(1)",
        "object{}",
        "x.y.z",
        "'a",
        "1 = 1",
        "size()",
        "variables",
        "[1].all(x, y, z, w)",
        "[1].transformList(i, i, i)",
    ] {
        assert!(ENVIRONMENT.compile(source).is_err(), "{source}");
    }
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(ENVIRONMENT.compile(&deep).is_err());
    let long = vec!["1"; 20_000].join("+");
    assert!(ENVIRONMENT.compile(&long).is_err());
    assert!(ENVIRONMENT.compile(&"a".repeat(MAX_SOURCE_BYTES + 1)).is_err());
}

#[test]
fn an_environment_declares_what_its_programs_may_name() {
    let environment = Environment::new(&["self"]);
    assert!(environment.compile("object == 1").unwrap_err().to_string().contains("undeclared reference to 'object'"));
    let program = environment.compile("self.spec").unwrap();
    assert_eq!(program.source(), "self.spec");
    let outputs = [(json!("a"), Output::String("a".into())), (json!(null), Output::Null), (json!(true), Output::Bool(true))];
    for (spec, want) in outputs.into_iter().chain([(json!([]), Output::Other("list"))]) {
        let activation = Activation::default().bind("self", json!({"spec": spec}));
        assert_eq!(Evaluator::new(&activation, POLICY_BUDGET).evaluate(&program), Ok(want));
    }
}

#[test]
fn unbound_variables_are_no_values() {
    let activation = activation().without_authorizer();
    for source in ["authorizer.path('/healthz').check('get').allowed()", "authorizer.requestResource.check('get').allowed()"] {
        let error = evaluate(&compile(source), &activation).unwrap_err();
        assert!(error.to_string().ends_with("resulted in error: no such attribute(s): authorizer"), "{error}");
    }
}
