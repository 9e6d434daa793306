//! Readers of data sets.
