//! The abstract syntax tree that is evaluated: names are resolved, macros expanded, and overloads chosen.

use crate::operators::Operator;
use crate::overload::Overload;
use crate::select::Presence;

/// A node of an expression.
#[derive(Debug)]
pub(crate) enum Node {
    Literal(Literal),
    List(Vec<(Node, Presence)>),
    Map(Vec<(Node, Node, Presence)>),
    /// A variable of a macro, by its index on the stack.
    Local(usize),
    /// A variable of the environment.
    Variable(Box<str>),
    /// `variables.NAME`.
    Composited(Box<str>),
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
        overloads: Vec<&'static Overload>,
        arguments: Vec<Node>,
    },
    /// `x.or(y)`, which is flat, and `x.orValue(y)`.
    OrElse {
        optional: Box<Node>,
        other: Box<Node>,
        flat: bool,
    },
    Comprehension(Box<Comprehension>),
    /// `x.optMap(v, e)` and `x.optFlatMap(v, e)`.
    OptionalMap {
        target: Box<Node>,
        body: Box<Node>,
        flat: bool,
    },
}

#[derive(Debug)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
    Bytes(Box<[u8]>),
    Type(&'static str),
}

/// A macro over the elements of a list or map. Its variables are the next one or two on the stack.
#[derive(Debug)]
pub(crate) struct Comprehension {
    pub(crate) kind: ComprehensionKind,
    pub(crate) range: Node,
    pub(crate) two_variables: bool,
    pub(crate) filter: Option<Node>,
    pub(crate) body: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ComprehensionKind {
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
