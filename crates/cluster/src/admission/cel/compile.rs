//! From source text to what is evaluated: names are found, macros and functions known, nesting bounded.
//!
//! The `cel` crate parses, with its own macros off: comprehensions are kept as what they are, so that they can be
//! counted and need no accumulators.

use super::functions::{self, Function};
use ::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// How deep an expression may be nested; more than the parser of upstream takes.
const MAX_DEPTH: usize = 250;
/// The stack of the parsing thread, in bytes: address space, of which only what is used costs memory.
const STACK_BYTES: usize = 64 << 20;

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    List(Vec<(Node, Presence)>),
    Map(Vec<(Node, Node, Presence)>),
    /// A variable of a macro, by its place on the stack.
    Local(usize),
    Root(Root),
    /// `variables.NAME`.
    Variable(Box<str>),
    Select {
        operand: Box<Node>,
        field: Box<str>,
        access: Presence,
    },
    Has {
        operand: Box<Node>,
        field: Box<str>,
    },
    Index {
        operand: Box<Node>,
        index: Box<Node>,
        access: Presence,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Conditional(Box<[Node; 3]>),
    Binary {
        operator: Operator,
        operands: Box<[Node; 2]>,
    },
    Call {
        name: Box<str>,
        overloads: Vec<&'static Function>,
        arguments: Vec<Node>,
    },
    /// `x.or(y)`, which is flat, and `x.orValue(y)`.
    OrElse {
        optional: Box<Node>,
        other: Box<Node>,
        flat: bool,
    },
    Fold(Box<Fold>),
    /// `x.optMap(v, e)` and `x.optFlatMap(v, e)`.
    OptionalMap {
        target: Box<Node>,
        body: Box<Node>,
        flat: bool,
    },
}

#[derive(Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
    Bytes(Box<[u8]>),
    Type(&'static str),
}

/// Whether a thing must be there, or is asked for with `?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
}

/// What expressions can speak of, beside `variables`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Object,
    OldObject,
    Request,
    Params,
    NamespaceObject,
    Authorizer,
    RequestResource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equals,
    NotEquals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    In,
}

impl Operator {
    /// What messages call it, where they do.
    pub(super) fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Add => operators::ADD,
            Self::Subtract => operators::SUBSTRACT,
            Self::Multiply => operators::MULTIPLY,
            Self::Divide => operators::DIVIDE,
            Self::Modulo => operators::MODULO,
            Self::Less => operators::LESS,
            Self::LessEquals => operators::LESS_EQUALS,
            Self::Greater => operators::GREATER,
            Self::GreaterEquals => operators::GREATER_EQUALS,
            Self::Equals | Self::NotEquals | Self::In => return None,
        })
    }
}

/// A comprehension. Its variables are the next one or two on the stack.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) kind: FoldKind,
    pub(super) range: Node,
    pub(super) two_variables: bool,
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    /// `map` and `transformList`.
    List,
    Filter,
    /// `transformMap`: the same keys.
    MapValues,
    /// `transformMapEntry`: the body makes a map that is merged in.
    MapEntries,
    SortBy,
}

/// Parses on a thread of its own: the parser calls itself as deep as its input nests, and may panic.
pub(super) fn on_own_thread(source: &str) -> Result<Node, String> {
    let compiled = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("cel-compile".into()).stack_size(STACK_BYTES);
        Ok(thread.spawn_scoped(scope, || compile(source)).map_err(|error: std::io::Error| error.to_string())?.join())
    });
    compiled.and_then(|it| it.unwrap_or_else(|_| Err("the parser gave up on it".to_owned())))
}

fn compile(source: &str) -> Result<Node, String> {
    // An environment without macros.
    let parser = ::cel::Env::default().with_optional_support(true).parser().enable_ident_escape_syntax(true);
    let tree = parser.parse(source).map_err(|errors| errors.to_string())?;
    Lowering { locals: Vec::new(), depth: 0 }.node(&tree)
}

type Lowered = Result<Node, String>;

struct Lowering {
    /// The names of the variables in scope, innermost last.
    locals: Vec<String>,
    depth: usize,
}

impl Lowering {
    fn node(&mut self, tree: &IdedExpr) -> Lowered {
        if self.depth == MAX_DEPTH {
            return Err(format!("ERROR: <input>: expression recursion limit exceeded: {MAX_DEPTH}"));
        }
        self.depth += 1;
        let lowered = self.node_within(tree);
        self.depth -= 1;
        lowered
    }

    fn boxed(&mut self, tree: &IdedExpr) -> Result<Box<Node>, String> {
        self.node(tree).map(Box::new)
    }

    fn node_within(&mut self, tree: &IdedExpr) -> Lowered {
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

    fn name(&self, name: &str) -> Lowered {
        let bare = name.strip_prefix('.').unwrap_or(name);
        // A leading dot skips the variables of macros.
        if bare == name
            && let Some(place) = self.locals.iter().rposition(|local| local == name)
        {
            return Ok(Node::Local(place));
        }
        root(bare).map(Node::Root).or_else(|| type_name(bare).map(|it| Node::Literal(Literal::Type(it)))).ok_or_else(|| undeclared(bare))
    }

    fn select(&mut self, operand: &IdedExpr, field: &str, access: Presence) -> Lowered {
        if let Some(name) = self.free_name(operand) {
            if name == "variables" {
                return Ok(Node::Variable(field.into()));
            }
            if name == "authorizer" && field == "requestResource" {
                return Ok(Node::Root(Root::RequestResource));
            }
        }
        if let Some(it) = self.qualified(operand).and_then(|name| type_name(&format!("{name}.{field}"))) {
            return Ok(Node::Literal(Literal::Type(it)));
        }
        Ok(Node::Select { operand: self.boxed(operand)?, field: field.into(), access })
    }

    /// The identifier that `tree` is, when no macro's variable hides it.
    fn free_name<'t>(&self, tree: &'t IdedExpr) -> Option<&'t str> {
        match &tree.expr {
            Expr::Ident(name) if !self.locals.contains(name) => Some(name.strip_prefix('.').unwrap_or(name)),
            _ => None,
        }
    }

    /// `a.b.c` as text, for names that have dots.
    fn qualified(&self, tree: &IdedExpr) -> Option<String> {
        match &tree.expr {
            Expr::Select(it) if !it.test => Some(format!("{}.{}", self.qualified(&it.operand)?, it.field)),
            _ => self.free_name(tree).map(str::to_owned),
        }
    }

    fn call(&mut self, call: &CallExpr) -> Lowered {
        if let Some(operator) = self.operator(call) {
            return operator;
        }
        let name = call.func_name.as_str();
        match &call.target {
            None if name == "has" => self.has(&call.args),
            None => {
                self.function(name.strip_prefix('.').unwrap_or(name), functions::global_overloads(name, call.args.len()), None, &call.args)
            }
            Some(target) => {
                if let Some(lowered) = self.macro_call(name, target, &call.args) {
                    return lowered;
                }
                // `ip.isCanonical(...)` is a function of that name, unless `ip` is something.
                if let Some(space) = self.free_name(target)
                    && root(space).is_none()
                {
                    let qualified = format!("{space}.{name}");
                    return self.function(&qualified, functions::global_overloads(&qualified, call.args.len()), None, &call.args);
                }
                self.function(name, functions::member_overloads(name, call.args.len() + 1), Some(target), &call.args)
            }
        }
    }

    fn function(&mut self, name: &str, overloads: Vec<&'static Function>, target: Option<&IdedExpr>, args: &[IdedExpr]) -> Lowered {
        if overloads.is_empty() {
            return Err(undeclared(name));
        }
        let arguments = target.into_iter().chain(args).map(|it| self.node(it)).collect::<Result<_, _>>()?;
        Ok(Node::Call { name: name.into(), overloads, arguments })
    }

    fn operator(&mut self, call: &CallExpr) -> Option<Lowered> {
        let binary = match call.func_name.as_str() {
            operators::ADD => Operator::Add,
            operators::SUBSTRACT => Operator::Subtract,
            operators::MULTIPLY => Operator::Multiply,
            operators::DIVIDE => Operator::Divide,
            operators::MODULO => Operator::Modulo,
            operators::EQUALS => Operator::Equals,
            operators::NOT_EQUALS => Operator::NotEquals,
            operators::LESS => Operator::Less,
            operators::LESS_EQUALS => Operator::LessEquals,
            operators::GREATER => Operator::Greater,
            operators::GREATER_EQUALS => Operator::GreaterEquals,
            operators::IN => Operator::In,
            other => return self.other_operator(other, &call.args),
        };
        let [left, right] = call.args.as_slice() else { return None };
        Some((|| Ok(Node::Binary { operator: binary, operands: Box::new([self.node(left)?, self.node(right)?]) }))())
    }

    fn other_operator(&mut self, name: &str, args: &[IdedExpr]) -> Option<Lowered> {
        let lowered = match (name, args) {
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
        Some(lowered)
    }

    fn index(&mut self, operand: &IdedExpr, index: &IdedExpr, access: Presence) -> Lowered {
        Ok(Node::Index { operand: self.boxed(operand)?, index: self.boxed(index)?, access })
    }

    fn has(&mut self, args: &[IdedExpr]) -> Lowered {
        match args {
            [IdedExpr { expr: Expr::Select(it), .. }] => match self.select(&it.operand, &it.field, Presence::Required)? {
                Node::Select { operand, field, .. } => Ok(Node::Has { operand, field }),
                // Declared, so it is there.
                Node::Variable(_) => Ok(Node::Literal(Literal::Bool(true))),
                _ => Err("ERROR: <input>: invalid argument to has() macro".to_owned()),
            },
            _ => Err("ERROR: <input>: invalid argument to has() macro".to_owned()),
        }
    }

    fn macro_call(&mut self, name: &str, target: &IdedExpr, args: &[IdedExpr]) -> Option<Lowered> {
        let (kind, variables, filtered) = match (name, args.len()) {
            ("all", 2) => (FoldKind::All, 1, false),
            ("exists", 2) => (FoldKind::Exists, 1, false),
            ("exists_one" | "existsOne", 2) => (FoldKind::ExistsOne, 1, false),
            ("map", 2) => (FoldKind::List, 1, false),
            ("map", 3) => (FoldKind::List, 1, true),
            ("filter", 2) => (FoldKind::Filter, 1, false),
            ("sortBy", 2) => (FoldKind::SortBy, 1, false),
            ("all", 3) => (FoldKind::All, 2, false),
            ("exists", 3) => (FoldKind::Exists, 2, false),
            ("exists_one" | "existsOne", 3) => (FoldKind::ExistsOne, 2, false),
            ("transformList", 3) => (FoldKind::List, 2, false),
            ("transformList", 4) => (FoldKind::List, 2, true),
            ("transformMap", 3) => (FoldKind::MapValues, 2, false),
            ("transformMap", 4) => (FoldKind::MapValues, 2, true),
            ("transformMapEntry", 3) => (FoldKind::MapEntries, 2, false),
            ("transformMapEntry", 4) => (FoldKind::MapEntries, 2, true),
            ("or" | "orValue", 1) => return Some(self.or_else(name, target, args)),
            ("optMap" | "optFlatMap", 2) => return Some(self.optional_map(name, target, args)),
            _ => return None,
        };
        Some(self.fold(kind, target, args, variables, filtered))
    }

    fn fold(&mut self, kind: FoldKind, target: &IdedExpr, args: &[IdedExpr], variables: usize, filtered: bool) -> Lowered {
        let range = self.node(target)?;
        let (names, rest) = args.split_at(variables);
        let names = names.iter().map(simple_name).collect::<Result<Vec<_>, _>>()?;
        if let [a, b] = names.as_slice()
            && a == b
        {
            return Err(format!("ERROR: <input>: duplicate variable name: {a}"));
        }
        self.within(names, |this| {
            let filter = if filtered { rest.first().map(|it| this.node(it)).transpose()? } else { None };
            let body = rest.last().ok_or("ERROR: <input>: Syntax error: no expression")?;
            let body = this.node(body)?;
            Ok(Node::Fold(Box::new(Fold { kind, range, two_variables: variables == 2, filter, body })))
        })
    }

    fn optional_map(&mut self, name: &str, target: &IdedExpr, args: &[IdedExpr]) -> Lowered {
        let target = self.boxed(target)?;
        let [variable, body] = args else { return Err(undeclared(name)) };
        let variable = simple_name(variable)?;
        self.within(vec![variable], |this| Ok(Node::OptionalMap { target, body: this.boxed(body)?, flat: name == "optFlatMap" }))
    }

    fn or_else(&mut self, name: &str, target: &IdedExpr, args: &[IdedExpr]) -> Lowered {
        let [other] = args else { return Err(undeclared(name)) };
        Ok(Node::OrElse { optional: self.boxed(target)?, other: self.boxed(other)?, flat: name == "or" })
    }

    fn within(&mut self, names: Vec<String>, lower: impl FnOnce(&mut Self) -> Lowered) -> Lowered {
        let before = self.locals.len();
        self.locals.extend(names);
        let lowered = lower(self);
        self.locals.truncate(before);
        lowered
    }
}

fn simple_name(tree: &IdedExpr) -> Result<String, String> {
    match &tree.expr {
        Expr::Ident(name) if !name.starts_with('.') => Ok(name.clone()),
        _ => Err("ERROR: <input>: argument must be a simple name".to_owned()),
    }
}

fn undeclared(name: &str) -> String {
    format!("ERROR: <input>: undeclared reference to '{name}' (in container '')")
}

fn root(name: &str) -> Option<Root> {
    Some(match name {
        "object" => Root::Object,
        "oldObject" => Root::OldObject,
        "request" => Root::Request,
        "params" => Root::Params,
        "namespaceObject" => Root::NamespaceObject,
        "authorizer" => Root::Authorizer,
        _ => return None,
    })
}

/// The types that have a name in expressions.
fn type_name(name: &str) -> Option<&'static str> {
    const NAMES: &[&str] = &[
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "list",
        "map",
        "null_type",
        "type",
        "optional_type",
        "google.protobuf.Duration",
        "google.protobuf.Timestamp",
        "net.IP",
        "net.CIDR",
        "kubernetes.URL",
        "kubernetes.Quantity",
        "kubernetes.Semver",
    ];
    NAMES.iter().find(|it| **it == name).copied()
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
