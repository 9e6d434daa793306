//! Curves over a common axis.

use super::{Area, COLOURS, FONT, LABEL, Panel, TICK, TITLE};
use plotters::prelude::*;
use std::ops::Range;

/// Named series of points, drawn as lines over a common horizontal axis.
#[derive(Debug, Clone)]
#[must_use]
pub struct Curves {
    title: String,
    x: String,
    y: String,
    series: Vec<(String, Vec<(f64, f64)>)>,
}

impl Curves {
    /// A panel without any series.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), x: String::new(), y: String::new(), series: Vec::new() }
    }

    /// What the horizontal axis shows.
    pub fn x(mut self, label: impl Into<String>) -> Self {
        self.x = label.into();
        self
    }

    /// What the vertical axis shows.
    pub fn y(mut self, label: impl Into<String>) -> Self {
        self.y = label.into();
        self
    }

    /// Adds a series. Points that are not finite are left out.
    pub fn series(mut self, name: impl Into<String>, points: &[(f64, f64)]) -> Self {
        let finite = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        self.series.push((name.into(), finite.copied().collect()));
        self
    }

    fn range(&self, value: impl Fn(&(f64, f64)) -> f64) -> Range<f64> {
        let values = || self.series.iter().flat_map(|(_, points)| points).map(&value);
        let (low, high) =
            values().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        match high - low {
            span if span > 0.0 => low..high,
            _ if high >= low => low - 0.5..high + 0.5,
            _ => 0.0..1.0,
        }
    }
}

impl Panel for Curves {
    fn draw(&self, area: &Area<'_>) -> Result<(), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let (x, y) = (self.range(|p| p.0), self.range(|p| p.1));
        let margin = (y.end - y.start) * 0.05;
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, (FONT, TITLE))
            .margin(12)
            .margin_right(28)
            .x_label_area_size(46)
            .y_label_area_size(74)
            .build_cartesian_2d(x, y.start - margin..y.end + margin)
            .map_err(|e| text(&e))?;
        chart
            .configure_mesh()
            .x_label_formatter(&|v| number(*v))
            .y_label_formatter(&|v| number(*v))
            .x_desc(&self.x)
            .y_desc(&self.y)
            .axis_desc_style((FONT, LABEL))
            .label_style((FONT, TICK))
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(|e| text(&e))?;
        for ((name, points), colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2);
            let dots = points.len() <= 60;
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))
                .map_err(|e| text(&e))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
            if dots {
                let dot = |p: &(f64, f64)| Circle::new(*p, 3, colour.filled());
                chart.draw_series(points.iter().map(dot)).map_err(|e| text(&e))?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .label_font((FONT, LABEL))
            .legend_area_size(32)
            .margin(14)
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(|e| text(&e))
    }
}

/// A tick's number without needless zeros.
fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}
