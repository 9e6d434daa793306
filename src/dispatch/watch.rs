//! Indices out of range: where a launch that looks at indices says so, and who asks.
//!
//! A launch cannot fail by what a tensor holds. It leaves a note in a few words of memory instead. On
//! the host these are its own, and looked at right after it; on a GPU all launches share them, and
//! they come back with whatever is read next.

use super::{Bind, Bound, Memory};
use crate::error::{Error, Result};
use crate::host::Array;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The words of a note: site (0 if nothing was found), place, index, and what it should be below.
pub(super) const WORDS: usize = 4;

/// The operator that takes indices, and what it calls one.
type Site = (&'static str, &'static str);

/// Who may leave a note, and the note of a GPU.
#[derive(Debug)]
pub(crate) struct Watch {
    on: AtomicBool,
    note: OnceLock<Memory>,
    sites: Mutex<Vec<Site>>,
}

/// The note as a binding.
pub(crate) struct Note(pub(super) Bound);

impl Bind for Note {
    fn bound(&self) -> Bound {
        self.0.clone()
    }
}

impl Note {
    fn of(memory: Memory) -> Self {
        let bytes = WORDS as u64 * 4;
        Self(Bound { memory, real: false, halves: false, words: WORDS, bytes, storage: None })
    }
}

impl Watch {
    pub(super) fn new(on: bool) -> Self {
        Self { on: AtomicBool::new(on), note: OnceLock::new(), sites: Mutex::default() }
    }

    pub(super) fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// The number of a site; from 1 on.
    pub(super) fn site(&self, site: Site) -> u32 {
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sites.iter().position(|known| *known == site);
        let at = found.unwrap_or_else(|| {
            sites.push(site);
            sites.len() - 1
        });
        at as u32 + 1
    }

    /// The note that all launches share; its memory, zeros, is made by `make` the first time.
    pub(super) fn shared(&self, make: impl FnOnce() -> Result<Memory>) -> Result<Note> {
        if let Some(memory) = self.note.get() {
            return Ok(Note::of(memory.clone()));
        }
        let made = make()?;
        Ok(Note::of(self.note.get_or_init(|| made).clone()))
    }

    /// The memory of the shared note, if anybody ever asked for it.
    pub(super) fn memory(&self) -> Option<&Memory> {
        self.note.get()
    }

    /// What a note says.
    pub(super) fn verdict(&self, note: &Array) -> Result<()> {
        let &[site, place, index, below] = (match note {
            Array::Words(words) => words.as_slice(),
            _ => &[],
        }) else {
            return Ok(());
        };
        let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((op, what)) = (site as usize).checked_sub(1).and_then(|at| sites.get(at)) else {
            return Ok(());
        };
        Err(Error::index((op, what), index, place as usize, below as usize))
    }
}
