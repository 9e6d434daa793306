//! Broadcasting as extents and strides.

use crate::shape::{MAX_RANK, Shape};

crate::params! {
    /// Extents and strides of a broadcast operator, innermost axis first, as `elementwise/strides.wgsl`
    /// takes them.
    pub(super) struct Strides {
        dims: [u32; MAX_RANK],
        a: [u32; MAX_RANK],
        b: [u32; MAX_RANK],
    }
}

/// The strides of operands of shapes `a` and `b` that broadcast to `out`, and the axes that are left
/// (at least one): axes of extent 1 vanish, neighbours along which the same operands are broadcast
/// merge.
pub(super) fn strides(out: &Shape, a: &Shape, b: &Shape) -> (Strides, u32) {
    let mut s = Strides { dims: [1; MAX_RANK], a: [0; MAX_RANK], b: [0; MAX_RANK] };
    let mut rank = 0;
    let (mut a_size, mut b_size) = (1usize, 1usize);
    for back in 1..=out.rank() {
        let extent = extent(out, back);
        if extent == 1 {
            continue;
        }
        let (in_a, in_b) = (crosses(a, back), crosses(b, back));
        let stride = |in_it: bool, size: usize| if in_it { size as u32 } else { 0 };
        if rank > 0 && (s.a[rank - 1] > 0, s.b[rank - 1] > 0) == (in_a, in_b) {
            s.dims[rank - 1] *= extent as u32;
        } else {
            s.dims[rank] = extent as u32;
            s.a[rank] = stride(in_a, a_size);
            s.b[rank] = stride(in_b, b_size);
            rank += 1;
        }
        a_size *= if in_a { extent } else { 1 };
        b_size *= if in_b { extent } else { 1 };
    }
    (s, rank.max(1) as u32)
}

fn extent(shape: &Shape, back: usize) -> usize {
    if back <= shape.rank() { shape[shape.rank() - back] } else { 1 }
}

/// Whether the operand has the axis, and is not broadcast along it.
fn crosses(shape: &Shape, back: usize) -> bool {
    extent(shape, back) != 1
}

impl Strides {
    /// The offsets of element `i` in both operands.
    pub(super) fn offsets(&self, rank: u32, i: usize) -> (usize, usize) {
        let mut rest = i;
        let (mut a, mut b) = (0, 0);
        for k in 0..rank as usize {
            let at = rest % self.dims[k] as usize;
            rest /= self.dims[k] as usize;
            a += at * self.a[k] as usize;
            b += at * self.b[k] as usize;
        }
        (a, b)
    }
}

#[cfg(test)]
mod tests {
    use super::strides;
    use crate::shape::Shape;

    fn shape(dims: &[usize]) -> Shape {
        Shape::new(dims).unwrap()
    }

    #[test]
    fn neighbours_merge() {
        let (s, rank) = strides(&shape(&[5, 4, 3]), &shape(&[5, 4, 3]), &shape(&[3]));
        assert_eq!(
            (rank, &s.dims[..2], &s.a[..2], &s.b[..2]),
            (2, &[3, 20][..], &[1, 3][..], &[1, 0][..])
        );
        let (s, rank) = strides(&shape(&[5, 4, 3]), &shape(&[5, 4, 3]), &shape(&[1]));
        assert_eq!((rank, s.dims[0], s.a[0], s.b[0]), (1, 60, 1, 0));
        let (s, rank) = strides(&shape(&[5, 4, 3]), &shape(&[5, 1, 3]), &shape(&[4, 1]));
        assert_eq!((rank, &s.a[..3], &s.b[..3]), (3, &[1, 0, 3][..], &[0, 1, 0][..]));
        let (_, rank) = strides(&shape(&[1]), &shape(&[]), &shape(&[1]));
        assert_eq!(rank, 1);
    }
}
