//! Layers made of operators.
