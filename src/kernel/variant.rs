//! The ways to compile a kernel.

use crate::gpu::Capabilities;

/// A way to compile a kernel: under which conditions a launch is compiled so, and what that asks of
/// the adapter.
///
/// Conditions are what a launch says of itself ([`Launch::when`](crate::Launch::when)): its operands
/// are packed, its rows are shared. A launch takes the *last* variant whose conditions are exactly its
/// own and whose needs the device meets: what the adapter offers chooses among variants of the same
/// conditions, never between operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Its name in reports.
    pub name: &'static str,
    /// The `@if` conditions that a launch switches on by name.
    pub conditions: &'static [&'static str],
    /// What the adapter must offer. A need for subgroups switches the condition `SUBGROUPS` on.
    pub needs: Needs,
}

impl Variant {
    /// One that needs no optional feature.
    pub const fn portable(name: &'static str, conditions: &'static [&'static str]) -> Self {
        Self { name, conditions, needs: Needs::NOTHING }
    }

    /// The `@if` names that hold: the conditions, and what the needs switch on.
    pub fn switches(&self) -> impl Iterator<Item = &'static str> {
        let offered = self.needs.subgroups.then_some("SUBGROUPS");
        self.conditions.iter().copied().chain(offered)
    }

    /// Whether a launch with these conditions may be compiled so.
    pub(super) fn suits(&self, conditions: &[&str]) -> bool {
        self.conditions.len() == conditions.len()
            && conditions.iter().all(|c| self.conditions.contains(c))
    }
}

/// Optional features that a variant uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Subgroup operations.
    pub subgroups: bool,
    /// f16 arithmetic types.
    pub f16: bool,
    /// Cooperative matrices.
    pub coop_matrix: bool,
}

impl Needs {
    /// Nothing: runs everywhere.
    pub const NOTHING: Needs = Needs { subgroups: false, f16: false, coop_matrix: false };
    /// Subgroup operations.
    pub const SUBGROUPS: Needs = Needs { subgroups: true, ..Needs::NOTHING };
    /// f16 types in the shader.
    pub const F16: Needs = Needs { f16: true, ..Needs::NOTHING };
    /// Cooperative matrices with f16 operands.
    pub const COOP_MATRIX: Needs = Needs { coop_matrix: true, f16: true, subgroups: true };

    /// Their names, as WebGPU calls features.
    pub fn names(&self) -> Vec<&'static str> {
        let all = [
            (self.subgroups, "subgroups"),
            (self.f16, "shader-f16"),
            (self.coop_matrix, "cooperative-matrix"),
        ];
        all.into_iter().filter(|(needed, _)| *needed).map(|(_, name)| name).collect()
    }

    /// Whether `capabilities` meet these needs.
    pub fn met_by(&self, capabilities: &Capabilities) -> bool {
        (!self.subgroups || capabilities.subgroups)
            && (!self.f16 || capabilities.f16)
            && (!self.coop_matrix || capabilities.coop_matrix.is_some())
    }
}

/// The baseline alone.
pub const BASELINE: &[Variant] =
    &[Variant { name: "baseline", conditions: &[], needs: Needs::NOTHING }];
