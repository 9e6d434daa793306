//! Rasters and curves as PNG.
//!
//! ```no_run
//! use spikegrad::plot::{self, Curves, Raster};
//! # fn main() -> spikegrad::Result<()> {
//! let losses = [(1.0, 2.3), (2.0, 1.1), (3.0, 0.6)];
//! let curves = Curves::new("learning curve").x("epoch").y("loss").series("train", &losses);
//! let spikes = [true, false, false, true, true, false]; // [T, N] = [2, 3]
//! let raster = Raster::new("hidden layer", &spikes, 3);
//! plot::save("run.png", &[&curves, &raster])?;
//! # Ok(())
//! # }
//! ```

mod axis;
mod curves;
mod raster;

pub use curves::Curves;
pub use raster::Raster;

use crate::error::{Error, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;
use std::sync::Once;

/// Something that fills a panel of a picture: [`Curves`], [`Raster`].
pub trait Panel {
    #[doc(hidden)]
    fn draw(&self, area: &Area<'_>, styles: &Styles<'_>) -> Result<(), String>;

    /// The names of what it draws in colours.
    #[doc(hidden)]
    fn names(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// How the series of a picture are drawn: a name has one colour and one kind of line in all panels.
#[derive(Debug)]
pub struct Styles<'a> {
    names: Vec<&'a str>,
}

impl<'a> Styles<'a> {
    fn of(panels: &[&'a dyn Panel]) -> Self {
        let mut names = Vec::new();
        for name in panels.iter().flat_map(|panel| panel.names()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Self { names }
    }

    /// The colour of a name, and the pixels of dashes and gaps where the colours are used up.
    fn style(&self, name: &str) -> (RGBColor, Option<(u32, u32)>) {
        const DASHES: [Option<(u32, u32)>; 4] = [None, Some((12, 6)), Some((4, 5)), Some((20, 4))];
        let at = self.names.iter().position(|known| *known == name).unwrap_or(0);
        (COLOURS[at % COLOURS.len()], DASHES[at / COLOURS.len() % DASHES.len()])
    }
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Pixels of a panel.
const SIZE: (u32, u32) = (960, 440);
/// The most series of a panel: their names, one a row at worst, leave room for the curves.
const MOST: usize = 10;
const FONT: &str = "spikegrad";
const TITLE: i32 = 22;
const LABEL: i32 = 17;
const TICK: i32 = 15;

/// Draws panels below each other into a PNG file, 960 x 440 pixels each. Series of one name have one
/// colour in all of them.
///
/// # Errors
/// [`Error::Argument`] without a panel, and for more series than a panel has room to name;
/// [`Error::Io`].
pub fn save(path: impl AsRef<Path>, panels: &[&dyn Panel]) -> Result<()> {
    let path = path.as_ref();
    if panels.is_empty() {
        return Err(Error::argument("plot", "no panels"));
    }
    if let Some(panel) = panels.iter().find(|panel| panel.names().len() > MOST) {
        let detail = format!("{} series in one panel, {MOST} at most", panel.names().len());
        return Err(Error::argument("plot", detail));
    }
    register_font();
    let styles = Styles::of(panels);
    let failed = |message: String| Error::Io { path: path.into(), message };
    let size = (SIZE.0, SIZE.1 * panels.len() as u32);
    let root = BitMapBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE).map_err(|e| failed(e.to_string()))?;
    for (panel, area) in panels.iter().zip(root.split_evenly((panels.len(), 1))) {
        panel.draw(&area, &styles).map_err(failed)?;
    }
    root.present().map_err(|e| failed(e.to_string()))
}

/// The font comes with the crate: pictures look alike on machines that have none.
fn register_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let font = dejavu::sans::regular();
        let _ = plotters::style::register_font(FONT, FontStyle::Normal, font);
    });
}

/// Colours that also differ for colour-blind readers (Okabe and Ito 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];
