//! No public function panics on an argument: each is called many times with bad ones, alone and in
//! combination, and must return. What it returns is checked elsewhere.

mod bad;
mod data;
mod devices;
mod layers;
mod operators;
mod tensors;
