//! What a slow build is told.

use std::sync::Once;

/// Warns once that the host's loops are not optimised, if they are not.
pub(super) fn advise(unoptimised: bool) {
    static ONCE: Once = Once::new();
    if unoptimised {
        ONCE.call_once(|| {
            log::warn!(
                "spikegrad is built without optimisation: its host device is very slow. Add to Cargo.toml, on two lines:\n\
                 [profile.dev.package.\"*\"]\nopt-level = 3"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::advise;
    use std::process::Command;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Count;

    static WARNINGS: AtomicUsize = AtomicUsize::new(0);

    impl log::Log for Count {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            let advice = record.args().to_string();
            if record.level() == log::Level::Warn && advice.contains("[profile.dev.package.") {
                WARNINGS.fetch_add(1, Ordering::SeqCst);
            }
        }
        fn flush(&self) {}
    }

    /// In a process of its own: other tests open devices before this one has a logger.
    #[test]
    fn an_unoptimised_host_warns_once() {
        const CHILD: &str = "SPIKEGRAD_TEST_ADVICE";
        if std::env::var_os(CHILD).is_none() {
            let test = "device::advice::tests::an_unoptimised_host_warns_once";
            let mut child = Command::new(std::env::current_exe().unwrap());
            let child = child.args([test, "--exact"]).env(CHILD, "1").output().unwrap();
            assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
            return;
        }
        log::set_logger(&Count).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        let warnings = || WARNINGS.load(Ordering::SeqCst);
        advise(false);
        assert_eq!(warnings(), 0);
        let (_host, _oracle) = (crate::Device::host(), crate::Device::oracle());
        assert_eq!(warnings(), usize::from(cfg!(unoptimised)));
        advise(true);
        advise(true);
        assert_eq!(warnings(), 1);
    }
}
