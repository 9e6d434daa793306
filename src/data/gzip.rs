//! Archives of gzip.

use flate2::bufread::GzDecoder;
use std::borrow::Cow;
use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// What an archive starts with.
pub(super) const MAGIC: [u8; 2] = [0x1F, 0x8B];

/// The contents of an archive of one member or several, which are one text after another. Zeros that
/// fill up its end are skipped, as gzip does; other bytes there are an error.
pub(super) struct Unpacked<R> {
    /// None at the end.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Unpacked<R> {
    pub(super) fn new(source: R) -> Self {
        Self { member: Some(GzDecoder::new(source)) }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while let Some(mut member) = self.member.take() {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                self.member = Some(member);
                return Ok(read);
            }
            let mut source = member.into_inner();
            if !at_end(&mut source)? {
                self.member = Some(GzDecoder::new(source));
            }
        }
        Ok(0)
    }
}

/// Whether nothing comes after a member, or only zeros.
fn at_end(source: &mut impl BufRead) -> Result<bool> {
    let mut zeros = false;
    loop {
        let rest = source.fill_buf()?;
        match rest.iter().find(|byte| **byte != 0) {
            None if rest.is_empty() => return Ok(true),
            None => {
                let count = rest.len();
                zeros = true;
                source.consume(count);
            }
            Some(_) if !zeros && rest[0] == MAGIC[0] => return Ok(false),
            Some(_) => {
                return Err(Error::new(ErrorKind::InvalidData, "other bytes after its end"));
            }
        }
    }
}

/// The bytes of a file, out of its archive if it is one.
pub(super) fn unpack(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    if !bytes.starts_with(&MAGIC) {
        return Ok(bytes.into());
    }
    let mut plain = Vec::new();
    Unpacked::new(bytes).read_to_end(&mut plain)?;
    Ok(plain.into())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::{BufReader, Write};

    pub(in crate::data) fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn members_zeros_and_rubbish() {
        let two = [pack(b"one, "), pack(b""), pack(b"two")].concat();
        assert_eq!(*unpack(&two).unwrap(), *b"one, two");
        assert_eq!(*unpack(b"plain").unwrap(), *b"plain");
        assert_eq!(*unpack(&[&two[..], &[0; 512]].concat()).unwrap(), *b"one, two");
        for rubbish in [&b"x"[..], &[0, 0, 1], &MAGIC, &MAGIC[..1], &[0, MAGIC[0], MAGIC[1]]] {
            unpack(&[&two[..], rubbish].concat()).unwrap_err();
        }
        for end in 2..two.len() {
            // Whole members alone are an archive as well.
            let whole = [pack(b"one, ").len(), pack(b"one, ").len() + pack(b"").len()];
            assert_eq!(unpack(&two[..end]).is_ok(), whole.contains(&end), "cut at {end}");
        }
        let mut text = String::new();
        let slow = BufReader::with_capacity(1, &two[..]);
        Unpacked::new(slow).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one, two");
    }
}
