//! Spike rasters.

use super::{Area, COLOURS, FONT, LABEL, Panel, TICK, TITLE};
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
        let set = spikes.iter().enumerate().filter(|(_, spike)| **spike);
        Self {
            title: title.into(),
            x: "step".into(),
            y: "neuron".into(),
            steps: spikes.len() / neurons,
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

    /// Draws a line before each of these steps: where one sample ends and the next one starts.
    pub fn borders(mut self, steps: impl IntoIterator<Item = usize>) -> Self {
        self.borders.extend(steps);
        self
    }
}

impl Panel for Raster {
    fn draw(&self, area: &Area<'_>) -> Result<(), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let (steps, neurons) = (self.steps.max(1) as f64, self.neurons as f64);
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, (FONT, TITLE))
            .margin(12)
            .margin_right(28)
            .x_label_area_size(46)
            .y_label_area_size(74)
            .build_cartesian_2d(0.0..steps, 0.0..neurons)
            .map_err(|e| text(&e))?;
        let whole = |v: &f64| if v.fract() == 0.0 { format!("{v}") } else { String::new() };
        chart
            .configure_mesh()
            .disable_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .x_label_formatter(&whole)
            .y_label_formatter(&whole)
            .axis_desc_style((FONT, LABEL))
            .label_style((FONT, TICK))
            .draw()
            .map_err(|e| text(&e))?;
        let border = |step: &usize| {
            let x = *step as f64;
            PathElement::new([(x, 0.0), (x, neurons)], BLACK.mix(0.35))
        };
        chart.draw_series(self.borders.iter().map(border)).map_err(|e| text(&e))?;
        let mark = |(t, n): &(usize, usize)| {
            let (x, y) = (*t as f64, *n as f64);
            Rectangle::new([(x + 0.15, y + 0.15), (x + 0.85, y + 0.85)], COLOURS[0].filled())
        };
        chart.draw_series(self.spikes.iter().map(mark)).map_err(|e| text(&e))?;
        Ok(())
    }
}

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
}
