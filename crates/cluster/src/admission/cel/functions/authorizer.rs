//! `authorizer`: may somebody do something? Each question goes to the host cluster and costs as much as it does upstream,
//! which allows two in an expression.

use super::super::evaluate::{Evaluator, Failure, Outcome, failed};
use super::super::value::Value;
use super::{Function, member};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use vci_meta::User;
use vci_meta::validation as names;

/// What `check` costs.
const CHECK_COST: usize = 350_000;

/// Answers whether somebody may do something. Called where it may block.
pub trait Authorizer: fmt::Debug + Send + Sync + 'static {
    /// The answer; an error where there is none.
    fn check(&self, user: &User, access: &AccessCheck) -> Result<Decision, String>;
}

/// What somebody wants to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AccessCheck {
    /// A path that is no resource; the fields of resources are then empty.
    pub path: Option<String>,
    /// What is to be done.
    pub verb: String,
    /// The resource's group.
    pub group: String,
    /// The resource.
    pub resource: String,
    /// Its subresource, or empty.
    pub subresource: String,
    /// The namespace; empty for all, or none.
    pub namespace: String,
    /// The object; empty for all.
    pub name: String,
    /// Restricts a collection by fields, in the notation of queries.
    pub field_selector: String,
    /// Restricts a collection by labels, in the notation of queries.
    pub label_selector: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Why, or why not; may be empty.
    pub reason: String,
}

/// Whom is asked, about whom.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) user: Arc<User>,
}

/// `authorizer.path(...)`.
#[derive(Clone, Debug)]
pub(crate) struct PathCheck {
    authority: Rc<Authority>,
    path: String,
}

/// `authorizer.group(...)`.
#[derive(Clone, Debug)]
pub(crate) struct GroupCheck {
    authority: Rc<Authority>,
    group: String,
}

/// `authorizer.group(...).resource(...)` and what follows it.
#[derive(Clone, Debug)]
pub(crate) struct ResourceCheck {
    pub(crate) authority: Rc<Authority>,
    pub(crate) access: AccessCheck,
}

/// The answer to `check`.
#[derive(Clone, Debug)]
pub(crate) struct Decided(Result<Decision, String>);

pub(super) const FUNCTIONS: &[Function] = &[
    member("path", 2, |_, args| match args {
        [Value::Authorizer(_), Value::String(path)] if path.trim().is_empty() => failed("path must not be empty"),
        [Value::Authorizer(it), Value::String(path)] => {
            Ok(Value::PathCheck(Rc::new(PathCheck { authority: it.clone(), path: path.to_string() })))
        }
        _ => Err(Failure::NoSuchOverload),
    }),
    member("group", 2, |_, args| match args {
        [Value::Authorizer(it), Value::String(group)] => {
            Ok(Value::GroupCheck(Rc::new(GroupCheck { authority: it.clone(), group: group.to_string() })))
        }
        _ => Err(Failure::NoSuchOverload),
    }),
    member("serviceAccount", 3, service_account),
    member("resource", 2, |_, args| match args {
        [Value::GroupCheck(_), Value::String(resource)] if resource.trim().is_empty() => failed("resource must not be empty"),
        [Value::GroupCheck(it), Value::String(resource)] => {
            let access = AccessCheck { group: it.group.clone(), resource: resource.to_string(), ..AccessCheck::default() };
            Ok(Value::ResourceCheck(Rc::new(ResourceCheck { authority: it.authority.clone(), access })))
        }
        _ => Err(Failure::NoSuchOverload),
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
    let [Value::ResourceCheck(check), Value::String(it)] = args else { return Err(Failure::NoSuchOverload) };
    let mut check = ResourceCheck::clone(check);
    set(&mut check.access, it.to_string());
    Ok(Value::ResourceCheck(Rc::new(check)))
}

fn service_account<'a>(_: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Authorizer(it), Value::String(namespace), Value::String(name)] = args else { return Err(Failure::NoSuchOverload) };
    if !names::is_dns1123_subdomain(name).is_empty() {
        return failed("Invalid service account name");
    }
    if !names::is_dns1123_label(namespace).is_empty() {
        return failed("Invalid service account namespace");
    }
    let user = User {
        name: format!("system:serviceaccount:{}:{}", &**namespace, &**name),
        groups: vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{}", &**namespace)],
        ..User::default()
    };
    Ok(Value::Authorizer(Rc::new(Authority { authorizer: it.authorizer.clone(), user: Arc::new(user) })))
}

fn check<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let (authority, access) = match args {
        [Value::PathCheck(it), Value::String(verb)] => {
            (&it.authority, AccessCheck { path: Some(it.path.clone()), verb: verb.to_string(), ..AccessCheck::default() })
        }
        [Value::ResourceCheck(it), Value::String(verb)] => (&it.authority, AccessCheck { verb: verb.to_string(), ..it.access.clone() }),
        _ => return Err(Failure::NoSuchOverload),
    };
    evaluator.charge(CHECK_COST)?;
    Ok(Value::Decision(Rc::new(Decided(authority.authorizer.check(&authority.user, &access)))))
}

fn decided<'v>(args: &'v [Value<'_>]) -> Result<&'v Result<Decision, String>, Failure> {
    match args {
        [Value::Decision(it)] => Ok(&it.0),
        _ => Err(Failure::NoSuchOverload),
    }
}
