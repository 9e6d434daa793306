//! Parameter structs: laid out in Rust, compared with the shader's, member by member.

use crate::gpu::{Member, Scalar};

/// A parameter struct, or what one is made of. Implemented by [`params!`](crate::params).
pub trait Params: bytemuck::Pod {
    /// Lists the words of a member `name` at byte `offset`: a struct lists those of its own members by
    /// their names, all words of an array have the array's.
    fn list(name: &str, offset: u32, members: &mut Vec<Member>);
}

/// The words of a struct, in order.
pub(super) fn members<P: Params>() -> Vec<Member> {
    let mut members = Vec::new();
    P::list("", 0, &mut members);
    members
}

macro_rules! scalars {
    ($($type:ty = $scalar:ident),*) => {
        $(impl Params for $type {
            fn list(name: &str, offset: u32, members: &mut Vec<Member>) {
                members.push(Member { name: name.into(), offset, scalar: Scalar::$scalar });
            }
        })*
    };
}

scalars!(u32 = Uint, i32 = Sint, f32 = Float);

impl<P: Params, const N: usize> Params for [P; N]
where
    [P; N]: bytemuck::Pod,
{
    fn list(name: &str, offset: u32, members: &mut Vec<Member>) {
        for i in 0..N as u32 {
            P::list(name, offset + i * size_of::<P>() as u32, members);
        }
    }
}

/// Declares a parameter struct: plain words in the order of the shader's struct, whose members have the
/// same names. Members are `u32`, `i32`, `f32`, arrays of these, or structs declared like this one. The
/// calling crate needs [`bytemuck`](https://docs.rs/bytemuck) with its feature `derive`.
///
/// ```
/// spikegrad::params! {
///     /// Of an affine map.
///     pub struct Affine { count: u32, scale: f32, shift: f32 }
/// }
/// assert_eq!(bytemuck::bytes_of(&Affine { count: 1, scale: 2.0, shift: 0.0 }).len(), 12);
/// ```
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$doc:meta])* $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(C)]
        $vis struct $name {
            $($(#[$doc])* $vis $field: $type),*
        }

        impl $crate::Params for $name {
            fn list(_: &str, offset: u32, members: &mut Vec<$crate::Member>) {
                $(
                    let at = offset + std::mem::offset_of!($name, $field) as u32;
                    <$type as $crate::Params>::list(stringify!($field), at, members);
                )*
            }
        }
    };
}
