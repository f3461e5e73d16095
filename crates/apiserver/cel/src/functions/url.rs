//! URLs.

use crate::overload::{Context, Error, Outcome, Overload, Value, fail, global, member};
use crate::types::url::{self, Url};
use crate::value::{Key, Map, Text};
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) const FUNCTIONS: &[Overload] = &[
    global("url", 1, |context, args| match parsed(context, args)? {
        Ok(url) => Ok(Value::Url(Rc::new(url))),
        Err(error) => fail(format!("URL parse error during conversion from string: {error}")),
    }),
    global("isURL", 1, |context, args| parsed(context, args).map(|it| Value::Bool(it.is_ok()))),
    member("getScheme", 1, |_, args| of(args, |it| it.scheme.clone())),
    member("getHost", 1, |_, args| of(args, |it| it.host.clone())),
    member("getHostname", 1, |_, args| of(args, |it| url::hostname(&it.host).to_owned())),
    member("getPort", 1, |_, args| of(args, |it| url::port(&it.host).unwrap_or_default().to_owned())),
    member("getEscapedPath", 1, |_, args| of(args, |it| url::escaped_path(&it.path))),
    member("getQuery", 1, query),
];

fn parsed(context: &mut Context, args: &[Value<'_>]) -> Result<Result<Url, String>, Error> {
    let [Value::String(text)] = args else { return Err(Error::NoSuchOverload) };
    context.charge_text(text.len())?;
    Ok(url::parse(text))
}

fn of<'a>(args: &[Value<'a>], part: fn(&Url) -> String) -> Outcome<'a> {
    let [Value::Url(url)] = args else { return Err(Error::NoSuchOverload) };
    Ok(Value::text(part(url)))
}

fn query<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Url(url)] = args else { return Err(Error::NoSuchOverload) };
    context.charge_text(url.query.len())?;
    let mut values: BTreeMap<Key<'a>, Vec<Value<'a>>> = BTreeMap::new();
    // Malformed pairs are left out, as in Go.
    for pair in url.query.split('&').filter(|it| !it.is_empty() && !it.contains(';')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (url::unescaped(name), url::unescaped(value)) {
            values.entry(Key::String(Text::Owned(name.into()))).or_default().push(Value::text(value));
        }
    }
    let map = values.into_iter().map(|(name, values)| (name, Value::list(values))).collect();
    Ok(Value::Map(Map::Owned(Rc::new(map))))
}
