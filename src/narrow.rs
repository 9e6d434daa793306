//! Options are given as f64 and used as f32: they are checked as what they are used as.
//!
//! A number that is positive in f64 may be 0 in f32, or subnormal, which an adapter may take for 0; a
//! large one may be infinite, and one below 1 may be 1.

use crate::error::{Error, Result};

/// A number above 0: a normal f32.
pub(crate) fn positive(op: &'static str, what: &str, value: impl Into<f64>) -> Result<f32> {
    let value = value.into();
    let single = value as f32;
    let allowed = "positive numbers that f32 holds in full, about 1.2e-38 to 3.4e38";
    checked(single.is_normal() && single > 0.0, op, what, value, allowed)
}

/// A finite number of either sign.
pub(crate) fn finite(op: &'static str, what: &str, value: impl Into<f64>) -> Result<f32> {
    let value = value.into();
    checked((value as f32).is_finite(), op, what, value, "finite numbers of f32")
}

/// 0 or a finite number above it. What f32 rounds to 0 counts as 0.
pub(crate) fn not_negative(op: &'static str, what: &str, value: impl Into<f64>) -> Result<f32> {
    let value = value.into();
    let sound = value >= 0.0 && (value as f32).is_finite();
    checked(sound, op, what, value, "0 and finite numbers of f32 above it")
}

/// A decay rate: 0 and more, and less than 1 in f32.
pub(crate) fn below_one(op: &'static str, what: &str, value: impl Into<f64>) -> Result<f32> {
    let value = value.into();
    let sound = value >= 0.0 && (value as f32) < 1.0;
    checked(sound, op, what, value, "0 to below 1, which f32 tells from 1 down to 1 - 3e-8")
}

fn checked(sound: bool, op: &'static str, what: &str, value: f64, allowed: &str) -> Result<f32> {
    if sound {
        return Ok(value as f32);
    }
    Err(Error::argument(op, format!("{what} {value}, allowed are {allowed}")))
}

#[cfg(test)]
mod tests {
    use super::{below_one, finite, not_negative, positive};

    #[test]
    fn what_f32_makes_of_it_counts() {
        for bad in [0.0, -1.0, 1e-60, 1e-40, 1e39, f64::INFINITY, f64::NAN] {
            assert!(positive("test", "number", bad).is_err(), "{bad}");
        }
        assert_eq!(positive("test", "number", 1e-37).unwrap(), 1e-37);
        assert!(finite("test", "number", -1e39).is_err());
        assert!(not_negative("test", "number", 1e39).is_err());
        assert!(not_negative("test", "number", -1e-60).is_err());
        assert_eq!(not_negative("test", "number", 1e-60).unwrap(), 0.0);
        assert!(below_one("test", "number", 1.0 - 1e-9).is_err());
        assert!(below_one("test", "number", 0.999_999).is_ok());
    }
}
