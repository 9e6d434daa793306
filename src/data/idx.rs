//! The IDX format: a magic number, the extents, the values row by row.

use super::gzip::unpack;
use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

/// An array of bytes from an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The extents, outermost first.
    pub shape: Vec<usize>,
    /// The values, row by row.
    pub values: Vec<u8>,
}

/// The type code of unsigned bytes.
const U8: u8 = 8;

impl Idx {
    /// Reads a file of unsigned bytes with `axes` axes, plain or compressed with gzip.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] with what was found and what was expected.
    pub fn open(path: impl AsRef<Path>, axes: usize) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|e| Error::io(path, &e))?;
        Self::parse(&bytes, axes, path)
    }

    /// Reads the bytes of such a file; `path` is what errors name.
    ///
    /// # Errors
    /// [`Error::Format`] with what was found and what was expected.
    pub fn parse(bytes: &[u8], axes: usize, path: impl AsRef<Path>) -> Result<Self> {
        let wrong = |detail: String| Error::format(path.as_ref(), detail);
        let expected = format!("expected an IDX file of u8 values with {axes} axes in it");
        let plain = unpack(bytes);
        let plain = plain.map_err(|e| wrong(format!("damaged gzip ({e}), {expected}")))?;
        parse_plain(&plain, axes).map_err(wrong)
    }
}

fn parse_plain(bytes: &[u8], axes: usize) -> Result<Idx, String> {
    let Ok(most) = u8::try_from(axes) else {
        return Err(format!("expected {axes} axes, but the format ends at {}", u8::MAX));
    };
    let wanted = [0, 0, U8, most];
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(format!("{} bytes, expected an IDX file of u8 values", bytes.len()));
    };
    if *magic != wanted {
        return Err(format!(
            "starts with {magic:02x?}, expected {wanted:02x?}: IDX, u8, {axes} axes"
        ));
    }
    let (extents, values) = rest.split_at_checked(4 * axes).ok_or("ends within its header")?;
    let shape: Vec<usize> = extents
        .chunks_exact(4)
        .map(|e| e.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)))
        .collect();
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    if count != Some(values.len()) {
        let expected = count.map_or("too many".into(), |n| n.to_string());
        return Err(format!("{} values, expected {expected} for shape {shape:?}", values.len()));
    }
    Ok(Idx { shape, values: values.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::Idx;
    use std::io::Write;

    fn file(magic: [u8; 4], extents: &[u32], values: usize) -> Vec<u8> {
        let extents = extents.iter().flat_map(|e| e.to_be_bytes());
        magic.into_iter().chain(extents).chain((0..values).map(|v| v as u8)).collect()
    }

    #[test]
    fn plain_and_gzip() {
        let plain = file([0, 0, 8, 2], &[2, 3], 6);
        let idx = Idx::parse(&plain, 2, "a").unwrap();
        assert_eq!((idx.shape.as_slice(), idx.values.len()), ([2usize, 3].as_slice(), 6));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&plain).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(Idx::parse(&gzip, 2, "a").unwrap(), idx);
        for end in 0..gzip.len() {
            Idx::parse(&gzip[..end], 2, "a").unwrap_err();
        }
    }

    #[test]
    fn archives_of_several_members() {
        use crate::data::gzip::tests::pack;
        let plain = file([0, 0, 8, 2], &[2, 3], 6);
        let two = [pack(&plain[..7]), pack(&plain[7..]), vec![0; 9]].concat();
        assert_eq!(Idx::parse(&two, 2, "a").unwrap(), Idx::parse(&plain, 2, "a").unwrap());
        let refused = Idx::parse(&[two, vec![1]].concat(), 2, "a").unwrap_err();
        assert!(refused.to_string().contains("after its end"), "{refused}");
    }

    #[test]
    fn no_file_has_256_axes() {
        for axes in [256, 257, usize::MAX] {
            let refused = Idx::parse(&file([0, 0, 8, axes as u8], &[], 1), axes, "a").unwrap_err();
            assert!(refused.to_string().contains("the format ends at 255"), "{refused}");
        }
    }

    #[test]
    fn errors_say_what_was_expected() {
        let message = |bytes: &[u8]| Idx::parse(bytes, 3, "x.gz").unwrap_err().to_string();
        assert!(message(&[]).contains("x.gz: 0 bytes"));
        assert!(message(b"PK\x03\x04aaaa").contains("expected [00, 00, 08, 03]"));
        assert!(message(&file([0, 0, 8, 3], &[2, 2], 0)).contains("header"));
        let short = message(&file([0, 0, 8, 3], &[2, 2, 2], 7));
        assert!(short.contains("7 values, expected 8 for shape [2, 2, 2]"), "{short}");
        assert!(message(&file([0, 0, 8, 3], &[u32::MAX; 3], 7)).contains("too many"));
    }
}
