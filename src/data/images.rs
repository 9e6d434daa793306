//! Labelled images.

use super::{Batches, Idx};
use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Grey images with a class each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    height: usize,
    width: usize,
    /// The value that counts as one.
    white: u8,
    values: Vec<u8>,
    labels: Vec<u8>,
}

/// Images to train on and images to test with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// What it is called.
    pub name: String,
    /// To train on.
    pub train: Images,
    /// To test with.
    pub test: Images,
}

impl Images {
    /// The images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Rows and columns of one.
    pub fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// The pixels of one.
    pub fn features(&self) -> usize {
        self.height * self.width
    }

    /// One more than the largest label.
    pub fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |most| usize::from(*most) + 1)
    }

    /// The pixels of the chosen images, between 0 and 1, image by image and row by row.
    ///
    /// # Errors
    /// [`Error::Argument`] for an image that does not exist.
    pub fn pixels(&self, chosen: &[usize]) -> Result<Vec<f32>> {
        let white = f32::from(self.white);
        self.check(chosen)?;
        let size = self.features();
        let image = |i: &usize| &self.values[i * size..(i + 1) * size];
        Ok(chosen.iter().flat_map(image).map(|v| f32::from(*v) / white).collect())
    }

    /// The classes of the chosen images.
    ///
    /// # Errors
    /// [`Error::Argument`] for an image that does not exist.
    pub fn labels(&self, chosen: &[usize]) -> Result<Vec<u32>> {
        self.check(chosen)?;
        Ok(chosen.iter().map(|i| u32::from(self.labels[*i])).collect())
    }

    fn check(&self, chosen: &[usize]) -> Result<()> {
        match chosen.iter().find(|i| **i >= self.len()) {
            Some(i) => Err(Error::argument("images", format!("image {i} of {}", self.len()))),
            None => Ok(()),
        }
    }

    /// The first `count` images, or all if there are fewer.
    #[must_use]
    pub fn first(self, count: usize) -> Self {
        self.split_at(count).0
    }

    fn new(images: Idx, labels: Idx, white: u8, path: &Path) -> Result<Self> {
        let [count, height, width] = images.shape[..] else {
            return Err(Error::format(path, format!("{} axes, expected 3", images.shape.len())));
        };
        if count != labels.values.len() {
            let found = labels.values.len();
            return Err(Error::format(path, format!("{found} labels, expected {count}")));
        }
        Ok(Self { height, width, white, values: images.values, labels: labels.values })
    }

    fn split_at(mut self, at: usize) -> (Self, Self) {
        let at = at.min(self.len());
        let values = self.values.split_off(at * self.features());
        let labels = self.labels.split_off(at);
        let rest = Self { values, labels, ..self };
        (Self { values: self.values, labels: self.labels, ..rest.shell() }, rest)
    }

    /// No images of this size.
    fn shell(&self) -> Self {
        let Self { height, width, white, .. } = *self;
        Self { height, width, white, values: Vec::new(), labels: Vec::new() }
    }
}

/// The digits that ship with the crate: 1,797 images of 8 x 8 pixels (UCI Optical Recognition of
/// Handwritten Digits, test part; Alpaydin and Kaynak 1998; CC BY 4.0), the first 1,437 to train on.
///
/// # Errors
/// None, as long as the crate is whole.
pub fn digits() -> Result<Split> {
    const IMAGES: &[u8] = include_bytes!("../../assets/digits/digits-images-idx3-ubyte.gz");
    const LABELS: &[u8] = include_bytes!("../../assets/digits/digits-labels-idx1-ubyte.gz");
    let images = Idx::parse(IMAGES, 3, "digits-images-idx3-ubyte.gz")?;
    let labels = Idx::parse(LABELS, 1, "digits-labels-idx1-ubyte.gz")?;
    digits_from(images, labels, Path::new("digits-labels-idx1-ubyte.gz"))
}

fn digits_from(images: Idx, labels: Idx, path: &Path) -> Result<Split> {
    let (train, test) = Images::new(images, labels, 16, path)?.split_at(1437);
    Ok(Split { name: "digits".into(), train, test })
}

impl Split {
    /// The same images, as many to train on and to test with, but which ones is drawn from `seed`.
    /// Where images stand in the order of their writers, this is the easier task: every writer of
    /// the test is known from training.
    #[must_use]
    pub fn shuffled(self, seed: u64) -> Self {
        let (train, test) = (self.train, self.test);
        let size = train.features().max(1);
        let order = Batches::new(train.len() + test.len(), 1, seed).order(0);
        let pick = |chosen: &[usize]| {
            let (mut values, mut labels) = (Vec::new(), Vec::new());
            for i in chosen {
                let (part, i) = match i.checked_sub(train.len()) {
                    None => (&train, *i),
                    Some(rest) => (&test, rest),
                };
                values.extend_from_slice(&part.values[i * size..(i + 1) * size]);
                labels.push(part.labels[i]);
            }
            Images { values, labels, ..train.shell() }
        };
        let (first, rest) = order.split_at(train.len());
        Self { train: pick(first), test: pick(rest), name: self.name }
    }

    /// For choosing settings without a look at the test images: the images to train on are cut into
    /// `parts` runs of equal length (the last is longer by what is left over), and run `part`, from
    /// 0 on, takes the place of the test. The others stay to train on.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no such part, or if it or what it leaves is empty.
    pub fn validation(self, part: usize, parts: usize) -> Result<Self> {
        let size = self.train.len() / parts.max(1);
        if part >= parts || parts < 2 || size == 0 {
            let count = self.train.len();
            let detail = format!("part {part} of {parts} of {count} images, counted from 0");
            return Err(Error::argument("validation", detail));
        }
        let (mut train, rest) = self.train.split_at(part * size);
        let (test, after) = rest.split_at(if part + 1 == parts { usize::MAX } else { size });
        train.values.extend(after.values);
        train.labels.extend(after.labels);
        Ok(Self { train, test, name: self.name })
    }

    /// Reads a folder: either `digits-images-idx3-ubyte` and `digits-labels-idx1-ubyte`, or the four
    /// files of MNIST and Fashion-MNIST, `train*-images-idx3-ubyte`, `train*-labels-idx1-ubyte`,
    /// `t10k*-images-idx3-ubyte`, `t10k*-labels-idx1-ubyte`; each plain or with `.gz`.
    ///
    /// # Errors
    /// [`Error::Io`] with the missing file; [`Error::Format`] with what a file holds and what was
    /// expected.
    pub fn folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let names = names(folder)?;
        let part = |prefix: &str| -> Result<(Idx, Idx, PathBuf)> {
            let images = find(folder, &names, prefix, "-images-idx3-ubyte")?;
            let labels = find(folder, &names, prefix, "-labels-idx1-ubyte")?;
            Ok((Idx::open(images, 3)?, Idx::open(&labels, 1)?, labels))
        };
        if names.iter().any(|name| name.starts_with("digits-")) {
            let (images, labels, path) = part("digits")?;
            return digits_from(images, labels, &path);
        }
        let (images, labels, path) = part("train")?;
        let train = Images::new(images, labels, 255, &path)?;
        let (images, labels, path) = part("t10k")?;
        let test = Images::new(images, labels, 255, &path)?;
        if train.size() != test.size() {
            let (train, test) = (train.size(), test.size());
            let detail = format!("images of {test:?} pixels, expected {train:?} as to train on");
            return Err(Error::format(folder, detail));
        }
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into();
        Ok(Self { name, train, test })
    }
}

/// What a folder may hold, in messages.
const EXPECTED: &str = "the images and labels of the digits (digits-images-idx3-ubyte, \
    digits-labels-idx1-ubyte) or of MNIST (train-..., t10k-...)";

/// The names of the files of a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |e: std::io::Error| Error::Io {
        path: folder.into(),
        message: format!("{e}; expected a folder with {EXPECTED}"),
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// The first file that starts and ends like that, plain or with `.gz`.
fn find(folder: &Path, names: &[String], prefix: &str, suffix: &str) -> Result<PathBuf> {
    let fits = |name: &&String| {
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        plain.starts_with(prefix) && plain.ends_with(suffix)
    };
    names.iter().find(fits).map(|name| folder.join(name)).ok_or_else(|| Error::Io {
        path: folder.join(format!("{prefix}{suffix}.gz")),
        message: format!("no such file, plain or with .gz; expected {EXPECTED}"),
    })
}

#[cfg(test)]
mod tests {
    use super::{Split, digits};

    #[test]
    fn the_digits_that_ship() {
        let digits = digits().unwrap();
        assert_eq!(digits.train.size(), (8, 8));
        assert_eq!((digits.train.classes(), digits.test.classes()), (10, 10));
        assert_eq!(digits.train.labels(&[0, 1, 9, 1436]).unwrap(), [0, 1, 9, 1]);
        assert!(digits.train.labels(&[1437]).is_err() && digits.train.pixels(&[1437]).is_err());
        let all: Vec<usize> = (0..360).collect();
        let pixels = digits.test.pixels(&all).unwrap();
        assert_eq!(pixels.len(), 360 * 64);
        assert!(pixels.iter().all(|p| (0.0..=1.0).contains(p)) && pixels.contains(&1.0));
    }

    #[test]
    fn shuffled_images_are_the_same() {
        let (plain, shuffled) = (digits().unwrap(), digits().unwrap().shuffled(3));
        let sorted = |split: &Split| {
            let images = |part: &super::Images| -> Vec<(Vec<u8>, u8)> {
                let image = |(v, l): (&[u8], &u8)| (v.to_vec(), *l);
                part.values.chunks(64).zip(&part.labels).map(image).collect()
            };
            let mut all = [images(&split.train), images(&split.test)].concat();
            all.sort();
            all
        };
        assert_eq!((shuffled.train.len(), shuffled.test.len()), (1437, 360));
        assert_ne!(plain, shuffled);
        assert_eq!(sorted(&plain), sorted(&shuffled));
    }

    #[test]
    fn a_validation_part_is_cut_from_training() {
        let digits = digits().unwrap();
        let labels =
            |part: &super::Images| part.labels(&(0..part.len()).collect::<Vec<_>>()).unwrap();
        let all = labels(&digits.train);
        for (part, size) in [(0, 287), (2, 287), (4, 289)] {
            let split = digits.clone().validation(part, 5).unwrap();
            let (train, test) = (labels(&split.train), labels(&split.test));
            assert_eq!(test, all[part * 287..][..size]);
            assert_eq!(train, [&all[..part * 287], &all[part * 287 + size..]].concat());
            assert_eq!(split.train.pixels(&[0]).unwrap().len(), 64);
        }
        for (part, parts) in [(5, 5), (0, 1), (0, 0), (0, 1438)] {
            digits.clone().validation(part, parts).unwrap_err();
        }
    }

    #[test]
    fn a_folder_and_its_faults() {
        let folder = std::env::temp_dir().join(format!("spikegrad-data-{}", std::process::id()));
        let message = || Split::folder(&folder).unwrap_err().to_string();
        assert!(message().contains("spikegrad-data-"));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(message().contains("train-images-idx3-ubyte.gz"));
        let ship = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/digits/");
        let names = ["digits-images-idx3-ubyte.gz", "digits-labels-idx1-ubyte.gz"];
        std::fs::copy(format!("{ship}{}", names[0]), folder.join(names[0])).unwrap();
        assert!(message().contains("digits-labels-idx1-ubyte.gz"));
        std::fs::copy(format!("{ship}{}", names[1]), folder.join(names[1])).unwrap();
        assert_eq!(Split::folder(&folder).unwrap(), digits().unwrap());
        std::fs::write(folder.join(names[0]), b"not an image").unwrap();
        assert!(message().contains(names[0]));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
