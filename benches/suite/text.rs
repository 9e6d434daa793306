//! Numbers as a reader wants them.

/// A time in a unit that keeps its digits.
pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        t if t < 1e6 => format!("{:.1} us", t / 1e3),
        t if t < 1e9 => format!("{:.2} ms", t / 1e6),
        t => format!("{:.2} s", t / 1e9),
    }
}

/// A number with three digits behind the point, or as a power of ten where these would not show it.
pub fn digits(value: f64) -> String {
    match value.abs() {
        size if size != 0.0 && size < 0.01 => format!("{value:.1e}"),
        size if size >= 1000.0 => format!("{value:.0}"),
        _ => format!("{value:.3}"),
    }
}

/// A number of bytes in words.
pub fn size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 => format!("{} MiB", number((b as f64) / f64::from(1 << 20))),
        b if b >= 1 << 10 => format!("{} KiB", number((b as f64) / 1024.0)),
        b => format!("{b} B"),
    }
}

/// A number in at most three or four digits.
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".into(),
        s if !(1e-3..1e6).contains(&s) => format!("{value:.0e}"),
        s if s >= 100.0 || (s >= 1.0 && value.fract() == 0.0) => format!("{value:.0}"),
        s if s >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}").trim_end_matches('0').to_string(),
    }
}
