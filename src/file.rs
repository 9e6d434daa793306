//! Files that are replaced as a whole.

use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes `bytes` to a temporary file of its own, flushes it to the disk and renames it to `path`: a
/// crash at any moment leaves the old file or the new one, and of several writers one after another
/// wins with a whole file. A link is followed: what it points at is replaced.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: io::Error| Error::io(path, &e);
    let path = target(path).map_err(failed)?;
    let Some(name) = path.file_name() else {
        return Err(Error::Io { path, message: "names no file".into() });
    };
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (temporary, mut file) = create(folder, &name.to_string_lossy()).map_err(failed)?;
    let mut write = || {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    if let Err(e) = write() {
        let _ = fs::remove_file(&temporary);
        return Err(failed(e));
    }
    // The new name is on the disk only with its folder; other systems cannot open one.
    #[cfg(unix)]
    File::open(folder).and_then(|f| f.sync_all()).map_err(failed)?;
    Ok(())
}

/// 64-bit FNV-1a from `start` on: each step is one to one, so that one changed byte always shows. It
/// finds accidents, not forgeries.
pub(crate) fn checksum(start: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.into_iter().fold(start, step)
}

/// Where a [`checksum`] starts.
pub(crate) const START: u64 = 0xCBF2_9CE4_8422_2325;

/// Creates a file that no other writer has: the process and a count tell writers of one machine
/// apart, and a name that is taken all the same (by another machine, by a run that was killed) is
/// left alone. The name is a short one, whatever the length of `name`.
fn create(folder: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (process, start): (u32, String) = (std::process::id(), name.chars().take(24).collect());
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".{start}.{process}-{count}.tmp"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (path, file)),
        }
    }
}

/// Where a path leads through links, whether there is a file or not.
fn target(path: &Path) -> io::Result<PathBuf> {
    /// The most links that a path leads through, as on Linux.
    const LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            // No link, or nothing there.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("leads through too many links"))
}
