//! Rasters and curves as PNG.
