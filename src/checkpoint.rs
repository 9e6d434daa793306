//! Weights and training state as safetensors.
