//! The formats of names, label keys and label values. Each function answers what is wrong, in upstream's words;
//! nothing when nothing is.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const NAME_PART: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";

/// A DNS label (RFC 1123), at most 63 long: the format of namespaces.
pub fn is_dns1123_label(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 63 {
        errors.push("must be no more than 63 characters".into());
    }
    if !matches_label(value) {
        errors.push(if matches_subdomain(value) {
            "must not contain dots".into()
        } else {
            regex_error(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                LABEL,
                &["my-name", "123-abc"],
            )
        });
    }
    errors
}

/// A DNS subdomain (RFC 1123), at most 253 long: the format of object names.
pub fn is_dns1123_subdomain(value: &str) -> Vec<String> {
    subdomain_errors(value, "characters")
}

/// A name of at most 63 with an optional DNS subdomain and `/` before it: the format of label and annotation keys
/// and of finalizers.
pub fn is_qualified_name(value: &str) -> Vec<String> {
    const ERROR: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    let examples = ["MyName", "my.name", "123-abc"];
    let parts: Vec<&str> = value.split('/').collect();
    let (mut errors, name) = match parts.as_slice() {
        [name] => (Vec::new(), *name),
        ["", name] => (vec!["prefix part must be non-empty".into()], *name),
        [prefix, name] => {
            let errors = subdomain_errors(prefix, "bytes");
            (errors.into_iter().map(|error| format!("prefix part {error}")).collect(), *name)
        }
        _ => {
            let error = regex_error(ERROR, NAME_PART, &examples);
            return vec![format!("a valid label key {error} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".into());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 bytes".into());
    }
    if !matches_name_part(name) {
        errors.push(format!("name part {}", regex_error(ERROR, NAME_PART, &examples)));
    }
    errors
}

/// A label value: empty, or alphanumeric at both ends, at most 63 long.
pub fn is_valid_label_value(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 63 {
        errors.push("must be no more than 63 bytes".into());
    }
    if !value.is_empty() && !matches_name_part(value) {
        errors.push(regex_error(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            LABEL_VALUE,
            &["MyValue", "my_value", "12345"],
        ));
    }
    errors
}

fn subdomain_errors(value: &str, unit: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 253 {
        errors.push(format!("must be no more than 253 {unit}"));
    }
    if !matches_subdomain(value) {
        errors.push(regex_error(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN,
            &["example.com"],
        ));
    }
    errors
}

fn matches_label(value: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    delimited(value.as_bytes(), alphanumeric, |byte| alphanumeric(byte) || *byte == b'-')
}

fn matches_subdomain(value: &str) -> bool {
    value.split('.').all(matches_label)
}

fn matches_name_part(value: &str) -> bool {
    delimited(value.as_bytes(), u8::is_ascii_alphanumeric, |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// Whether a text is not empty, has only `inner` bytes, and an `outer` one at both ends.
fn delimited(value: &[u8], outer: impl Fn(&u8) -> bool, inner: impl Fn(&u8) -> bool) -> bool {
    value.first().is_some_and(&outer) && value.last().is_some_and(&outer) && value.iter().all(inner)
}

/// The odd double spaces are upstream's.
fn regex_error(message: &str, regex: &str, examples: &[&str]) -> String {
    let examples = examples.iter().map(|example| format!("'{example}', ")).collect::<Vec<_>>().join(" or ");
    format!("{message} (e.g. {examples}regex used for validation is '{regex}')")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_values_have_no_errors() {
        let long = "a".repeat(63);
        for value in ["a", "0", "a-b", "my-name-1", &long] {
            assert_eq!(is_dns1123_label(value), Vec::<String>::new(), "{value}");
        }
        for value in ["a", "a.b-c.d", "1.2.3", &[long.as_str(); 3].join("."), &"a".repeat(253)] {
            assert_eq!(is_dns1123_subdomain(value), Vec::<String>::new(), "{value}");
        }
        for value in ["simple", "1-num.2-num", "example.com/Simple_x", "a/b", &format!("{}/{long}", "a".repeat(253))] {
            assert_eq!(is_qualified_name(value), Vec::<String>::new(), "{value}");
        }
        for value in ["", "a", "A_b.c-1", &long] {
            assert_eq!(is_valid_label_value(value), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn bad_values_are_told_why() {
        type Check = fn(&str) -> Vec<String>;
        let cases: [(Check, &str, &str); 15] = [
            (is_dns1123_label, "", "a lowercase RFC 1123 label must"),
            (is_dns1123_label, "A", "a lowercase RFC 1123 label must"),
            (is_dns1123_label, "-a", "a lowercase RFC 1123 label must"),
            (is_dns1123_label, "a.b", "must not contain dots"),
            (is_dns1123_subdomain, "", "a lowercase RFC 1123 subdomain must"),
            (is_dns1123_subdomain, "a..b", "a lowercase RFC 1123 subdomain must"),
            (is_dns1123_subdomain, "a.-b", "a lowercase RFC 1123 subdomain must"),
            (is_dns1123_subdomain, "ä", "a lowercase RFC 1123 subdomain must"),
            (is_qualified_name, "", "name part must be non-empty"),
            (is_qualified_name, "/a", "prefix part must be non-empty"),
            (is_qualified_name, "A/a", "prefix part a lowercase RFC 1123 subdomain must"),
            (is_qualified_name, "a/b/c", "a valid label key must consist"),
            (is_qualified_name, "-bad-", "name part must consist"),
            (is_valid_label_value, "not ok!", "a valid label must be"),
            (is_valid_label_value, "a_", "a valid label must be"),
        ];
        for (check, value, want) in cases {
            let errors = check(value);
            assert!(errors.first().is_some_and(|error| error.starts_with(want)), "{value}: {errors:?}");
        }
        assert_eq!(is_dns1123_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(is_dns1123_subdomain(&"a".repeat(254)), ["must be no more than 253 characters"]);
        assert_eq!(is_qualified_name(&"a".repeat(64)), ["name part must be no more than 63 bytes"]);
        assert_eq!(is_valid_label_value(&"a".repeat(64)), ["must be no more than 63 bytes"]);
    }

    #[test]
    fn whole_texts_are_those_of_upstream() {
        assert_eq!(
            is_qualified_name("-bad-"),
            [
                r"name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            ]
        );
        assert_eq!(
            is_dns1123_subdomain("Bad_Name"),
            [
                r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
    }
}
