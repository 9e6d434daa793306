//! The macro that declares the kernels of a cell.

/// Declares a cell's [`Driver`](super::Driver) and its two kernels, from the WGSL of the driver, into which
/// the cell's is composed.
///
/// ```text
/// recurrence! {
///     /// Documentation.
///     pub static NAME = "operator";
///     cell = Type, "family/file";              // the trait, and shaders/family/file.wgsl
///     states = 2;
///     parameters = 3, ["alpha", "beta", "threshold"];
///     kernels = "family/forward", "family/backward";
/// }
/// ```
macro_rules! recurrence {
    (
        $(#[$meta:meta])*
        $vis:vis static $driver:ident = $op:literal;
        cell = $cell:ty, $text:literal;
        states = $s:literal;
        parameters = $p:literal, $names:expr;
        kernels = $forward:literal, $backward:literal;
    ) => {
        $(#[$meta])*
        $vis static $driver: $crate::recur::Driver = $crate::recur::Driver {
            op: $op,
            forward: &FORWARD,
            backward: &BACKWARD,
            states: $s,
            parameters: &$names,
        };

        const MODULES: &[$crate::WgslModule] = &[
            ("cell", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $text, ".wgsl"))),
            ("sizes", concat!("const STATES: u32 = ", $s, "u;\nconst PARAMETERS: u32 = ", $p, "u;\n")),
        ];

        $crate::kernel! {
            /// All steps, in order.
            $vis static FORWARD = $forward from $crate::recur::recurrence!(@source "forward");
            params = $crate::recur::RecurParams;
            oracle = forward;
            host = $crate::host::recur::forward::<$cell, $s, $p>;
            modules = MODULES;
            cost = $crate::recur::forward_cost;
            turns = $crate::recur::turns;
            mismatch = 1e-3;
        }

        $crate::kernel! {
            /// All steps, from the last to the first.
            $vis static BACKWARD = $backward from $crate::recur::recurrence!(@source "backward");
            params = $crate::recur::RecurParams;
            oracle = backward;
            host = $crate::host::recur::backward::<$cell, $s, $p>;
            modules = MODULES;
            cost = $crate::recur::backward_cost;
            turns = $crate::recur::turns;
        }

        fn forward<R: $crate::Real>(args: &mut $crate::HostArgs<'_, R>) {
            $crate::recur::forward::<$cell, $s, $p, R>(args);
        }

        fn backward<R: $crate::Real>(args: &mut $crate::HostArgs<'_, R>) {
            $crate::recur::backward::<$cell, $s, $p, R>(args);
        }
    };
    (@source $direction:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/recur/", $direction, ".wgsl"))
    };
}

pub(crate) use recurrence;
