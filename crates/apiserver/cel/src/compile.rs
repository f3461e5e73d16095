//! Compilation: names are resolved, macros expanded, overloads chosen, and nesting is bounded.
//!
//! The `cel` crate parses, with its own macros off: comprehensions are kept as macros, so that their cost can be counted and
//! they need no accumulators.

use crate::ast::{Literal, Node};
use crate::functions;
use crate::operators::Operator;
use crate::overload::{Overload, Style};
use crate::select::Presence;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use std::fmt::Write as _;

mod macros;

/// The deepest nesting of an expression; more than upstream's parser takes.
const MAX_DEPTH: usize = 250;
/// The stack of the parsing thread, in bytes: address space, of which only the used part costs memory.
const STACK_BYTES: usize = 64 << 20;
/// The longest text of the parser's errors, in bytes.
const MAX_ERROR_BYTES: usize = 16 * 1024;
/// The name before the names of composited variables.
const COMPOSITED: &str = "variables";
/// The names of types.
const TYPES: &str = "bool int uint double string bytes list map null_type type optional_type google.protobuf.Duration \
    google.protobuf.Timestamp net.IP net.CIDR kubernetes.URL kubernetes.Quantity kubernetes.Semver";

/// Parses on a thread of its own: the parser calls itself as deep as its input nests, and may panic.
pub(crate) fn on_own_thread(variables: &[&str], source: &str) -> Result<Node, String> {
    let compiled = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("cel-compile".into()).stack_size(STACK_BYTES);
        Ok(thread.spawn_scoped(scope, || compile(variables, source)).map_err(|error: std::io::Error| error.to_string())?.join())
    });
    compiled.and_then(|it| it.unwrap_or_else(|_| Err("the parser gave up on it".to_owned())))
}

fn compile(variables: &[&str], source: &str) -> Result<Node, String> {
    // An environment without macros.
    let parser = cel::Env::default().with_optional_support(true).parser().enable_ident_escape_syntax(true);
    let tree = parser.parse(source).map_err(|errors| Bounded::text_of(&errors))?;
    Compiler { variables, locals: Vec::new(), depth: 0 }.node(&tree)
}

/// A text that ends after [`MAX_ERROR_BYTES`].
struct Bounded(String);

impl Bounded {
    /// The parser has an error for nearly every character that is wrong, and quotes the whole line for each.
    fn text_of(errors: &impl std::fmt::Display) -> String {
        let mut text = Self(String::new());
        if write!(text, "{errors}").is_err() {
            text.0.push_str("...");
        }
        text.0
    }
}

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        let room = MAX_ERROR_BYTES - self.0.len();
        let end = (0..=room.min(more.len())).rev().find(|end| more.is_char_boundary(*end)).unwrap_or(0);
        self.0.push_str(&more[..end]);
        if more.len() > room { Err(std::fmt::Error) } else { Ok(()) }
    }
}

type Compiled = Result<Node, String>;

struct Compiler<'e> {
    /// The variables of the environment.
    variables: &'e [&'e str],
    /// The names of the macros' variables in scope, innermost last.
    locals: Vec<String>,
    depth: usize,
}

impl Compiler<'_> {
    fn node(&mut self, tree: &IdedExpr) -> Compiled {
        if self.depth == MAX_DEPTH {
            return Err(format!("ERROR: <input>: expression recursion limit exceeded: {MAX_DEPTH}"));
        }
        self.depth += 1;
        let compiled = self.node_within(tree);
        self.depth -= 1;
        compiled
    }

    fn is_declared(&self, name: &str) -> bool {
        self.variables.contains(&name)
    }

    fn boxed(&mut self, tree: &IdedExpr) -> Result<Box<Node>, String> {
        self.node(tree).map(Box::new)
    }

    fn node_within(&mut self, tree: &IdedExpr) -> Compiled {
        match &tree.expr {
            Expr::Literal(it) => Ok(Node::Literal(literal(it))),
            Expr::Ident(name) => self.name(name),
            Expr::Select(it) => self.select(&it.operand, &it.field, Presence::Required),
            Expr::Call(it) => self.call(it),
            Expr::List(it) => {
                let presence = |index: usize| if it.optional_indices.contains(&index) { Presence::Optional } else { Presence::Required };
                let items = it.elements.iter().enumerate().map(|(index, item)| Ok((self.node(item)?, presence(index))));
                items.collect::<Result<_, String>>().map(Node::List)
            }
            Expr::Map(it) => {
                let entries = it.entries.iter().map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        let presence = if entry.optional { Presence::Optional } else { Presence::Required };
                        Ok((self.node(&entry.key)?, self.node(&entry.value)?, presence))
                    }
                    EntryExpr::StructField(_) => Err("ERROR: <input>: a map cannot have fields".to_owned()),
                });
                entries.collect::<Result<_, String>>().map(Node::Map)
            }
            Expr::Struct(it) => Err(undeclared(&it.type_name)),
            Expr::Comprehension(_) | Expr::Unspecified => Err("ERROR: <input>: Syntax error: no expression".to_owned()),
        }
    }

    fn name(&self, name: &str) -> Compiled {
        let bare = name.strip_prefix('.').unwrap_or(name);
        // A leading dot skips the variables of macros.
        if bare == name
            && let Some(index) = self.locals.iter().rposition(|local| local == name)
        {
            return Ok(Node::Local(index));
        }
        if self.is_declared(bare) {
            return Ok(Node::Variable(bare.into()));
        }
        type_name(bare).map(|it| Node::Literal(Literal::Type(it))).ok_or_else(|| undeclared(bare))
    }

    fn select(&mut self, operand: &IdedExpr, field: &str, access: Presence) -> Compiled {
        if self.free_name(operand) == Some(COMPOSITED) {
            return Ok(Node::Composited(field.into()));
        }
        if let Some(name) = self.qualified(operand).map(|name| format!("{name}.{field}")) {
            if self.is_declared(&name) {
                return Ok(Node::Variable(name.into()));
            }
            if let Some(it) = type_name(&name) {
                return Ok(Node::Literal(Literal::Type(it)));
            }
        }
        Ok(Node::Select { operand: self.boxed(operand)?, field: field.into(), access })
    }

    /// Returns the identifier that `tree` is, if no macro's variable hides it.
    fn free_name<'t>(&self, tree: &'t IdedExpr) -> Option<&'t str> {
        match &tree.expr {
            Expr::Ident(name) if !self.locals.contains(name) => Some(name.strip_prefix('.').unwrap_or(name)),
            _ => None,
        }
    }

    /// Writes `a.b.c` as text, for names that have dots.
    fn qualified(&self, tree: &IdedExpr) -> Option<String> {
        match &tree.expr {
            Expr::Select(it) if !it.test => Some(format!("{}.{}", self.qualified(&it.operand)?, it.field)),
            _ => self.free_name(tree).map(str::to_owned),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Compiled {
        if let Some(operator) = self.operator(call) {
            return operator;
        }
        let name = call.func_name.as_str();
        match &call.target {
            None if name == "has" => self.has(&call.args),
            None => {
                let overloads = functions::overloads(Style::Global, name, call.args.len());
                self.function(name.strip_prefix('.').unwrap_or(name), overloads, None, &call.args)
            }
            Some(target) => {
                if let Some(compiled) = self.macro_call(name, target, &call.args) {
                    return compiled;
                }
                // `ip.isCanonical(...)` is a function of that name, unless `ip` is a variable.
                if let Some(space) = self.free_name(target)
                    && !self.is_declared(space)
                {
                    let qualified = format!("{space}.{name}");
                    let overloads = functions::overloads(Style::Global, &qualified, call.args.len());
                    return self.function(&qualified, overloads, None, &call.args);
                }
                let overloads = functions::overloads(Style::Member, name, call.args.len() + 1);
                self.function(name, overloads, Some(target), &call.args)
            }
        }
    }

    fn function(&mut self, name: &str, overloads: Vec<&'static Overload>, target: Option<&IdedExpr>, args: &[IdedExpr]) -> Compiled {
        if overloads.is_empty() {
            return Err(undeclared(name));
        }
        let arguments = target.into_iter().chain(args).map(|it| self.node(it)).collect::<Result<_, _>>()?;
        Ok(Node::Call { name: name.into(), overloads, arguments })
    }

    fn operator(&mut self, call: &CallExpr) -> Option<Compiled> {
        let Some(operator) = Operator::of(&call.func_name) else { return self.other_operator(&call.func_name, &call.args) };
        let [left, right] = call.args.as_slice() else { return None };
        Some((|| Ok(Node::Binary { operator, operands: Box::new([self.node(left)?, self.node(right)?]) }))())
    }

    fn other_operator(&mut self, name: &str, args: &[IdedExpr]) -> Option<Compiled> {
        let compiled = match (name, args) {
            (operators::LOGICAL_AND, [a, b]) => self.boxed(a).and_then(|a| Ok(Node::And(a, self.boxed(b)?))),
            (operators::LOGICAL_OR, [a, b]) => self.boxed(a).and_then(|a| Ok(Node::Or(a, self.boxed(b)?))),
            (operators::LOGICAL_NOT, [it]) => self.boxed(it).map(Node::Not),
            (operators::NEGATE, [it]) => self.boxed(it).map(Node::Negate),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                (|| Ok(Node::Conditional(Box::new([self.node(condition)?, self.node(yes)?, self.node(no)?]))))()
            }
            (operators::INDEX, [operand, index]) => self.index(operand, index, Presence::Required),
            (operators::OPT_INDEX, [operand, index]) => self.index(operand, index, Presence::Optional),
            (operators::OPT_SELECT, [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(field)), .. }]) => {
                self.boxed(operand).map(|operand| Node::Select { operand, field: field.inner().into(), access: Presence::Optional })
            }
            _ => return None,
        };
        Some(compiled)
    }

    fn index(&mut self, operand: &IdedExpr, index: &IdedExpr, access: Presence) -> Compiled {
        Ok(Node::Index { operand: self.boxed(operand)?, index: self.boxed(index)?, access })
    }
}

fn undeclared(name: &str) -> String {
    format!("ERROR: <input>: undeclared reference to '{name}' (in container '')")
}

fn type_name(name: &str) -> Option<&'static str> {
    TYPES.split(' ').find(|it| *it == name)
}

fn literal(value: &LiteralValue) -> Literal {
    match value {
        LiteralValue::Null => Literal::Null,
        LiteralValue::Boolean(it) => Literal::Bool(*it.inner()),
        LiteralValue::Int(it) => Literal::Int(*it.inner()),
        LiteralValue::UInt(it) => Literal::Uint(*it.inner()),
        LiteralValue::Double(it) => Literal::Double(*it.inner()),
        LiteralValue::String(it) => Literal::String(it.inner().into()),
        LiteralValue::Bytes(it) => Literal::Bytes(it.inner().into()),
    }
}
