//! Readers of data sets, and the order of their samples.
//!
//! ```
//! use spikegrad::data::{self, Batches};
//! # fn main() -> spikegrad::Result<()> {
//! let digits = data::digits()?;
//! assert_eq!((digits.train.len(), digits.test.len()), (1437, 360));
//! let batches = Batches::new(digits.train.len(), 32, 7);
//! for batch in batches.epoch(0) {
//!     let (pixels, labels) = (digits.train.pixels(&batch)?, digits.train.labels(&batch)?);
//!     assert_eq!((pixels.len(), labels.len()), (32 * 64, 32));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Series for forecasting are read from csv files, brought to a common scale and cut into windows:
//!
//! ```
//! use spikegrad::data::{self, Part, Parts, Scale, Scaler, Windows};
//! # fn main() -> spikegrad::Result<()> {
//! let series = data::weather()?; // or Series::open("any.csv.gz")?
//! let parts = Parts::Shares([7.0, 2.0, 1.0]).of(series.rows())?;
//! let scaler = Scaler::fit(&series, parts[0].clone(), Scale::Standard)?;
//! let windows = Windows::new(scaler.apply(&series)?, &parts, 24, 12)?;
//! for places in windows.shuffled(16, 7).epoch(0) {
//!     let (window, target) = windows.batch(Part::Train, &places)?; // [24, 16, 9], [12, 16, 9]
//!     assert_eq!((window.len(), target.len()), (24 * 16 * 9, 12 * 16 * 9));
//! }
//! # Ok(())
//! # }
//! ```

mod batches;
mod csv;
mod dates;
mod gzip;
mod idx;
mod images;
mod scaler;
mod series;
mod text;
mod tokenizer;
mod warp;
mod windows;

pub use batches::Batches;
pub use csv::Csv;
pub use idx::Idx;
pub use images::{Images, Split, digits};
pub use scaler::{Scale, Scaler};
pub use series::{Series, weather};
pub use text::{Text, king_james};
pub use tokenizer::Tokenizer;
pub use warp::Warp;
pub use windows::{Part, Parts, Windows};
