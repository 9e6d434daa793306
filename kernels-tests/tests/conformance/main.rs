//! Every kernel against its f64 twin, on the host and on every adapter, with all features and with
//! the portable baseline. One process: the devices are opened once.

mod attention;
mod conv;
mod decode;
mod elementwise;
mod encode;
mod equations;
mod exported;
mod forecasters;
mod fourier;
mod house;
mod indices;
mod layout;
mod lif;
mod linalg;
mod long;
mod loss;
mod messages;
mod models;
mod names;
mod neuron;
mod nn;
mod norm;
mod optim;
mod random;
mod reduce;
mod scan;
mod special;
mod spectral;
mod spike_product;
mod spikes;
mod table;
mod token;
