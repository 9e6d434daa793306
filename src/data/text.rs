//! Text files.

use super::gzip::unpack;
use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

/// A text and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The name of its file.
    pub name: String,
    /// The text.
    pub text: String,
}

/// The five books of Moses in the King James version (1611, public domain), one verse a line, as
/// Debian's `bible-kjv` prints them: 863,164 bytes. It ships with the crate.
///
/// # Errors
/// None, as long as the crate is whole.
pub fn king_james() -> Result<Text> {
    const PENTATEUCH: &[u8] = include_bytes!("../../assets/text/kjv-pentateuch.txt.gz");
    Text::parse(PENTATEUCH, "kjv-pentateuch.txt.gz")
}

impl Text {
    /// Reads a UTF-8 file, plain or compressed with gzip. A byte order mark at its start is no part of
    /// the text; everything else is, ends of lines as they are.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a damaged archive, for an empty text, and for bytes that
    /// are no UTF-8, with their position.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|e| Error::io(path, &e))?;
        Self::parse(&bytes, path)
    }

    /// Reads the bytes of such a file; `path` is what errors name.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), apart from [`Error::Io`].
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let plain =
            unpack(bytes).map_err(|e| Error::format(path, format!("damaged gzip ({e})")))?;
        let text = std::str::from_utf8(&plain).map_err(|e| {
            let at = e.valid_up_to();
            let byte = plain.get(at).copied().unwrap_or(0);
            let detail = format!("no UTF-8: byte {byte:#04x} at position {at}; expected a text");
            Error::format(path, detail)
        })?;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        if text.is_empty() {
            return Err(Error::format(path, "empty, expected a text"));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { name, text: text.into() })
    }

    /// The first `part` of the characters, between 0 and 1, and the rest.
    pub fn split(&self, part: f64) -> (&str, &str) {
        let characters = self.text.chars().count();
        let first = (characters as f64 * part.clamp(0.0, 1.0)) as usize;
        let at = self.text.char_indices().nth(first).map_or(self.text.len(), |(at, _)| at);
        self.text.split_at(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_text_is_whole() {
        let text = king_james().expect("the crate is whole");
        assert_eq!(text.text.len(), 863_164);
        assert!(text.text.starts_with("Ge1:1 In the beginning God created"));
        let (train, test) = text.split(0.9);
        assert_eq!((train.len(), test.len()), (776_847, 86_317));
    }

    #[test]
    fn what_is_no_text_is_named() {
        let error = |bytes: &[u8]| Text::parse(bytes, "file.txt").expect_err("bad").to_string();
        assert_eq!(error(b""), "file.txt: empty, expected a text");
        let latin = error(b"caf\xe9 au lait");
        assert_eq!(latin, "file.txt: no UTF-8: byte 0xe9 at position 3; expected a text");
        assert!(error(&[0x1F, 0x8B, 8, 0]).starts_with("file.txt: damaged gzip"));
    }

    #[test]
    fn archives_of_several_members_and_marks() {
        use crate::data::gzip::tests::pack;
        let packed = [pack(b"\xEF\xBB\xBFfirst\r\n"), pack(b"second")].concat();
        let text = Text::parse(&packed, "two.gz").expect("whole");
        assert_eq!(text.text, "first\r\nsecond");
        let rubbish = Text::parse(&[&packed[..], b"third"].concat(), "two.gz").expect_err("bad");
        assert_eq!(rubbish.to_string(), "two.gz: damaged gzip (other bytes after its end)");
        assert!(Text::parse(b"\xEF\xBB\xBF", "mark").is_err());
    }

    #[test]
    fn a_split_counts_characters() {
        let text = Text { name: "t".into(), text: "天地玄黃宇宙洪荒".into() };
        assert_eq!(text.split(0.25), ("天地", "玄黃宇宙洪荒"));
        assert_eq!(text.split(2.0).1, "");
    }
}
