//! `authorizer`: access checks, which the caller's `Authorizer` answers. A check costs as much as it does
//! upstream, which allows two in an expression.

use crate::authorizer::{AccessCheck, Decision, ServiceAccount};
use crate::overload::{Context, Error, Outcome, Overload, Value, fail, member};
use apiserver_meta::validation as names;
use std::rc::Rc;

/// The cost of `check`.
const CHECK_COST: usize = 350_000;

pub(super) const FUNCTIONS: &[Overload] = &[
    member("path", 2, |_, args| match args {
        [Value::Authorizer(_), Value::String(path)] if path.trim().is_empty() => fail("path must not be empty"),
        [Value::Authorizer(it), Value::String(path)] => Ok(Value::PathCheck(it.with(|access| access.path = Some(path.to_string())))),
        _ => Err(Error::NoSuchOverload),
    }),
    member("group", 2, |_, args| match args {
        [Value::Authorizer(it), Value::String(group)] => Ok(Value::GroupCheck(it.with(|access| access.group = group.to_string()))),
        _ => Err(Error::NoSuchOverload),
    }),
    member("serviceAccount", 3, service_account),
    member("resource", 2, |_, args| match args {
        [Value::GroupCheck(_), Value::String(resource)] if resource.trim().is_empty() => fail("resource must not be empty"),
        [Value::GroupCheck(it), Value::String(resource)] => {
            Ok(Value::ResourceCheck(it.with(|access| access.resource = resource.to_string())))
        }
        _ => Err(Error::NoSuchOverload),
    }),
    member("subresource", 2, |_, args| narrowed(args, |access, it| access.subresource = it)),
    member("namespace", 2, |_, args| narrowed(args, |access, it| access.namespace = it)),
    member("name", 2, |_, args| narrowed(args, |access, it| access.name = it)),
    member("fieldSelector", 2, |_, args| narrowed(args, |access, it| access.field_selector = it)),
    member("labelSelector", 2, |_, args| narrowed(args, |access, it| access.label_selector = it)),
    member("check", 2, check),
    member("allowed", 1, |_, args| decided(args).map(|it| Value::Bool(it.as_ref().is_ok_and(|it| it.allowed)))),
    member("reason", 1, |_, args| decided(args).map(|it| Value::text(it.as_ref().map_or("", |it| &it.reason)))),
    member("errored", 1, |_, args| decided(args).map(|it| Value::Bool(it.is_err()))),
    member("error", 1, |_, args| decided(args).map(|it| Value::text(it.as_ref().err().map_or("", String::as_str)))),
];

fn narrowed<'a>(args: &[Value<'a>], set: fn(&mut AccessCheck, String)) -> Outcome<'a> {
    let [Value::ResourceCheck(check), Value::String(it)] = args else { return Err(Error::NoSuchOverload) };
    Ok(Value::ResourceCheck(check.with(|access| set(access, it.to_string()))))
}

fn service_account<'a>(_: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Authorizer(it), Value::String(namespace), Value::String(name)] = args else { return Err(Error::NoSuchOverload) };
    if !names::is_dns1123_subdomain(name).is_empty() {
        return fail("Invalid service account name");
    }
    if !names::is_dns1123_label(namespace).is_empty() {
        return fail("Invalid service account namespace");
    }
    let account = ServiceAccount { namespace: namespace.to_string(), name: name.to_string() };
    Ok(Value::Authorizer(it.with(|access| access.service_account = Some(account))))
}

fn check<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::PathCheck(it) | Value::ResourceCheck(it), Value::String(verb)] = args else { return Err(Error::NoSuchOverload) };
    context.charge(CHECK_COST)?;
    let access = AccessCheck { verb: verb.to_string(), ..it.access.clone() };
    Ok(Value::Decision(Rc::new(it.authorizer.check(&access))))
}

fn decided<'v>(args: &'v [Value<'_>]) -> Result<&'v Result<Decision, String>, Error> {
    let [Value::Decision(it)] = args else { return Err(Error::NoSuchOverload) };
    Ok(it)
}
