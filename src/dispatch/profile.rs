//! Where the time of a program goes, kernel by kernel.

use super::Launch;
use std::fmt;

/// Times of launches, collected by [`Device::profile`](crate::Device::profile).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    rows: Vec<ProfileRow>,
}

/// All launches of one kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileRow {
    /// The kernel.
    pub kernel: &'static str,
    /// How often it ran.
    pub launches: usize,
    /// Time on the device, in nanoseconds.
    pub nanoseconds: f64,
    /// Bytes that had to be moved, by the kernel's cost.
    pub bytes: f64,
    /// Floating-point operations, by the kernel's cost.
    pub flops: f64,
}

impl ProfileRow {
    /// Gigabytes per second.
    pub fn gigabytes_per_second(&self) -> f64 {
        self.bytes / self.nanoseconds.max(1.0)
    }

    /// Gigaflops per second.
    pub fn gigaflops(&self) -> f64 {
        self.flops / self.nanoseconds.max(1.0)
    }
}

impl Profile {
    /// One row a kernel, longest first.
    pub fn rows(&self) -> Vec<ProfileRow> {
        let mut rows = self.rows.clone();
        rows.sort_by(|a, b| b.nanoseconds.total_cmp(&a.nanoseconds));
        rows
    }

    /// The time of all launches, in nanoseconds.
    pub fn nanoseconds(&self) -> f64 {
        self.rows.iter().map(|r| r.nanoseconds).sum()
    }

    /// The number of launches.
    pub fn launches(&self) -> usize {
        self.rows.iter().map(|r| r.launches).sum()
    }

    pub(super) fn add(&mut self, launch: &Launch, nanoseconds: f64) {
        let kernel = launch.kernel.name;
        let cost = launch.cost();
        let at = self.rows.iter().position(|r| r.kernel == kernel).unwrap_or_else(|| {
            self.rows.push(ProfileRow {
                kernel,
                launches: 0,
                nanoseconds: 0.0,
                bytes: 0.0,
                flops: 0.0,
            });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.launches += 1;
        row.nanoseconds += nanoseconds;
        row.bytes += cost.bytes;
        row.flops += cost.flops;
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["kernel", "launches", "ms", "share", "GB/s", "GFLOP/s"];
        let [kernel, launches, ms, share, gb, gflop] = head;
        writeln!(f, "{kernel:<24}{launches:>9}{ms:>11}{share:>8}{gb:>9}{gflop:>9}")?;
        let total = self.nanoseconds().max(1.0);
        for row in self.rows() {
            writeln!(
                f,
                "{:<24}{:>9}{:>11.3}{:>7.1}%{:>9.2}{:>9.2}",
                row.kernel,
                row.launches,
                row.nanoseconds / 1e6,
                row.nanoseconds / total * 100.0,
                row.gigabytes_per_second(),
                row.gigaflops(),
            )?;
        }
        Ok(())
    }
}
