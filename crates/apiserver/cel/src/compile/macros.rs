//! Expansion of macros.

use super::{Compiled, Compiler, undeclared};
use crate::ast::{Comprehension, ComprehensionKind, Literal, Node};
use crate::select::Presence;
use cel::common::ast::{Expr, IdedExpr};

impl Compiler<'_> {
    pub(super) fn has(&mut self, args: &[IdedExpr]) -> Compiled {
        match args {
            [IdedExpr { expr: Expr::Select(it), .. }] => match self.select(&it.operand, &it.field, Presence::Required)? {
                Node::Select { operand, field, .. } => Ok(Node::Has { operand, field }),
                // Declared, so it is there.
                Node::Composited(_) => Ok(Node::Literal(Literal::Bool(true))),
                _ => Err("ERROR: <input>: invalid argument to has() macro".to_owned()),
            },
            _ => Err("ERROR: <input>: invalid argument to has() macro".to_owned()),
        }
    }

    /// Expands a call of a macro; none if the name is no macro.
    pub(super) fn macro_call(&mut self, name: &str, target: &IdedExpr, args: &[IdedExpr]) -> Option<Compiled> {
        let (kind, variables, filtered) = match (name, args.len()) {
            ("all", count @ (2 | 3)) => (ComprehensionKind::All, count - 1, false),
            ("exists", count @ (2 | 3)) => (ComprehensionKind::Exists, count - 1, false),
            ("exists_one" | "existsOne", count @ (2 | 3)) => (ComprehensionKind::ExistsOne, count - 1, false),
            ("map", count @ (2 | 3)) => (ComprehensionKind::List, 1, count == 3),
            ("filter", 2) => (ComprehensionKind::Filter, 1, false),
            ("sortBy", 2) => (ComprehensionKind::SortBy, 1, false),
            ("transformList", count @ (3 | 4)) => (ComprehensionKind::List, 2, count == 4),
            ("transformMap", count @ (3 | 4)) => (ComprehensionKind::MapValues, 2, count == 4),
            ("transformMapEntry", count @ (3 | 4)) => (ComprehensionKind::MapEntries, 2, count == 4),
            ("or" | "orValue", 1) => return Some(self.or_else(name, target, args)),
            ("optMap" | "optFlatMap", 2) => return Some(self.optional_map(name, target, args)),
            _ => return None,
        };
        Some(self.comprehension(kind, target, args, variables, filtered))
    }

    fn comprehension(
        &mut self,
        kind: ComprehensionKind,
        target: &IdedExpr,
        args: &[IdedExpr],
        variables: usize,
        filtered: bool,
    ) -> Compiled {
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
            Ok(Node::Comprehension(Box::new(Comprehension { kind, range, two_variables: variables == 2, filter, body })))
        })
    }

    fn optional_map(&mut self, name: &str, target: &IdedExpr, args: &[IdedExpr]) -> Compiled {
        let target = self.boxed(target)?;
        let [variable, body] = args else { return Err(undeclared(name)) };
        let variable = simple_name(variable)?;
        self.within(vec![variable], |this| Ok(Node::OptionalMap { target, body: this.boxed(body)?, flat: name == "optFlatMap" }))
    }

    fn or_else(&mut self, name: &str, target: &IdedExpr, args: &[IdedExpr]) -> Compiled {
        let [other] = args else { return Err(undeclared(name)) };
        Ok(Node::OrElse { optional: self.boxed(target)?, other: self.boxed(other)?, flat: name == "or" })
    }

    fn within(&mut self, names: Vec<String>, compile: impl FnOnce(&mut Self) -> Compiled) -> Compiled {
        let before = self.locals.len();
        self.locals.extend(names);
        let compiled = compile(self);
        self.locals.truncate(before);
        compiled
    }
}

fn simple_name(tree: &IdedExpr) -> Result<String, String> {
    match &tree.expr {
        Expr::Ident(name) if !name.starts_with('.') => Ok(name.clone()),
        _ => Err("ERROR: <input>: argument must be a simple name".to_owned()),
    }
}
