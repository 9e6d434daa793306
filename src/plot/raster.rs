//! Spike rasters.

use super::axis::Axis;
use super::{Area, FONT, LABEL, Panel, Styles, TICK, TITLE};
use plotters::prelude::*;

/// Spikes as marks: time runs to the right, one row a neuron.
#[derive(Debug, Clone)]
#[must_use]
pub struct Raster {
    title: String,
    x: String,
    y: String,
    steps: usize,
    neurons: usize,
    spikes: Vec<(usize, usize)>,
    /// The steps at which a sample ends and the next one starts.
    borders: Vec<usize>,
}

impl Raster {
    /// A panel of spikes `[T, N]`, the steps one after another, `neurons` values each. What is left
    /// over at the end is not drawn.
    pub fn new(title: impl Into<String>, spikes: &[bool], neurons: usize) -> Self {
        let neurons = neurons.max(1);
        let steps = spikes.len() / neurons;
        let set = spikes[..steps * neurons].iter().enumerate().filter(|(_, spike)| **spike);
        Self {
            title: title.into(),
            x: "step".into(),
            y: "neuron".into(),
            steps,
            neurons,
            spikes: set.map(|(i, _)| (i / neurons, i % neurons)).collect(),
            borders: Vec::new(),
        }
    }

    /// What the horizontal axis shows, `step` by default.
    pub fn x(mut self, label: impl Into<String>) -> Self {
        self.x = label.into();
        self
    }

    /// What the vertical axis shows, `neuron` by default.
    pub fn y(mut self, label: impl Into<String>) -> Self {
        self.y = label.into();
        self
    }

    /// Draws a line before each of these steps: where one sample ends and the next one starts. Steps
    /// that are not drawn have none.
    pub fn borders(mut self, steps: impl IntoIterator<Item = usize>) -> Self {
        self.borders.extend(steps);
        self
    }
}

impl Panel for Raster {
    fn draw(&self, area: &Area<'_>, _: &Styles<'_>) -> Result<(), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let (steps, neurons) = (Axis::whole(self.steps, 10), Axis::whole(self.neurons, 8));
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, (FONT, TITLE))
            .margin(12)
            .margin_right(28)
            .x_label_area_size(46)
            .y_label_area_size(74)
            .build_cartesian_2d(steps.coordinate(0.0), neurons.coordinate(0.0))
            .map_err(|e| text(&e))?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_label_formatter(&|place| steps.label(*place))
            .y_label_formatter(&|place| neurons.label(*place))
            .axis_desc_style((FONT, LABEL))
            .label_style((FONT, TICK))
            .draw()
            .map_err(|e| text(&e))?;
        let border = |step: &usize| {
            let x = steps.place(*step as f64);
            PathElement::new([(x, 0.0), (x, 1.0)], BLACK.mix(0.35))
        };
        let borders = self.borders.iter().filter(|step| **step <= self.steps);
        chart.draw_series(borders.map(border)).map_err(|e| text(&e))?;
        let mark = |(t, n): &(usize, usize)| {
            let corner =
                |part: f64| (steps.place(*t as f64 + part), neurons.place(*n as f64 + part));
            Rectangle::new([corner(0.15), corner(0.85)], MARK.filled())
        };
        chart.draw_series(self.spikes.iter().map(mark)).map_err(|e| text(&e))?;
        Ok(())
    }
}

/// The colour of spikes, which no curve has.
const MARK: RGBColor = RGBColor(40, 40, 40);

#[cfg(test)]
mod tests {
    use super::Raster;
    use crate::plot::{Curves, save};

    #[test]
    fn pictures_of_anything() {
        let path = std::env::temp_dir().join(format!("spikegrad-plot-{}.png", std::process::id()));
        let nothing = Curves::new("");
        let flat = Curves::new("flat").series("a", &[(0.0, 1.0), (f64::NAN, 2.0), (1.0, 1.0)]);
        let empty = Raster::new("", &[], 0);
        let spikes: Vec<bool> = (0..40 * 7).map(|i| i % 5 == 0).collect();
        let raster = Raster::new("spikes", &spikes, 7).borders([20]);
        save(&path, &[&nothing, &flat, &empty, &raster]).unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"));
        std::fs::remove_file(&path).unwrap();
        assert!(save(&path, &[]).is_err());
        assert!(save("/nowhere/at/all.png", &[&raster]).is_err());
    }

    /// Numbers of any size, and places far outside: a picture, in a short time.
    #[test]
    fn pictures_of_extremes() {
        let name = format!("spikegrad-plot-extremes-{}.png", std::process::id());
        let path = std::env::temp_dir().join(name);
        let ulp = f64::from_bits(1.0f64.to_bits() + 1);
        let sets = [
            [(0.0, -1.7e308), (1.0, 1.7e308)],
            [(-1.7e308, 0.0), (1.7e308, f64::INFINITY)],
            [(f64::MIN, f64::MAX), (f64::MAX, f64::MIN)],
            [(f64::NAN, 1.0), (1.0, f64::NEG_INFINITY)],
            [(5e-324, 5e-324), (0.0, 0.0)],
            [(0.0, 1e-8), (1.0, 3e-7)],
            [(1.0, ulp), (ulp, 1.0)],
            [(1e20, 1e308), (1e20, 1e308)],
        ];
        for points in sets {
            save(&path, &[&Curves::new("wide").series("a", &points)]).unwrap();
        }
        let far = [0, 9, 10, 1_000_000_000, usize::MAX];
        let raster = Raster::new("far", &[true; 29], 3).borders(far);
        let wide = Raster::new("wide", &[true; 9], usize::MAX).borders([0, 1]);
        save(&path, &[&raster, &wide]).unwrap();
        std::fs::remove_file(&path).unwrap();
        let series = |count: usize| {
            (0..count).fold(Curves::new("many"), |curves, i| {
                curves.series(format!("{i} {}", "long name ".repeat(9)), &[(0.0, i as f64)])
            })
        };
        save(&path, &[&series(10), &series(10), &series(9)]).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(save(&path, &[&series(11)]).is_err());
    }
}
