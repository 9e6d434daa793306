//! What the library warns of.

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Writes the crate's warnings to stderr.
struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn && metadata.target().starts_with("spikegrad")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            for line in record.args().to_string().lines() {
                eprintln!("warning: {line}");
            }
        }
    }

    fn flush(&self) {}
}

/// Lets the library's warnings be seen: it writes to `log` alone, and shows nothing by itself.
pub fn start() {
    // Fails where there is a logger, which shows them.
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
