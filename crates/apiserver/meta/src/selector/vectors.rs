//! Selectors as the suites of k8s.io/apimachinery/pkg/labels and pkg/fields read and match them.
#![allow(clippy::unwrap_used)]

use super::{FieldSelector, LabelSelector};

/// Pairs written `a=b c=`, sorted by key.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<_> =
        text.split_whitespace().map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    pairs.sort();
    pairs
}

#[test]
fn label_selectors_print_in_canonical_form() {
    for (text, want) in [
        ("", ""),
        ("x=a,y=b,z=c", "x=a,y=b,z=c"),
        ("x!=a,y=b", "x!=a,y=b"),
        ("x=", "x="),
        ("x= ", "x="),
        ("x= ,z= ", "x=,z="),
        ("!x", "!x"),
        ("x>1,z<5", "x>1,z<5"),
        ("x=a,a=x", "a=x,x=a"),
        ("a=x,x=a", "a=x,x=a"),
        ("\rx", "x"),
        ("a ", "a"),
        ("this-is-a-dns.domain.com/key-with-dash", "this-is-a-dns.domain.com/key-with-dash"),
        ("other.domain.com/key-with-dash in (so,what)", "other.domain.com/key-with-dash in (so,what)"),
        ("0.1.2.domain/99 notin (10.10.100.1, tick.tack.clock)", "0.1.2.domain/99 notin (10.10.100.1,tick.tack.clock)"),
        ("foo  in\t (abc)", "foo in (abc)"),
        ("x notin\n (abc)", "x notin (abc)"),
        ("x  notin\t\t(abc,def)", "x notin (abc,def)"),
        ("x in (abc,)", "x in (,abc)"),
        ("x in (abc,abc)", "x in (abc)"),
        ("x in ()", "x in ()"),
        ("x in (a,,)", "x in (,a)"),
        ("x in (a,,,,,,)", "x in (,a)"),
        ("x in (a,,a,,a,,a,,)", "x in (,a)"),
        ("x notin (abc,,def),bar,z in (),w", "bar,w,x notin (,abc,def),z in ()"),
        ("x,y in (a)", "x,y in (a)"),
        ("x=a,y!=b,z in (h,i,j)", "x=a,y!=b,z in (h,i,j)"),
        ("x notin ( )", "x notin ()"),
        ("x notin (, a)", "x notin (,a)"),
        ("a in (x,y,notin, z,in)", "a in (in,notin,x,y,z)"),
        ("key in ( value1, value2 )", "key in (value1,value2)"),
        ("x==abc,y==jkl,z!=a,z", "x==abc,y==jkl,z!=a,z"),
    ] {
        assert_eq!(LabelSelector::parse(text).map(|selector| selector.to_string()), Ok(want.into()), "{text:?}");
    }
}

#[test]
fn what_is_no_label_selector_is_refused() {
    let long = "a".repeat(254);
    for text in [
        "x=a||y=b",
        "x==a==b",
        "!x=a",
        "x<a",
        "x>bar",
        "x>",
        "x,,y",
        ",x,y",
        "x nott in (y)",
        "x exists",
        "x ( a )",
        "a in (xyz),",
        "a in (xyz)b notin ()",
        "a in (xyz abc)",
        "a notin(",
        "a (",
        "(",
        "()",
        "== != (), = notin",
        "x=a b",
        "~",
        &long,
        &format!("x={long}"),
    ] {
        assert!(LabelSelector::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn label_selectors_match() {
    for (text, labels, want) in [
        ("", "x=y", true),
        ("x=y", "x=y", true),
        ("x=y,z=w", "x=y z=w", true),
        ("x!=y,z!=w", "x=z z=a", true),
        ("notin=in", "notin=in", true),
        ("x", "x=z", true),
        ("!x", "y=z", true),
        ("x>1", "x=2", true),
        ("x<1", "x=0", true),
        ("x=z", "", false),
        ("x=y", "x=z", false),
        ("x=y,z=w", "x=w z=w", false),
        ("x!=y,z!=w", "x=z z=w", false),
        ("x", "y=z", false),
        ("!x", "x=z", false),
        ("x>1", "x=0", false),
        ("x<1", "x=2", false),
        ("foo=bar,baz=blah", "foo=bar baz=blah", true),
        ("foo=blah", "foo=bar baz=blah", false),
        ("foo=bar,foobar=bar,baz=blah", "foo=bar baz=blah", false),
        ("x in (foo),y notin (alpha)", "x=foo y=baz", true),
        ("x in (foo),y in (alpha)", "x=foo y=baz", false),
        ("x notin (),y", "y=", true),
        ("!x,y", "y=", true),
        ("x notin (),!y", "y=", false),
        ("x in ()", "y=baz", false),
        ("z>1", "z=v2", false),
    ] {
        assert_eq!(LabelSelector::parse(text).unwrap().matches(&pairs(labels)), want, "{text} of {labels}");
    }
}

#[test]
fn field_selectors_print_in_canonical_form() {
    for (text, want) in [
        ("", ""),
        ("a=avalue,b==bvalue,c!=cvalue", "a=avalue,b=bvalue,c!=cvalue"),
        ("a=a,", "a=a"),
        (",a=a", "a=a"),
        ("x=a,a=x", "a=x,x=a"),
        (r"k=\,,k2=v2", r"k2=v2,k=\,"),
        (r"k=\\,k2=v2", r"k2=v2,k=\\"),
        (r"k=\\\,,k2=v2", r"k2=v2,k=\\\,"),
        (r"k=\=", r"k=\="),
        (r"x=a||y\=b", r"x=a||y\=b"),
        (r"x=a\=\=b", r"x=a\=\=b"),
        (r"k=\\\=\\\,\\", r"k=\\\=\\\,\\"),
        ("함=수,목=록", "목=록,함=수"),
    ] {
        assert_eq!(FieldSelector::parse(text).map(|selector| selector.to_string()), Ok(want.into()), "{text:?}");
    }
}

#[test]
fn what_is_no_field_selector_is_refused() {
    for text in ["x=a||y=b", "x==a==b", "x=a,b", "x in (a)", "x in (a,b,c)", "x", r"k=\a\b\", r"k=\", r"k=\\\", r"k=\a"] {
        assert!(FieldSelector::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn field_selectors_match() {
    for (text, fields, want) in [
        ("", "x=y", true),
        ("x=y,z=w", "x=y z=w", true),
        ("x!=y,z!=w", "x=z z=a", true),
        ("notin=in", "notin=in", true),
        ("x=y", "x=z", false),
        ("x=y,z=w", "x=w z=w", false),
        ("x!=y,z!=w", "x=z z=w", false),
        ("foo=bar,baz=blah", "foo=bar baz=blah", true),
        (r"foo=bar,complex=\=value\\\,\\", r"foo=bar complex==value\,\", true),
        ("foo=bar,foobar=bar", "foo=bar baz=blah", false),
        (r"foo=\=blah", "foo=bar", false),
    ] {
        let fields = pairs(fields);
        let lookup = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        assert_eq!(FieldSelector::parse(text).unwrap().matches(lookup), want, "{text} of {fields:?}");
    }
}

#[test]
fn a_field_selector_knows_the_value_that_it_requires() {
    for (text, want) in
        [("", None), ("a=b", None), ("test=b", Some("b")), ("test=", Some("")), ("test!=b", None), ("a=b,test=b", Some("b"))]
    {
        assert_eq!(FieldSelector::parse(text).unwrap().requires_exact("test"), want, "{text}");
    }
}
