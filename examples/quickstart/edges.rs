//! What a retina would add to the pixels: edges.

/// The eight neighbours of a pixel, as rows and columns away from it.
const NEIGHBOURS: [(isize, isize); 8] =
    [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)];

/// Values a pixel: itself and one for each neighbour.
pub const FIELDS: usize = 1 + NEIGHBOURS.len();

/// Each image of `pixels`, rows by columns, followed by eight fields of its size: how much brighter
/// a pixel is than one of its neighbours, `max(0, p - q)`, black around the image. A bright line is
/// seen from both of its sides, as by the on and off cells of a retina.
pub fn with_edges(pixels: &[f32], (rows, columns): (usize, usize)) -> Vec<f32> {
    let mut out = Vec::with_capacity(FIELDS * pixels.len());
    for image in pixels.chunks_exact((rows * columns).max(1)) {
        out.extend_from_slice(image);
        for (down, right) in NEIGHBOURS {
            for (at, pixel) in image.iter().enumerate() {
                let row = (at / columns).checked_add_signed(down).filter(|r| *r < rows);
                let column = (at % columns).checked_add_signed(right).filter(|c| *c < columns);
                let place = row.zip(column).map(|(row, column)| row * columns + column);
                let neighbour = place.and_then(|i| image.get(i)).copied().unwrap_or(0.0);
                out.push((pixel - neighbour).max(0.0));
            }
        }
    }
    out
}
