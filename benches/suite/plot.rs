//! Line plots as SVG text, for a page that needs no network.

use crate::text::number;
use std::fmt::Write;

/// An axis.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    pub label: &'static str,
    pub logarithmic: bool,
}

/// A plot of the report: which points it takes, and how it shows them.
#[derive(Debug, Clone, Copy)]
pub struct Plot {
    /// The name under which cases add points.
    pub id: &'static str,
    pub title: &'static str,
    pub x: Axis,
    pub y: Axis,
}

/// A named line.
pub type Series<'a> = (&'a str, Vec<(f64, f64)>);

const SIZE: (f64, f64) = (640.0, 360.0);
/// Left, top, right, bottom.
const MARGIN: [f64; 4] = [70.0, 16.0, 170.0, 48.0];
const COLOURS: [&str; 8] =
    ["#1b6ca8", "#c8553d", "#3a7d44", "#8e5ba6", "#b8860b", "#2a9d8f", "#7a4b3a", "#555555"];

/// One axis with its range, in the units that are drawn (logarithms on a logarithmic axis).
struct Scale {
    axis: Axis,
    low: f64,
    high: f64,
    /// The values themselves, without repetition.
    values: Vec<f64>,
}

impl Scale {
    fn new(axis: Axis, values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut values: Vec<f64> = values.collect();
        for value in values.iter().map(|v| drawn(axis, *v)) {
            (low, high) = (low.min(value), high.max(value));
        }
        values.sort_by(f64::total_cmp);
        values.dedup();
        if !axis.logarithmic {
            low = low.min(0.0);
        }
        let room = if high > low { (high - low) * 0.05 } else { 0.5 };
        let low = if axis.logarithmic { low - room } else { low };
        Self { axis, low, high: high + room, values }
    }

    /// Where a value stands, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        (drawn(self.axis, value) - self.low) / (self.high - self.low)
    }

    /// Values that get a tick: the sizes themselves where they are few, as in a sweep; else 1, 2 and 5
    /// times powers of ten (powers of ten over a long range).
    fn ticks(&self) -> Vec<f64> {
        if self.axis.logarithmic && self.values.len() <= 7 {
            return self.values.clone();
        }
        let step = nice((self.high - self.low) / 6.0);
        if !self.axis.logarithmic {
            let first = (self.low / step).ceil() as i64;
            let count = ((self.high - self.low) / step) as i64;
            return (first..=first + count).map(|i| i as f64 * step).collect();
        }
        let (from, to) = (self.low.floor() as i32, self.high.ceil() as i32);
        let digits: &[f64] = if self.high - self.low < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let all = (from..=to).flat_map(|e| digits.iter().map(move |d| d * 10f64.powi(e)));
        all.filter(|v| (0.0..=1.0).contains(&self.place(*v))).collect()
    }
}

fn drawn(axis: Axis, value: f64) -> f64 {
    if axis.logarithmic { value.max(1e-12).log10() } else { value }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `step`.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|d| d * power).into_iter().find(|s| *s >= step).unwrap_or(step)
}

/// The plot as an `<svg>` element.
pub fn draw(plot: &Plot, series: &[Series<'_>]) -> String {
    let points = || series.iter().flat_map(|(_, points)| points);
    let x = Scale::new(plot.x, points().map(|p| p.0));
    let y = Scale::new(plot.y, points().map(|p| p.1));
    let mut out = String::new();
    let (width, height) = SIZE;
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(plot.title)
    );
    draw_axes(&mut out, &x, &y);
    for (i, (name, points)) in series.iter().enumerate() {
        draw_series(&mut out, i, name, points, &x, &y);
    }
    out.push_str("</svg>");
    out
}

/// Horizontal pixels of a share of the axis.
fn across(share: f64) -> f64 {
    MARGIN[0] + share * (SIZE.0 - MARGIN[0] - MARGIN[2])
}

/// Vertical pixels of a share of the axis.
fn down(share: f64) -> f64 {
    SIZE.1 - MARGIN[3] - share * (SIZE.1 - MARGIN[1] - MARGIN[3])
}

fn draw_axes(out: &mut String, x: &Scale, y: &Scale) {
    let (left, right, bottom, top) = (across(0.0), across(1.0), down(0.0), down(1.0));
    for tick in x.ticks() {
        let at = across(x.place(tick));
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            number(tick)
        );
    }
    for tick in y.ticks() {
        let at = down(y.place(tick));
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            at + 4.0,
            number(tick)
        );
    }
    let _ = write!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
         <text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        (left + right) / 2.0,
        SIZE.1 - 8.0,
        escape(x.axis.label),
        (top + bottom) / 2.0,
        escape(y.axis.label)
    );
}

fn draw_series(
    out: &mut String,
    i: usize,
    name: &str,
    points: &[(f64, f64)],
    x: &Scale,
    y: &Scale,
) {
    let colour = COLOURS[i % COLOURS.len()];
    let at = |p: &(f64, f64)| (across(x.place(p.0)), down(y.place(p.1)));
    let path: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = write!(
        out,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
        path.join(" ")
    );
    for (point, (cx, cy)) in points.iter().zip(points.iter().map(at)) {
        let _ = write!(
            out,
            "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3\" fill=\"{colour}\"><title>{}: {}, {}\
             </title></circle>",
            escape(name),
            number(point.0),
            number(point.1)
        );
    }
    let (left, top) = (across(1.0) + 12.0, MARGIN[1] + 8.0 + 18.0 * i as f64);
    let _ = write!(
        out,
        "<rect x=\"{left}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
         <text x=\"{}\" y=\"{}\">{}</text>",
        top - 9.0,
        left + 15.0,
        top,
        escape(name)
    );
}

/// Text that is safe in HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
