//! Every kernel against its f64 twin, on the host and on every adapter, with all features and with
//! the portable baseline. One process: the devices are opened once.

mod elementwise;
mod encode;
mod fourier;
mod layout;
mod lif;
mod linalg;
mod loss;
mod norm;
mod optim;
mod random;
mod reduce;
mod spike_product;
mod table;
