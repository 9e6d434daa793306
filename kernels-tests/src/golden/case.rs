//! A golden case: one JSON file, and comparisons that name the worst element.
//!
//! What a case does not hold is an option that is off, or an output that was not recorded. A case of
//! which nothing is compared has not passed.

use serde_json::Value;
use spikegrad::{Device, Tape, Tensor, Var};
use std::cell::Cell;
use std::path::Path;

/// Why a case did not pass, in one line.
pub type Failure = String;

/// A case, read.
#[derive(Debug)]
pub struct Case {
    /// The file's name.
    pub name: String,
    root: Value,
    compared: Cell<usize>,
}

/// A real array of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Its extents.
    pub shape: Vec<usize>,
    /// Its elements, row by row.
    pub data: Vec<f64>,
}

impl Case {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, holds no JSON object, or names no `op`.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        Self::parse(&path.file_name().unwrap_or_default().to_string_lossy(), &text)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// A text that holds no JSON object, or names no `op`.
    pub fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let root: Value = serde_json::from_str(text).map_err(|e| format!("no JSON: {e}"))?;
        if root.get("op").and_then(Value::as_str).is_none() {
            return Err("no `op`".into());
        }
        Ok(Self { name: name.into(), root, compared: Cell::new(0) })
    }

    /// The operator's name.
    pub fn op(&self) -> &str {
        self.root["op"].as_str().unwrap_or_default()
    }

    /// The value under a dotted path (`params.lam`), if it is there and not null.
    pub fn find(&self, path: &str) -> Option<&Value> {
        let mut at = &self.root;
        for key in path.split('.') {
            at = at.get(key)?;
        }
        (!at.is_null()).then_some(at)
    }

    /// The value under a dotted path.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, path: &str) -> Result<&Value, Failure> {
        self.find(path).ok_or_else(|| format!("no `{path}`"))
    }

    /// The keys that are `prefix` and a number, with the number: `ns5`.
    pub fn numbered(&self, prefix: &str) -> Vec<(String, usize)> {
        let keys = self.root.as_object().into_iter().flat_map(|object| object.keys());
        let number = |key: &String| Some((key.clone(), key.strip_prefix(prefix)?.parse().ok()?));
        keys.filter_map(number).collect()
    }

    /// A number.
    ///
    /// # Errors
    /// There is none.
    pub fn number(&self, path: &str) -> Result<f64, Failure> {
        self.get(path)?.as_f64().ok_or_else(|| format!("`{path}` is no number"))
    }

    /// A number, or `default` where there is none.
    ///
    /// # Errors
    /// It is no number.
    pub fn number_or(&self, path: &str, default: f64) -> Result<f64, Failure> {
        self.find(path).map_or(Ok(default), |_| self.number(path))
    }

    /// A text.
    ///
    /// # Errors
    /// There is none.
    pub fn text(&self, path: &str) -> Result<&str, Failure> {
        self.get(path)?.as_str().ok_or_else(|| format!("`{path}` is no text"))
    }

    /// A truth value.
    ///
    /// # Errors
    /// There is none.
    pub fn flag(&self, path: &str) -> Result<bool, Failure> {
        self.get(path)?.as_bool().ok_or_else(|| format!("`{path}` is neither true nor false"))
    }

    /// Whether an option is on: not where it is absent.
    ///
    /// # Errors
    /// It is neither true nor false.
    pub fn is_on(&self, path: &str) -> Result<bool, Failure> {
        self.find(path).map_or(Ok(false), |_| self.flag(path))
    }

    /// A real array: `{"shape", "data"}`, a plain list, or a number.
    ///
    /// # Errors
    /// There is none, or its shape does not fit its data.
    pub fn values(&self, path: &str) -> Result<Values, Failure> {
        let value = self.get(path)?;
        let wrong = || format!("`{path}` is no real array");
        let numbers = |list: &Value| -> Option<Vec<f64>> {
            list.as_array()?.iter().map(Value::as_f64).collect()
        };
        if let Some(number) = value.as_f64() {
            return Ok(Values { shape: vec![1], data: vec![number] });
        }
        if value.is_array() {
            let data = numbers(value).ok_or_else(wrong)?;
            return Ok(Values { shape: vec![data.len()], data });
        }
        let data = value.get("data").and_then(numbers).ok_or_else(wrong)?;
        let shape = value.get("shape").and_then(numbers).ok_or_else(wrong)?;
        let shape: Vec<usize> = shape.into_iter().map(|d| d as usize).collect();
        if shape.iter().product::<usize>() != data.len() {
            return Err(format!("`{path}`: {} values for shape {shape:?}", data.len()));
        }
        Ok(Values { shape, data })
    }

    /// A real array, if there is one.
    ///
    /// # Errors
    /// Its shape does not fit its data.
    pub fn optional(&self, path: &str) -> Result<Option<Values>, Failure> {
        self.find(path).map(|_| self.values(path)).transpose()
    }

    /// A leaf with the elements of an array, if there is one.
    ///
    /// # Errors
    /// Those of [`optional`](Self::optional) and of the device.
    pub fn leaf(&self, path: &str, tape: &Tape, device: &Device) -> Result<Option<Var>, Failure> {
        let values = self.optional(path)?;
        values.map(|values| Ok(tape.leaf(&values.tensor(device)?))).transpose()
    }

    /// Compares `found` with the array at `path`, if one is recorded: every element within
    /// `tolerance` of the largest.
    ///
    /// # Errors
    /// The worst element.
    pub fn close(&self, path: &str, found: &[f64], tolerance: f64) -> Result<(), Failure> {
        let scale = self.optional(path)?.map_or(0.0, |v| largest(&v.data));
        self.within(path, found, |_, _| tolerance * scale)
    }

    /// Likewise, with a tolerance of its own for every element, by its place and its value.
    ///
    /// # Errors
    /// The worst element.
    pub fn within(
        &self,
        path: &str,
        found: &[f64],
        tolerance: impl Fn(usize, f64) -> f64,
    ) -> Result<(), Failure> {
        let Some(expected) = self.optional(path)? else { return Ok(()) };
        self.saw();
        within(path, found, &expected.data, tolerance)
    }

    /// Notes that something was compared.
    pub fn saw(&self) {
        self.compared.set(self.compared.get() + 1);
    }

    /// Whether anything was compared.
    pub fn is_compared(&self) -> bool {
        self.compared.get() > 0
    }
}

/// The largest of some values, by magnitude, and at least next to nothing.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().fold(1e-30, |m: f64, v| m.max(v.abs()))
}

/// A parameter that many elements share: of the gradient of each of its elements, the sum of the
/// magnitudes of the terms.
///
/// Each of `terms` has a gradient for every element of the longest; element `i` of these belongs to
/// element `i % count` of the parameter.
pub fn magnitudes(terms: &[Vec<f64>], count: usize) -> Vec<f64> {
    let mut sums = vec![0.0; count];
    for step in terms {
        for (i, term) in step.iter().enumerate() {
            sums[i % count] += term.abs();
        }
    }
    sums
}

impl Values {
    /// A tensor with these elements.
    ///
    /// # Errors
    /// Those of [`Tensor::from_slice`].
    pub fn tensor(&self, device: &Device) -> Result<Tensor, Failure> {
        Tensor::from_slice(device, &self.data, &self.shape).map_err(|e| e.to_string())
    }

    /// Step `t` of the leading axis.
    ///
    /// # Errors
    /// There is no such step.
    pub fn step(&self, t: usize) -> Result<Values, Failure> {
        let shape = self.shape.get(1..).ok_or("no leading axis")?.to_vec();
        let row: usize = shape.iter().product();
        let data = self.data.get(t * row..(t + 1) * row).ok_or_else(|| format!("no step {t}"))?;
        Ok(Values { shape, data: data.to_vec() })
    }

    /// The same elements in another shape.
    #[must_use]
    pub fn shaped(self, shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), ..self }
    }
}

/// Compares every element: within `tolerance` of the largest expected value.
///
/// # Errors
/// The worst element.
pub fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) -> Result<(), Failure> {
    let scale = largest(expected);
    within(what, found, expected, |_, _| tolerance * scale)
}

/// Compares every element with a tolerance of its own, by its place and its expected value.
///
/// # Errors
/// The worst element, or that there are more or fewer.
pub fn within(
    what: &str,
    found: &[f64],
    expected: &[f64],
    tolerance: impl Fn(usize, f64) -> f64,
) -> Result<(), Failure> {
    if found.len() != expected.len() {
        return Err(format!("{what}: {} elements, not {}", found.len(), expected.len()));
    }
    let excess = |(i, (a, b)): (usize, (&f64, &f64))| {
        let over = (a - b).abs() / tolerance(i, *b).max(f64::MIN_POSITIVE);
        (i, if over.is_nan() { f64::INFINITY } else { over })
    };
    let ranked = found.iter().zip(expected).enumerate().map(excess);
    match ranked.max_by(|a, b| a.1.total_cmp(&b.1)) {
        Some((i, over)) if over > 1.0 => Err(format!(
            "{what}: element {i} is {:e}, should be {:e} ({over:.1} times the tolerance)",
            found[i], expected[i]
        )),
        _ => Ok(()),
    }
}

/// Reads a tensor back.
///
/// # Errors
/// Those of the device.
pub fn read(tensor: &Tensor) -> Result<Vec<f64>, Failure> {
    tensor.to_vec::<f64>().map_err(|e| e.to_string())
}

/// An error of the crate, as a failure.
pub fn failed(error: spikegrad::Error) -> Failure {
    error.to_string()
}
