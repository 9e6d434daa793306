//! The table, the JSON file and the HTML report.

use crate::harness::{Row, Suite};
use crate::plot::{Axis, Plot, Series, draw, escape};
use crate::text::{digits, number, size, time};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

const fn linear(label: &'static str) -> Axis {
    Axis { label, logarithmic: false }
}

const fn logarithmic(label: &'static str) -> Axis {
    Axis { label, logarithmic: true }
}

/// The plots of the report, in order.
const PLOTS: &[Plot] = &[
    Plot {
        id: "bandwidth",
        title: "Copy bandwidth by size",
        x: logarithmic("bytes moved"),
        y: linear("GB/s"),
    },
    Plot {
        id: "matmul",
        title: "Matrix product: rate by size (n x n x n)",
        x: logarithmic("n"),
        y: linear("GFLOP/s"),
    },
    Plot {
        id: "lif",
        title: "LIF: time by T at fixed T B N",
        x: logarithmic("T"),
        y: linear("ms"),
    },
    Plot {
        id: "attention",
        title: "Attention, 4 heads of 64, W = 256: forward and backward by S",
        x: logarithmic("S"),
        y: logarithmic("ms"),
    },
    Plot {
        id: "spike product",
        title: "Attention on spikes (8 heads of 64): time by S",
        x: logarithmic("S"),
        y: logarithmic("ms"),
    },
    Plot {
        id: "decode",
        title: "Decoding a token (12 heads of 64, W = 256): time by position",
        x: logarithmic("position"),
        y: logarithmic("us"),
    },
    Plot {
        id: "scan",
        title: "Scans, forward: share of the copy bandwidth by T at fixed T B N",
        x: logarithmic("T"),
        y: linear("%"),
    },
    Plot {
        id: "models",
        title: "Language models, one token decoded: time by position",
        x: logarithmic("position"),
        y: linear("ms"),
    },
    Plot {
        id: "fourier",
        title: "Fourier transforms: rate by length",
        x: logarithmic("points"),
        y: linear("GB/s"),
    },
    Plot {
        id: "step",
        title: "Training step, linear + LIF (B = 32, N = 256): time by T",
        x: logarithmic("T"),
        y: logarithmic("ms"),
    },
];

/// The heading of the table.
pub fn print_head() {
    println!(
        "{:<26}{:<24}{:>11}{:>9}{:>10}{:>10}{:>9}{:>10}",
        "kernel", "shape", "time", "GB/s", "GFLOP/s", "roofline", "launches", "held"
    );
}

/// One line of the table.
pub fn print_row(row: &Row) {
    println!(
        "{:<26}{:<24}{:>11}{:>9.2}{:>10.2}{:>10}{:>9}{:>10}",
        row.kernel,
        row.shape,
        time(row.median),
        row.gigabytes(),
        row.gigaflops(),
        share(row),
        row.launches,
        size(row.held as usize),
    );
}

fn share(row: &Row) -> String {
    row.roofline.map_or("-".into(), |f| format!("{:.0} %", f * 100.0))
}

/// Writes the files that were asked for.
///
/// # Errors
/// A file that cannot be written, by name.
pub fn write(suite: &Suite) -> Result<(), String> {
    let put = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
    };
    if let Some(path) = &suite.options.json {
        put(path, format!("{:#}\n", as_json(suite)))?;
    }
    if let Some(path) = &suite.options.html {
        put(path, as_html(suite))?;
    }
    Ok(())
}

fn as_json(suite: &Suite) -> Value {
    let rows: Vec<Value> = suite.rows.iter().map(row_json).collect();
    let figures: Vec<Value> = suite
        .figures
        .iter()
        .map(|f| json!({"name": f.name, "value": f.value, "unit": f.unit}))
        .collect();
    let points: Vec<Value> = suite
        .points
        .iter()
        .map(|p| json!({"plot": p.plot, "series": p.series, "x": p.x, "y": p.y}))
        .collect();
    json!({
        "suite": "spikegrad",
        "version": env!("CARGO_PKG_VERSION"),
        "device": suite.device.name(),
        "timestamps": suite.device.capabilities().timestamps.is_some(),
        "quick": suite.options.quick,
        "roofline": {
            "copies": suite.roofline.copies.iter().map(|(bytes, rate)| {
                json!({"bytes": bytes, "gigabytes_per_second": rate})
            }).collect::<Vec<_>>(),
            "gigaflops": suite.roofline.flops,
        },
        "rows": rows,
        "figures": figures,
        "points": points,
        "failures": suite.failures,
    })
}

fn row_json(row: &Row) -> Value {
    json!({
        "family": row.family,
        "kernel": row.kernel,
        "shape": row.shape,
        "median_ns": row.median,
        "min_ns": row.fastest,
        "bytes": row.bytes,
        "flops": row.flops,
        "gigabytes_per_second": row.gigabytes(),
        "gigaflops": row.gigaflops(),
        "roofline": row.roofline,
        "launches": row.launches,
        "held_bytes": row.held,
    })
}

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem;
  color: #1c1c1c; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .6rem; text-align: right; border-bottom: 1px solid #e4e4e4 }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }
td.bar { background: linear-gradient(90deg, #cfe3f1 var(--share), transparent var(--share)) }
svg { width: 100%; max-width: 48rem } svg text { font-size: 11px; fill: #444 }
.grid { stroke: #e2e2e2 } .note { color: #666 }";

fn as_html(suite: &Suite) -> String {
    let mut body = String::new();
    let device = escape(suite.device.name());
    // Writing to a string cannot fail.
    let _ = write!(
        body,
        "<h1>spikegrad {}: benchmarks</h1><p>Device: {device}. Times are {}; medians of repeats \
         after a warm-up.</p>",
        env!("CARGO_PKG_VERSION"),
        if suite.device.capabilities().timestamps.is_some() {
            "device timestamps"
        } else {
            "wall clock"
        },
    );
    html_roofline(&mut body, suite);
    html_plots(&mut body, suite);
    html_figures(&mut body, suite);
    if !suite.failures.is_empty() {
        let items: Vec<String> =
            suite.failures.iter().map(|f| format!("<li>{}</li>", escape(f))).collect();
        let _ = write!(body, "<h2>Did not run</h2><ul>{}</ul>", items.join(""));
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>spikegrad: \
         benchmarks on {device}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
}

fn html_roofline(out: &mut String, suite: &Suite) {
    let roofline = &suite.roofline;
    let _ = write!(
        out,
        "<h2>Kernels</h2><p class=\"note\">Roofline: {} GB/s (copy kernel, largest size), {} \
         GFLOP/s (FMA kernel), both measured in this run. A share above 100 % means that the work \
         reads more than it writes, or fits a cache better than the copy does.</p><table><tr><th>kernel</th><th>shape</th>\
         <th>time</th><th>GB/s</th><th>GFLOP/s</th><th>of roofline</th><th>launches</th>\
         <th>held</th></tr>",
        number(roofline.bandwidth(f64::INFINITY)),
        number(roofline.flops),
    );
    for row in &suite.rows {
        let bar = row.roofline.unwrap_or(0.0).clamp(0.0, 1.0) * 100.0;
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.2}</td><td>{:.2}</td><td class=\"bar\" \
             style=\"--share:{bar:.0}%\">{}</td><td>{}</td><td>{}</td></tr>",
            escape(&row.kernel),
            escape(&row.shape),
            time(row.median),
            row.gigabytes(),
            row.gigaflops(),
            share(row),
            row.launches,
            size(row.held as usize),
        );
    }
    out.push_str("</table>");
}

fn html_plots(out: &mut String, suite: &Suite) {
    for plot in PLOTS {
        let mut series: Vec<Series<'_>> = Vec::new();
        for point in suite.points.iter().filter(|p| p.plot == plot.id) {
            match series.iter_mut().find(|(name, _)| *name == point.series) {
                Some((_, points)) => points.push((point.x, point.y)),
                None => series.push((&point.series, vec![(point.x, point.y)])),
            }
        }
        if !series.is_empty() {
            let _ = write!(out, "<h2>{}</h2>{}", escape(plot.title), draw(plot, &series));
        }
    }
}

/// Costs and whole steps, with a bar each among those of the same unit.
fn html_figures(out: &mut String, suite: &Suite) {
    if suite.figures.is_empty() {
        return;
    }
    out.push_str("<h2>Launch costs and whole steps</h2><table><tr><th>what</th><th>unit</th><th>value</th></tr>");
    for figure in &suite.figures {
        let same = suite.figures.iter().filter(|f| f.unit == figure.unit);
        let largest = same.map(|f| f.value).fold(f64::MIN_POSITIVE, f64::max);
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"bar\" style=\"--share:{:.0}%\">{}</td></tr>",
            escape(&figure.name),
            figure.unit,
            figure.value / largest * 100.0,
            digits(figure.value),
        );
    }
    out.push_str("</table>");
}
