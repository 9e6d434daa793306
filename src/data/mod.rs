//! Readers of data sets, and the order of their samples.
//!
//! ```
//! use spikegrad::data::{self, Batches};
//! # fn main() -> spikegrad::Result<()> {
//! let digits = data::digits()?;
//! assert_eq!((digits.train.len(), digits.test.len()), (1437, 360));
//! let batches = Batches::new(digits.train.len(), 32, 7);
//! for batch in batches.epoch(0) {
//!     let (pixels, labels) = (digits.train.pixels(&batch), digits.train.labels(&batch));
//!     assert_eq!((pixels.len(), labels.len()), (32 * 64, 32));
//! }
//! # Ok(())
//! # }
//! ```

mod batches;
mod idx;
mod images;
mod text;
mod tokenizer;
mod warp;

pub use batches::Batches;
pub use idx::Idx;
pub use images::{Images, Split, digits};
pub use text::{Text, king_james};
pub use tokenizer::Tokenizer;
pub use warp::Warp;
