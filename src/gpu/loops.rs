//! Which loops of a module end after a number of iterations that its source alone decides.

use naga::{Block, Expression, Function, Handle, LocalVariable, Module, Statement};

/// Whether a function of `module` has a loop whose length depends on data, parameters or the place of
/// the invocation: on anything but literals, constants and `override`s. A loop in another form than
/// `for` and `while` counts as one.
pub(super) fn has_open_loop(module: &Module) -> bool {
    let functions = module.functions.iter().map(|(_, function)| function);
    let entries = module.entry_points.iter().map(|entry| &entry.function);
    functions.chain(entries).any(|function| Walk { function }.is_open(&function.body))
}

/// One function.
struct Walk<'a> {
    function: &'a Function,
}

impl Walk<'_> {
    fn is_open(&self, block: &Block) -> bool {
        block.iter().any(|statement| {
            let open = matches!(statement, Statement::Loop { body, .. } if !self.is_fixed(body));
            open || inner(statement).iter().any(|block| self.is_open(block))
        })
    }

    /// Whether a loop's body opens with `if condition {} else { break; }` of a fixed condition.
    fn is_fixed(&self, body: &Block) -> bool {
        let first = body.iter().find(|s| !matches!(s, Statement::Emit(_)));
        let Some(Statement::If { condition, accept, reject }) = first else { return false };
        let breaks = matches!(reject.iter().next(), Some(Statement::Break));
        breaks && accept.is_empty() && self.fixed(*condition, &mut Vec::new())
    }

    /// Whether a value depends on nothing but the source; variables in `assumed` do not.
    fn fixed(&self, of: Handle<Expression>, assumed: &mut Vec<Handle<LocalVariable>>) -> bool {
        match self.function.expressions[of] {
            Expression::Literal(_) | Expression::Constant(_) | Expression::Override(_) => true,
            Expression::Unary { expr, .. } | Expression::As { expr, .. } => {
                self.fixed(expr, assumed)
            }
            Expression::Binary { left, right, .. } => {
                self.fixed(left, assumed) && self.fixed(right, assumed)
            }
            Expression::Load { pointer } => match self.function.expressions[pointer] {
                Expression::LocalVariable(variable) => self.stays_fixed(variable, assumed),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether all that is ever written to a variable depends on the source only.
    fn stays_fixed(
        &self,
        variable: Handle<LocalVariable>,
        assumed: &mut Vec<Handle<LocalVariable>>,
    ) -> bool {
        if assumed.contains(&variable) {
            return true;
        }
        assumed.push(variable);
        let start = self.function.local_variables[variable].init;
        start.is_none_or(|value| self.fixed(value, assumed))
            && self.writes(&self.function.body, variable, assumed)
    }

    fn writes(
        &self,
        block: &Block,
        variable: Handle<LocalVariable>,
        assumed: &mut Vec<Handle<LocalVariable>>,
    ) -> bool {
        let expressions = &self.function.expressions;
        let is = |e: &Handle<Expression>| matches!(expressions[*e], Expression::LocalVariable(v) if v == variable);
        block.iter().all(|statement| {
            let fixed = match statement {
                Statement::Store { pointer, value } if is(pointer) => self.fixed(*value, assumed),
                // Whoever is handed the variable may write to it.
                Statement::Call { arguments, .. } => !arguments.iter().any(is),
                _ => true,
            };
            fixed && inner(statement).iter().all(|block| self.writes(block, variable, assumed))
        })
    }
}

/// The blocks within a statement.
fn inner(statement: &Statement) -> Vec<&Block> {
    match statement {
        Statement::Block(block) => vec![block],
        Statement::If { accept, reject, .. } => vec![accept, reject],
        Statement::Switch { cases, .. } => cases.iter().map(|case| &case.body).collect(),
        Statement::Loop { body, continuing, .. } => vec![body, continuing],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::has_open_loop;

    fn open(body: &str) -> bool {
        let source = format!(
            "override N: u32 = 4u; @group(0) @binding(0) var<storage, read_write> x: array<u32>;
             fn put(i: ptr<function, u32>) {{ *i = x[0]; }}
             @compute @workgroup_size(1)
             fn f(@builtin(local_invocation_index) local: u32) {{ {body} }}"
        );
        has_open_loop(&naga::front::wgsl::parse_str(&source).unwrap())
    }

    #[test]
    fn loops_are_told_apart() {
        assert!(!open("x[0] = 1u;"));
        assert!(!open("for (var i = 0u; i < 4u; i++) { x[i] = local; }"));
        assert!(!open("for (var half = N / 2u; half > 0u; half /= 2u) { x[half] = 1u; }"));
        assert!(!open(
            "for (var i = 0u; i < 4u; i++) { for (var j = i; j < N; j++) { x[i] = j; } }"
        ));
        assert!(open("for (var i = local; i < 4u; i++) { x[i] = 1u; }"));
        assert!(open("for (var i = 0u; i < x[0]; i++) { x[i] = 1u; }"));
        assert!(open("var i = 0u; while i < 4u { i = x[i]; }"));
        assert!(open("for (var i = 0u; i < 4u; i++) { var j = x[0]; while j < i { j++; } }"));
        assert!(open("for (var i = 0u; i < 4u; i++) { put(&i); }"));
        assert!(open("loop { if x[0] == 0u { break; } }"));
        assert!(open("if local == 0u { for (var i = local; i < 4u; i++) { x[i] = 1u; } }"));
    }
}
