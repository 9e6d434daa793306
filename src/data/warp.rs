//! Distortions of images, for more of them than there are.

use super::Images;
use super::batches::mix;
use crate::error::Result;

/// Random affine distortions, as a pure function of seed, epoch and image: each image is turned,
/// stretched, sheared and moved about its centre by amounts that are uniform up to these, and read
/// between the pixels (bilinear; black outside).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warp {
    /// Degrees to either side.
    pub rotation: f64,
    /// The logarithm of the factor of each axis.
    pub stretch: f64,
    /// Columns a row.
    pub shear: f64,
    /// Pixels along each axis.
    pub shift: f64,
}

impl Warp {
    /// The pixels of the chosen images, like [`Images::pixels`], distorted.
    ///
    /// # Errors
    /// Those of [`Images::pixels`].
    pub fn pixels(
        &self,
        images: &Images,
        chosen: &[usize],
        seed: u64,
        epoch: u64,
    ) -> Result<Vec<f32>> {
        let (height, width) = images.size();
        let flat = images.pixels(chosen)?;
        let mut out = Vec::with_capacity(flat.len());
        let each = flat.chunks_exact((height * width).max(1));
        for (index, image) in chosen.iter().zip(each) {
            let map = self.draw(mix(mix(seed ^ mix(epoch)) ^ *index as u64));
            let centre = [(height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0];
            for at in 0..height * width {
                let y = (at / width) as f64 - centre[0];
                let x = (at % width) as f64 - centre[1];
                let from = [0, 1].map(|i| map[i][0] * y + map[i][1] * x + map[i][2] + centre[i]);
                out.push(bilinear(image, (height, width), from));
            }
        }
        Ok(out)
    }

    /// The map from an output's place to the input's: two rows of matrix and shift.
    fn draw(&self, key: u64) -> [[f64; 3]; 2] {
        let mut counter = key;
        let mut uniform = |most: f64| {
            counter = counter.wrapping_add(1);
            most * (2.0 * ((mix(counter) >> 11) as f64 / (1u64 << 53) as f64) - 1.0)
        };
        let (sin, cos) = uniform(self.rotation).to_radians().sin_cos();
        let stretch = [uniform(self.stretch).exp(), uniform(self.stretch).exp()];
        let shear = uniform(self.shear);
        let row = |a: f64, b: f64| [a * stretch[0], (a * shear + b) * stretch[1]];
        let ([a, b], [c, d]) = (row(cos, -sin), row(sin, cos));
        [[a, b, uniform(self.shift)], [c, d, uniform(self.shift)]]
    }
}

impl Images {
    /// The pixels of the chosen images, like [`Images::pixels`], read that many rows further down and
    /// columns further right, also between the pixels (bilinear; black outside).
    ///
    /// # Errors
    /// Those of [`Images::pixels`].
    pub fn moved(&self, chosen: &[usize], [down, right]: [f64; 2]) -> Result<Vec<f32>> {
        let (height, width) = self.size();
        let flat = self.pixels(chosen)?;
        let from = |at: usize| [(at / width) as f64 + down, (at % width) as f64 + right];
        let pixels = height * width;
        let moved = |image| (0..pixels).map(move |at| bilinear(image, (height, width), from(at)));
        Ok(flat.chunks_exact(pixels.max(1)).flat_map(moved).collect())
    }
}

/// The value between four pixels.
fn bilinear(image: &[f32], (height, width): (usize, usize), [y, x]: [f64; 2]) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let (down, right) = ((y - top) as f32, (x - left) as f32);
    let pixel = |row: f64, column: f64| {
        let inside = row >= 0.0 && column >= 0.0 && row < height as f64 && column < width as f64;
        if inside { image[row as usize * width + column as usize] } else { 0.0 }
    };
    let upper = pixel(top, left) * (1.0 - right) + pixel(top, left + 1.0) * right;
    let lower = pixel(top + 1.0, left) * (1.0 - right) + pixel(top + 1.0, left + 1.0) * right;
    upper * (1.0 - down) + lower * down
}

#[cfg(test)]
mod tests {
    use super::Warp;
    use crate::data::digits;

    #[test]
    fn nothing_asked_nothing_done() {
        let images = digits().unwrap().train;
        let still = Warp { rotation: 0.0, stretch: 0.0, shear: 0.0, shift: 0.0 };
        assert_eq!(still.pixels(&images, &[3, 5], 1, 2).unwrap(), images.pixels(&[3, 5]).unwrap());
    }

    #[test]
    fn moved_images() {
        let images = digits().unwrap().train;
        let plain = images.pixels(&[7]).unwrap();
        let moved = |by| images.moved(&[7], by).unwrap();
        assert_eq!(moved([0.0, 0.0]), plain);
        let (down, half) = (moved([1.0, 0.0]), moved([0.0, 0.5]));
        assert_eq!(down[..56], plain[8..]);
        assert!(down[56..].iter().all(|v| *v == 0.0));
        assert_eq!(half[3], 0.5 * (plain[3] + plain[4]));
    }

    #[test]
    fn an_image_and_epoch_always_look_alike() {
        let images = digits().unwrap().train;
        let warp = Warp { rotation: 10.0, stretch: 0.1, shear: 0.1, shift: 1.0 };
        let pixels =
            |chosen: &[usize], seed, epoch| warp.pixels(&images, chosen, seed, epoch).unwrap();
        let one = pixels(&[3, 5], 1, 2);
        assert_eq!(one[64..], pixels(&[5], 1, 2));
        assert_ne!(one, pixels(&[3, 5], 1, 3));
        assert_ne!(one, pixels(&[3, 5], 2, 2));
        assert!(one.iter().all(|v| (0.0..=1.0).contains(v)));
    }
}
