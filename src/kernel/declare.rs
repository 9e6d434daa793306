//! The macro that declares a kernel.

/// Declares a [`Kernel`](crate::Kernel): its static, its parameter struct, its CPU code and its cost.
///
/// ```text
/// kernel! {
///     /// Documentation of the static.
///     pub static NAME = "family/name";              // reads shaders/family/name.wgsl of the crate, or
///     pub static NAME = "family/name" from SOURCE;  // takes the WGSL text SOURCE
///     params = struct NameParams { count: u32 };    // or: params = SomeParams; or left out
///     oracle = function;                            // fn<R: Real>(&mut HostArgs<'_, R>)
///     host = fast;                                  // fn(&mut HostArgs<'_, f32>); the oracle's if left out
///     cost = function;                              // and any other method of Kernel with one argument
/// }
/// ```
///
/// The parts stand in this order. What the shader declares is compared with them when the kernel is
/// composed. See [`Kernel`](crate::Kernel) for a whole one.
#[macro_export]
macro_rules! kernel {
    (
        $(#[$meta:meta])*
        $vis:vis static $name:ident = $path:literal $(from $source:expr)?;
        params = struct $params:ident { $($fields:tt)* };
        $($rest:tt)*
    ) => {
        $crate::params! { $vis struct $params { $($fields)* } }
        $crate::kernel! {
            $(#[$meta])*
            $vis static $name = $path $(from $source)?;
            params = $params;
            $($rest)*
        }
    };
    (
        $(#[$meta:meta])*
        $vis:vis static $name:ident = $path:literal $(from $source:expr)?;
        $(params = $params:ty;)?
        oracle = $($oracle:ident)::+;
        host = $host:path;
        $($method:ident = $value:expr;)*
    ) => {
        $(#[$meta])*
        $vis static $name: $crate::Kernel = $crate::Kernel::declare(
            $path,
            $crate::kernel!(@source $path $(, $source)?),
            $crate::Twin { host: $host, ..$crate::twin!($($oracle)::+) },
        )
        $(.params::<$params>())?
        $(.$method($value))*;
    };
    (
        $(#[$meta:meta])*
        $vis:vis static $name:ident = $path:literal $(from $source:expr)?;
        $(params = $params:ty;)?
        oracle = $($oracle:ident)::+;
        $($method:ident = $value:expr;)*
    ) => {
        $(#[$meta])*
        $vis static $name: $crate::Kernel = $crate::Kernel::declare(
            $path,
            $crate::kernel!(@source $path $(, $source)?),
            $crate::twin!($($oracle)::+),
        )
        $(.params::<$params>())?
        $(.$method($value))*;
    };
    (@source $path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path, ".wgsl"))
    };
    (@source $path:literal, $source:expr) => {
        $source
    };
}
