//! From equations to their driver.

use super::definition::sort;
use super::drivers::{Driver, driver};
use super::equations::Equations;
use super::kernels::kernels;
use super::params::MOST;
use crate::error::{Error, Result};
use crate::lif::Surrogate;

/// The most spikes of a step.
const MOST_FIRES: usize = 4;

/// What equations make: the driver, and the numbers of their parameters, states and surrogates.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) driver: &'static Driver,
    pub(crate) values: [f32; MOST],
    pub(crate) initial: Vec<f32>,
}

/// The driver of equations.
pub(crate) fn make(op: &'static str, name: &str, equations: Equations) -> Result<Made> {
    let mut written = equations.finish(op)?;
    let wrong = |detail: String| Err(Error::argument(op, detail));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(plain) {
        let allowed = "a to z, and after the first letter 0 to 9 and _";
        return wrong(format!("the name `{name}`: allowed are {allowed}"));
    }
    if written.states.is_empty() {
        return wrong("there is no state".into());
    }
    if written.surrogates.len() > MOST_FIRES {
        return wrong(format!("{} spikes, at most {MOST_FIRES}", written.surrogates.len()));
    }
    sort(&mut written);
    let parameters = written.parameters.iter().map(|(_, value)| *value);
    let of_surrogates = written.surrogates.iter().map(|s| Surrogate::parameter(*s));
    let numbers = written.parameters.len() + written.surrogates.len();
    if numbers > MOST {
        return wrong(format!("{numbers} parameters and spikes, at most {MOST}"));
    }
    let mut values = [0.0; MOST];
    values.iter_mut().zip(parameters.chain(of_surrogates)).for_each(|(to, value)| *to = value);
    let initial = written.states.iter().map(|(_, value)| *value).collect();
    Ok(Made { driver: driver(name, written, kernels), values, initial })
}
