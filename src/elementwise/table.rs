//! Functions as tables: a row holds all that there is to say about one.

/// Declares functions of one number with up to two constants: the enum, its kernels' WGSL, and the methods
/// of [`Tensor`](crate::Tensor) and [`Var`](crate::Var) that apply them.
///
/// A row is
///
/// ```text
/// /// Documentation of the variant and of the methods.
/// CODE Variant method[field: constant, ..] where { fields of the variant } {
///     value(x) = Rust, "WGSL";
///     derivative(x) = Rust, "WGSL";     // or derivative(y), from the value
///     second(x) = Rust;
/// }
/// ```
///
/// where Rust is an expression of type `R: Real` in the argument and the constants, and WGSL one in the
/// argument and the names that the head gives to the constants, which may call the fragments that the
/// head imports.
macro_rules! functions {
    (
        $(#[$meta:meta])*
        enum $name:ident by $apply:ident;
        module $module:ident = $path:literal, $head:literal, $evaluate:literal, $derive:literal;
        $(
            $(#[$doc:meta])*
            $code:literal $variant:ident $method:ident[$($field:tt: $constant:ident),*]
            $(where $fields:tt)? {
                value($x:ident) = $value:expr, $value_text:literal;
                derivative($saved:ident) = $derivative:expr, $derivative_text:literal;
                second($at:ident) = $second:expr;
            }
        )*
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* $variant $($fields)?,)*
        }

        /// The module that kernels import: codes, values and derivatives.
        pub(crate) const $module: &[$crate::WgslModule] = &[($path, concat!(
            $head,
            $("const ", stringify!($variant), ": u32 = ", $code, "u;\n",)*
            $evaluate,
            " {\n    switch kind {\n",
            $("        case ", $code, "u: { return ", $value_text, "; }\n",)*
            "        default: { return x; }\n    }\n}\n",
            $derive,
            " {\n    switch kind {\n",
            $(
                "        case ", $code, "u: { let ", stringify!($saved), " = saved; return ",
                $derivative_text, "; }\n",
            )*
            "        default: { return saved; }\n    }\n}\n",
        ))];

        #[allow(unused_variables, clippy::redundant_field_names)]
        impl $name {
            /// All of them, with these constants where they have some.
            #[doc(hidden)]
            pub fn all(first: f32, second: f32) -> Vec<Self> {
                [$($code),*].map(|code| Self::of(code, [first, second])).to_vec()
            }

            /// The function of a code and its constants.
            pub(crate) fn of(code: u32, constants: [f32; 2]) -> Self {
                let mut constants = constants.into_iter();
                let mut next = || constants.next().unwrap_or_default();
                match code {
                    $($code => $name::$variant { $($field: next()),* },)*
                    _ => panic!("no {} has the code {code}", stringify!($name)),
                }
            }

            /// Its code in the shaders.
            pub(crate) fn code(self) -> u32 {
                match self {
                    $($name::$variant { .. } => $code,)*
                }
            }

            /// Its constants; 0 for those that it does not have.
            pub(crate) fn constants(self) -> [f32; 2] {
                let given: &[f32] = match self {
                    $($name::$variant { $($field: $constant),* } => &[$($constant),*],)*
                };
                std::array::from_fn(|i| given.get(i).copied().unwrap_or_default())
            }

            /// The method that applies it.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $($name::$variant { .. } => stringify!($method),)*
                }
            }

            /// Whether the derivative is made from the value instead of the argument.
            pub(crate) fn saves_value(self) -> bool {
                let saved = match self {
                    $($name::$variant { .. } => stringify!($saved),)*
                };
                saved == "y"
            }

            /// Its value at `x`.
            pub fn apply<R: $crate::Real>(self, x: R) -> R {
                match self {
                    $($name::$variant { $($field: $constant),* } => {
                        $(let $constant = R::lit($constant.into());)*
                        let $x = x;
                        $value
                    })*
                }
            }

            /// Its derivative at `x`; NaN of NaN.
            pub fn derivative<R: $crate::Real>(self, x: R) -> R {
                self.slope_from(if self.saves_value() { self.apply(x) } else { x })
            }

            /// Its derivative, from what is saved of a forward pass.
            pub(crate) fn slope_from<R: $crate::Real>(self, saved: R) -> R {
                match self {
                    $($name::$variant { $($field: $constant),* } => {
                        $(let $constant = R::lit($constant.into());)*
                        let $saved = saved;
                        $derivative
                    })*
                }
            }

            /// Its second derivative at `x`; NaN of NaN.
            pub fn second_derivative<R: $crate::Real>(self, x: R) -> R {
                match self {
                    $($name::$variant { $($field: $constant),* } => {
                        $(let $constant = R::lit($constant.into());)*
                        let $at = x;
                        $second
                    })*
                }
            }
        }

        #[allow(clippy::redundant_field_names)]
        impl $crate::Tensor {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                #[doc = concat!(
                    "Those of [`", stringify!($apply), "`](crate::elementwise::", stringify!($apply), ")."
                )]
                pub fn $method(&self, $($constant: f32),*) -> $crate::Result<$crate::Tensor> {
                    $apply($name::$variant { $($field: $constant),* }, self)
                }
            )*
        }

        #[allow(clippy::redundant_field_names)]
        impl $crate::Var {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                #[doc = concat!(
                    "Those of [`", stringify!($apply), "`](crate::Var::", stringify!($apply), ")."
                )]
                pub fn $method(&self, $($constant: f32),*) -> $crate::Result<$crate::Var> {
                    self.$apply($name::$variant { $($field: $constant),* })
                }
            )*
        }
    };
}
pub(super) use functions;

/// Declares functions of two numbers, likewise. A row is
///
/// ```text
/// /// Documentation.
/// CODE Variant method(a, b) {
///     value = Rust, "WGSL";
///     by_a = Rust, "WGSL";
///     by_b = Rust, "WGSL";
///     second = [by a and a, by a and b, by b and b];
/// }
/// ```
macro_rules! functions_of_two {
    (
        $(#[$meta:meta])*
        enum $name:ident by $apply:ident;
        module $module:ident = $path:literal, $head:literal, $evaluate:literal, $derive:literal;
        $(
            $(#[$doc:meta])*
            $code:literal $variant:ident $method:ident($a:ident, $b:ident) {
                value = $value:expr, $value_text:literal;
                by_a = $by_a:expr, $by_a_text:literal;
                by_b = $by_b:expr, $by_b_text:literal;
                second = $second:expr;
            }
        )*
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        /// The module that kernels import: values and derivatives.
        pub(crate) const $module: &[$crate::WgslModule] = &[($path, concat!(
            $head,
            $evaluate,
            " {\n    switch kind {\n",
            $("        case ", $code, "u: { return ", $value_text, "; }\n",)*
            "        default: { return a; }\n    }\n}\n",
            $derive,
            " {\n    switch kind {\n",
            $(
                "        case ", $code, "u: { return select(", $by_a_text, ", ", $by_b_text,
                ", side == 1u); }\n",
            )*
            "        default: { return a; }\n    }\n}\n",
        ))];

        #[allow(unused_variables)]
        impl $name {
            /// All of them.
            #[doc(hidden)]
            pub fn all() -> Vec<Self> {
                vec![$($name::$variant),*]
            }

            /// The function of a code.
            pub(super) fn of(code: u32) -> Self {
                match code {
                    $($code => $name::$variant,)*
                    _ => panic!("no {} has the code {code}", stringify!($name)),
                }
            }

            /// Its code in the shaders.
            pub(crate) fn code(self) -> u32 {
                match self {
                    $($name::$variant => $code,)*
                }
            }

            /// The method that applies it.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $($name::$variant => stringify!($method),)*
                }
            }

            /// Its value.
            pub fn apply<R: $crate::Real>(self, a: R, b: R) -> R {
                match self {
                    $($name::$variant => {
                        let ($a, $b) = (a, b);
                        $value
                    })*
                }
            }

            /// Its derivatives by both operands.
            pub fn derivatives<R: $crate::Real>(self, a: R, b: R) -> [R; 2] {
                match self {
                    $($name::$variant => {
                        let ($a, $b) = (a, b);
                        [$by_a, $by_b]
                    })*
                }
            }

            /// Its second derivatives: twice by `a`, by both, twice by `b`.
            pub fn second_derivatives<R: $crate::Real>(self, a: R, b: R) -> [R; 3] {
                match self {
                    $($name::$variant => {
                        let ($a, $b) = (a, b);
                        $second
                    })*
                }
            }
        }

        impl $crate::Tensor {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                #[doc = concat!(
                    "Those of [`", stringify!($apply), "`](crate::elementwise::", stringify!($apply), ")."
                )]
                pub fn $method(&self, other: &$crate::Tensor) -> $crate::Result<$crate::Tensor> {
                    $apply($name::$variant, self, other)
                }
            )*
        }

        impl $crate::Var {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                #[doc = concat!(
                    "Those of [`", stringify!($apply), "`](crate::Var::", stringify!($apply), ")."
                )]
                pub fn $method(&self, other: &$crate::Var) -> $crate::Result<$crate::Var> {
                    self.$apply($name::$variant, other)
                }
            )*
        }
    };
}
pub(super) use functions_of_two;
