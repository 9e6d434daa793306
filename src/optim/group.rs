//! Groups of parameters that are updated alike.

use super::rule::{Rule, check_betas};
use super::shaping::Shapes;
use super::{Constraint, Schedule};
use crate::Param;
use crate::error::Result;
use crate::narrow::not_negative;
use std::sync::Arc;

/// A choice of parameters.
pub(super) type Filter = Arc<dyn Fn(&Param) -> bool + Send + Sync>;

/// What the parameters of a group have in common, apart from the rule.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) schedule: Schedule,
    pub(super) weight_decay: f64,
    pub(super) decays: Filter,
    pub(super) scales: Vec<(Filter, f64)>,
    pub(super) orthogonal: bool,
    pub(super) shapes: Shapes,
    pub(super) constraint: Constraint,
}

impl Settings {
    pub(super) fn new(rate: f64, weight_decay: f64) -> Self {
        Self {
            schedule: Schedule::constant(rate),
            weight_decay,
            decays: Arc::new(|param| param.value().shape().rank() > 1),
            scales: Vec::new(),
            orthogonal: false,
            shapes: Shapes::default(),
            constraint: Constraint::Free,
        }
    }

    pub(super) fn check(&self, op: &'static str) -> Result<()> {
        self.schedule.check(op)?;
        not_negative(op, "weight decay", self.weight_decay)?;
        for (_, factor) in &self.scales {
            not_negative(op, "rate scaled by", *factor)?;
        }
        if let Some(beta) = self.shapes.neurons {
            check_betas(op, &[beta])?;
        }
        self.constraint.check(op)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("schedule", &self.schedule)
            .field("weight_decay", &self.weight_decay)
            .field("orthogonal", &self.orthogonal)
            .field("shapes", &self.shapes)
            .field("constraint", &self.constraint)
            .finish_non_exhaustive()
    }
}

/// A named choice of parameters and how they are updated.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) chosen: Filter,
    pub(super) part: Part,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How the parameters of a group are updated.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) rule: Arc<dyn Rule>,
    pub(super) settings: Settings,
}
