//! Neurons of the literature, by their equations.

use super::Neuron;
use crate::error::Result;
use crate::lif::Surrogate;

/// All neurons of this file.
#[doc(hidden)]
pub const LITERATURE: [fn() -> Result<Neuron>; 6] =
    [adaptive, exponential, izhikevich, leaky_integrator, quadratic, resonate_and_fire];

/// A leaky integrator, which never fires: `v = beta v + x`. It emits `v`.
///
/// Parameters: `beta` 0.9, what is left after one step.
///
/// ```
/// use spikegrad::{Device, Tape, Tensor, neuron};
/// # fn main() -> spikegrad::Result<()> {
/// let x = Tensor::from_slice(&Device::host(), &[1.0f32, 0.0, 2.0], [3, 1])?;
/// let out = neuron::leaky_integrator()?.with("beta", 0.5)?.scan(&[&Tape::off().constant(&x)])?;
/// assert_eq!(out.emitted[0].value().to_vec::<f32>()?, [1.0, 0.5, 2.25]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// None: its equations are right.
pub fn leaky_integrator() -> Result<Neuron> {
    Neuron::define("leaky_integrator", |n| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        let next = n.param("beta", 0.9) * v + x;
        n.next(v, next);
        n.emit(next);
    })
}

/// Leaky integrate-and-fire with a threshold that rises with every spike and falls back:
///
/// ```text
/// h = beta v + x,   s = [h >= theta + k a],   v = h - s theta,   a = rho a + s
/// ```
///
/// The reset passes no gradient. It emits `s`. Parameters: `beta` 0.9, `rho` 0.97, `theta` 1, `k` 0.2.
/// Surrogate: `Atan(2)`.
///
/// Source: Bellec et al. 2018, Long short-term memory and learning-to-learn in networks of spiking neurons,
/// with the threshold itself for the height of the reset.
///
/// # Errors
/// None: its equations are right.
pub fn adaptive() -> Result<Neuron> {
    Neuron::define("adaptive", |n| {
        let (x, v, a) = (n.input("x"), n.state("v", 0.0), n.state("a", 0.0));
        let (beta, rho) = (n.param("beta", 0.9), n.param("rho", 0.97));
        let (theta, k) = (n.param("theta", 1.0), n.param("k", 0.2));
        let h = beta * v + x;
        let s = n.fire(h - (theta + k * a), Surrogate::Atan(2.0));
        n.next(v, h - n.detach(s) * theta);
        n.next(a, rho * a + s);
        n.emit(s);
    })
}

/// Quadratic integrate-and-fire, by Euler's rule in steps of 1:
///
/// ```text
/// h = v + (x + a (v - rest) (v - critical)) / tau,   s = [h >= theta],   v = reset where s, else h
/// ```
///
/// It emits `s`. Parameters: `tau` 2, `a` 1, `rest` -0.1, `critical` 0.8, `theta` 1, `reset` -0.1. Surrogate:
/// `Atan(2)`.
///
/// Source: Latham et al. 2000, Intrinsic dynamics in neuronal networks; the defaults are those of
/// SpikingJelly's `QIFNode`.
///
/// # Errors
/// None: its equations are right.
pub fn quadratic() -> Result<Neuron> {
    Neuron::define("quadratic", |n| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        let (tau, a) = (n.param("tau", 2.0), n.param("a", 1.0));
        let (rest, critical) = (n.param("rest", -0.1), n.param("critical", 0.8));
        let (theta, reset) = (n.param("theta", 1.0), n.param("reset", -0.1));
        let h = v + (x + a * (v - rest) * (v - critical)) / tau;
        let s = n.fire(h - theta, Surrogate::Atan(2.0));
        n.next(v, s.choose(reset, h));
        n.emit(s);
    })
}

/// Exponential integrate-and-fire, by Euler's rule in steps of 1:
///
/// ```text
/// h = v + (x + rest - v + delta exp((v - rheobase) / delta)) / tau
/// s = [h >= theta],   v = reset where s, else h
/// ```
///
/// It emits `s`. Parameters: `tau` 2, `delta` 1, `rheobase` 0.8, `rest` -0.1, `theta` 1, `reset` -0.1.
/// Surrogate: `Atan(2)`.
///
/// Source: Fourcaud-Trocmé et al. 2003, How spike generation mechanisms determine the neuronal response to
/// fluctuating inputs; the defaults are those of SpikingJelly's `EIFNode`.
///
/// # Errors
/// None: its equations are right.
pub fn exponential() -> Result<Neuron> {
    Neuron::define("exponential", |n| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        let (tau, delta) = (n.param("tau", 2.0), n.param("delta", 1.0));
        let (rheobase, rest) = (n.param("rheobase", 0.8), n.param("rest", -0.1));
        let (theta, reset) = (n.param("theta", 1.0), n.param("reset", -0.1));
        let upswing = delta * ((v - rheobase) / delta).exp();
        let h = v + (x + rest - v + upswing) / tau;
        let s = n.fire(h - theta, Surrogate::Atan(2.0));
        n.next(v, s.choose(reset, h));
        n.emit(s);
    })
}

/// Izhikevich's neuron, in steps of 1 ms of which the membrane takes two halves, as published; potentials in
/// mV:
///
/// ```text
/// twice: v = v + (0.04 v^2 + 5 v + 140 - u + x) / 2
/// u = u + a (b v - u),   s = [v >= 30],   v = c and u = u + d where s
/// ```
///
/// It emits `s`. Parameters: `a` 0.02, `b` 0.2, `c` -65, `d` 8: a cortical cell that fires regularly. It begins at
/// `v = -65`, `u = -13`. Surrogate: `FastSigmoid(0.1)`, whose width is some mV.
///
/// Source: Izhikevich 2003, Simple model of spiking neurons.
///
/// # Errors
/// None: its equations are right.
pub fn izhikevich() -> Result<Neuron> {
    Neuron::define("izhikevich", |n| {
        let (x, v, u) = (n.input("x"), n.state("v", -65.0), n.state("u", -13.0));
        let (a, b) = (n.param("a", 0.02), n.param("b", 0.2));
        let (c, d) = (n.param("c", -65.0), n.param("d", 8.0));
        let half = v + 0.5 * ((0.04 * v + 5.0) * v + 140.0 - u + x);
        let h = half + 0.5 * ((0.04 * half + 5.0) * half + 140.0 - u + x);
        let w = u + a * (b * h - u);
        let s = n.fire(h - 30.0, Surrogate::FastSigmoid(0.1));
        n.next(v, s.choose(c, h));
        n.next(u, w + s * d);
        n.emit(s);
    })
}

/// A resonator that fires, in steps of 1: a point that turns and comes nearer to the origin.
///
/// ```text
/// re, im = decay (cosine re - sine im) + x, decay (sine re + cosine im)
/// s = [im >= theta],   re, im = 0, 1 where s
/// ```
///
/// It emits `s`. Parameters: `decay` 0.95, `cosine` and `sine` of the angle of a step, 0.875 and 0.484 (half a
/// radian), `theta` 1. Surrogate: `Atan(2)`.
///
/// Source: Izhikevich 2001, Resonate-and-fire neurons.
///
/// # Errors
/// None: its equations are right.
pub fn resonate_and_fire() -> Result<Neuron> {
    Neuron::define("resonate_and_fire", |n| {
        let (x, re, im) = (n.input("x"), n.state("re", 0.0), n.state("im", 0.0));
        let (decay, theta) = (n.param("decay", 0.95), n.param("theta", 1.0));
        let (cosine, sine) = (n.param("cosine", 0.875), n.param("sine", 0.484));
        let along = decay * (cosine * re - sine * im) + x;
        let across = decay * (sine * re + cosine * im);
        let s = n.fire(across - theta, Surrogate::Atan(2.0));
        n.next(re, s.choose(n.constant(0.0), along));
        n.next(im, s.choose(n.constant(1.0), across));
        n.emit(s);
    })
}
