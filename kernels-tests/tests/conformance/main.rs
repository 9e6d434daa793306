//! Every kernel against its f64 twin, on the host and on every adapter, with all features and with
//! the portable baseline. One process: the devices are opened once.

mod elementwise;
mod encode;
mod layout;
mod lif;
mod linalg;
mod loss;
mod optim;
mod random;
mod reduce;
mod spectral;
mod table;
