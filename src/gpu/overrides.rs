//! The `override`s of a module: their defaults, and the workgroup size that follows from them.

use naga::{Expression, Handle, Literal, Module};

/// One `override`.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// Its name.
    pub name: String,
    /// Its value where a launch sets none; none if it follows from other `override`s.
    pub default: Option<f64>,
}

/// The `override`s that a launch can set.
pub(super) fn of(module: &Module) -> Vec<Override> {
    let named = module.overrides.iter().filter_map(|(_, o)| Some((o.name.clone()?, o.init)));
    let literal = |init: Handle<Expression>| match module.global_expressions[init] {
        Expression::Literal(literal) => number(literal),
        _ => None,
    };
    named.map(|(name, init)| Override { name, default: init.and_then(literal) }).collect()
}

/// The value in a launch with these constants; none for one that is not there.
pub(super) fn value(
    overrides: &[Override],
    name: &str,
    constants: &[(&'static str, f64)],
) -> Option<f64> {
    let set = constants.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    set.or_else(|| overrides.iter().find(|o| o.name == name)?.default)
}

/// The workgroup size of a launch with these constants; none where it is computed by more than
/// arithmetic and choices between `override`s.
pub(crate) fn workgroup_size(
    module: &Module,
    overrides: &[Override],
    constants: &[(&'static str, f64)],
) -> Option<[u32; 3]> {
    let entry = module.entry_points.first()?;
    let mut size = entry.workgroup_size;
    let Some(computed) = &entry.workgroup_size_overrides else { return Some(size) };
    let values = Values { module, overrides, constants };
    for (extent, expression) in size.iter_mut().zip(computed) {
        if let Some(expression) = expression {
            *extent = values.of(*expression)? as u32;
        }
    }
    Some(size)
}

/// The values of a launch's constant expressions.
struct Values<'a> {
    module: &'a Module,
    overrides: &'a [Override],
    constants: &'a [(&'static str, f64)],
}

impl Values<'_> {
    fn of(&self, expression: Handle<Expression>) -> Option<f64> {
        use naga::BinaryOperator as Op;
        match self.module.global_expressions[expression] {
            Expression::Literal(literal) => number(literal),
            Expression::Constant(constant) => self.of(self.module.constants[constant].init),
            Expression::Override(handle) => {
                let declared = &self.module.overrides[handle];
                let set = |name| value(self.overrides, name, self.constants);
                let named = declared.name.as_deref().and_then(set);
                named.or_else(|| self.of(declared.init?))
            }
            Expression::Select { condition, accept, reject } => {
                self.of(if self.of(condition)? == 0.0 { reject } else { accept })
            }
            Expression::Binary { op, left, right } => {
                let (left, right) = (self.of(left)?, self.of(right)?);
                match op {
                    Op::Add => Some(left + right),
                    Op::Subtract => Some(left - right),
                    Op::Multiply => Some(left * right),
                    Op::Divide => Some((left / right).trunc()),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn number(literal: Literal) -> Option<f64> {
    match literal {
        Literal::F64(v) | Literal::AbstractFloat(v) => Some(v),
        Literal::F32(v) => Some(v.into()),
        Literal::F16(v) => Some(v.into()),
        Literal::U32(v) => Some(v.into()),
        Literal::I32(v) => Some(v.into()),
        Literal::AbstractInt(v) => Some(v as f64),
        Literal::Bool(v) => Some(u8::from(v).into()),
        _ => None,
    }
}
