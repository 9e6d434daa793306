//! Curves over a common axis.

use super::axis::Axis;
use super::{Area, FONT, LABEL, Panel, Styles, TICK, TITLE};
use plotters::prelude::*;

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

    fn axis(&self, most: usize, value: impl Fn(&(f64, f64)) -> f64) -> Axis {
        Axis::of(self.series.iter().flat_map(|(_, points)| points).map(value), most)
    }
}

impl Panel for Curves {
    fn names(&self) -> Vec<&str> {
        self.series.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn draw(&self, area: &Area<'_>, styles: &Styles<'_>) -> Result<(), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let (names, rows) = self.legend(area)?;
        let (head, body) = area.split_vertically(HEAD + rows * ROW);
        self.draw_head(&head, &names, styles).map_err(|e| text(&e))?;
        let (x, y) = (self.axis(10, |p| p.0), self.axis(8, |p| p.1));
        let mut chart = ChartBuilder::on(&body)
            .margin(12)
            .margin_right(28)
            .x_label_area_size(46)
            .y_label_area_size(LEFT - 12)
            .build_cartesian_2d(x.coordinate(0.0), y.coordinate(0.05))
            .map_err(|e| text(&e))?;
        chart
            .configure_mesh()
            .x_label_formatter(&|place| x.label(*place))
            .y_label_formatter(&|place| y.label(*place))
            .x_desc(&self.x)
            .y_desc(&self.y)
            .axis_desc_style((FONT, LABEL))
            .label_style((FONT, TICK))
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(|e| text(&e))?;
        for (i, (name, points)) in self.series.iter().enumerate() {
            // Earlier curves are wider: where a later one lies upon them, their edges show.
            let above = (self.series.len() - 1 - i).min(WIDTHS.len() - 1);
            let (colour, dashes) = styles.style(name);
            let style = colour.stroke_width(WIDTHS[above]);
            let places: Vec<_> = points.iter().map(|p| (x.place(p.0), y.place(p.1))).collect();
            match dashes {
                None => chart
                    .draw_series(LineSeries::new(places.iter().copied(), style))
                    .map_err(|e| text(&e))?,
                Some((dash, gap)) => chart
                    .draw_series(DashedLineSeries::new(places.clone(), dash, gap, style))
                    .map_err(|e| text(&e))?,
            };
            if points.len() <= 60 {
                let size = 3 + above as i32 / 2;
                let dot = |place: &(f64, f64)| Circle::new(*place, size, colour.filled());
                chart.draw_series(places.iter().map(dot)).map_err(|e| text(&e))?;
            }
        }
        Ok(())
    }
}

/// Pixels of a curve upon which so many others lie.
const WIDTHS: [u32; 4] = [2, 4, 5, 7];
/// Pixels left of the axis.
const LEFT: i32 = 86;
/// Pixels of the title, and of a row of names between it and the curves.
const HEAD: i32 = 40;
const ROW: i32 = 24;
/// Pixels of a line before its name, and between names.
const STROKE: i32 = 26;
const GAP: i32 = 22;

impl Curves {
    /// Where the names of the series stand, and the rows that they take.
    fn legend(&self, area: &Area<'_>) -> Result<(Vec<(i32, i32)>, i32), String> {
        let right = area.dim_in_pixel().0 as i32 - 28;
        let (mut left, mut row) = (LEFT, 0);
        let mut places = Vec::with_capacity(self.series.len());
        for (name, _) in &self.series {
            let size = area.estimate_text_size(name, &(FONT, LABEL).into_text_style(area));
            let width = STROKE + 6 + size.map_err(|e| e.to_string())?.0 as i32;
            if left > LEFT && left + width > right {
                (left, row) = (LEFT, row + 1);
            }
            places.push((left, HEAD + row * ROW));
            left += width + GAP;
        }
        Ok((places, row + 1))
    }

    /// The title and the names, above the curves: nothing covers them.
    fn draw_head<'a>(
        &self,
        head: &Area<'a>,
        names: &[(i32, i32)],
        styles: &Styles<'_>,
    ) -> Result<(), DrawingAreaErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>> {
        use plotters::style::text_anchor::{HPos, Pos, VPos};
        let title = (FONT, TITLE).into_text_style(head).pos(Pos::new(HPos::Center, VPos::Top));
        let middle = head.dim_in_pixel().0 as i32 / 2;
        head.draw(&Text::new(self.title.as_str(), (middle, 12), title))?;
        let label = (FONT, LABEL).into_text_style(head).pos(Pos::new(HPos::Left, VPos::Center));
        for ((name, _), (x, y)) in self.series.iter().zip(names) {
            let (y, end) = (y + ROW / 2, x + STROKE);
            let (colour, dashes) = styles.style(name);
            let (dash, gap) = dashes.map_or((STROKE, 0), |(dash, gap)| (dash as i32, gap as i32));
            for from in (*x..end).step_by((dash + gap) as usize) {
                let stroke = [(from, y), ((from + dash).min(end), y)];
                head.draw(&PathElement::new(stroke, colour.stroke_width(3)))?;
            }
            head.draw(&Text::new(name.as_str(), (end + 6, y), label.clone()))?;
        }
        Ok(())
    }
}
