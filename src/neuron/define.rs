//! Neurons by equations.

use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::lif::Spikes;
use crate::recur::{self, Equations, Made, Options, Start};
use crate::tape::Var;

const OP: &str = "neuron";

/// A neuron whose equations its user writes: one step of it, from which come all steps in one launch, their
/// gradients, and the loops of the host.
///
/// ```
/// use spikegrad::lif::Surrogate;
/// use spikegrad::neuron::Neuron;
/// use spikegrad::{Device, Tape, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// // A threshold that rises with every spike and falls back (Bellec et al. 2018).
/// let adaptive = Neuron::define("adaptive", |n| {
///     let (x, v, a) = (n.input("x"), n.state("v", 0.0), n.state("a", 0.0));
///     let (beta, rho) = (n.param("beta", 0.5), n.param("rho", 0.5));
///     let (theta, k) = (n.param("theta", 1.0), n.param("k", 2.0));
///     let h = beta * v + x;
///     let s = n.fire(h - (theta + k * a), Surrogate::Atan(2.0));
///     n.next(v, h - n.detach(s) * theta);
///     n.next(a, rho * a + s);
///     n.emit(s);
/// })?;
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from_slice(&Device::host(), &[2.0f32, 1.5, 1.5, 1.5], [4, 1])?);
/// let out = adaptive.scan(&[&x])?;
/// assert_eq!(out.emitted[0].value().to_vec::<f32>()?, [1.0, 0.0, 1.0, 0.0]);
/// let gradients = out.emitted[0].sum_all()?.backward()?;
/// assert_eq!(gradients.get(&x).expect("a gradient").shape().dims(), [4, 1]);
/// # Ok(())
/// # }
/// ```
///
/// A step reads its inputs, its states as they are before the step, and its parameters; it says what each
/// state is after the step ([`next`](Equations::next)), and what it gives out ([`emit`](Equations::emit)).
/// Spikes ([`fire`](Equations::fire)) are numbers, 0 or 1, whose derivative is a surrogate's. Functions are
/// those of [`elementwise`](crate::elementwise), with their derivatives. Backward keeps the inputs, the
/// states before every eighth step and the spikes as bits, and computes the steps between again.
///
/// At most 4 spikes, and 16 parameters and spikes together, used or not. Two neurons of the same equations share their
/// kernels, whatever the numbers of their parameters; kernels stay for as long as the program runs. Compilers of
/// shaders take seconds for a step of a thousand operations, and minutes for one of several thousand.
#[derive(Debug, Clone)]
pub struct Neuron {
    made: Made,
    options: Options,
}

/// What a scan gives.
#[derive(Debug, Clone)]
#[must_use]
pub struct NeuronOutput {
    /// What the neuron emits, in the order of its equations, each of an input's shape: f32, or bits for the
    /// first of them with [`Spikes::Bits`].
    pub emitted: Vec<Var>,
    /// The states after the last step, `[states, …]`, of an input's shape without its leading axis.
    pub state: Var,
}

impl Neuron {
    /// The neuron of these equations. Its name, a letter of a to z and more of these, 0 to 9 and _, is that of
    /// its kernels in profiles.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is not allowed, two things of one name, a state without a next
    /// value or with two, no state, no input, nothing that is emitted, numbers that are not finite, limits
    /// that are crossed, a division by the constant 0, a surrogate whose parameter is not positive, expressions of other
    /// equations, and more spikes or parameters than there may be.
    pub fn define(name: &str, equations: impl FnOnce(&Equations)) -> Result<Self> {
        let written = Equations::default();
        equations(&written);
        let made = recur::make(OP, name, written)?;
        let options = Options { values: made.values, output: Spikes::F32, smooth: false };
        Ok(Self { made, options })
    }

    /// Another number for a parameter.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is no parameter's, and a number that is not finite.
    pub fn with(mut self, parameter: &str, value: f32) -> Result<Self> {
        if !value.is_finite() {
            return Err(Error::argument(OP, format!("{parameter} is {value}")));
        }
        let k = self.place(parameter)?;
        self.options.values[k] = value;
        Ok(self)
    }

    /// How spikes are given out, where the first that is emitted is a spike.
    #[must_use]
    pub fn output(mut self, spikes: Spikes) -> Self {
        self.options.output = spikes;
        self
    }

    /// Spikes become the surrogates' [`primitive`](crate::lif::Surrogate::primitive)s, real numbers: the
    /// smooth neuron whose exact gradient backward computes where nothing is detached. For gradient checks,
    /// on host devices only, with f32 output.
    #[must_use]
    pub fn smooth(mut self, on: bool) -> Self {
        self.options.smooth = on;
        self
    }

    /// The names of its parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.made.driver.definition.parameters.iter().map(String::as_str)
    }

    /// The names of its states.
    pub fn states(&self) -> impl Iterator<Item = &str> {
        self.made.driver.definition.states.iter().map(String::as_str)
    }

    /// Runs it over all steps of its inputs `[T, …]`, from its initial states.
    ///
    /// # Errors
    /// Those of [`scan_with`](Self::scan_with).
    pub fn scan(&self, inputs: &[&Var]) -> Result<NeuronOutput> {
        self.scan_with(inputs, None, &[])
    }

    /// Runs it over all steps of its inputs `[T, …]`, from `state[states, …]` (of an input's shape without
    /// T; its initial numbers if there is none), with parameters that are tensors by their names: one value
    /// `[1]`, or one a neuron `[N]` (the last axis of the inputs). They get gradients where their variables
    /// do.
    ///
    /// Sequences may be cut into chunks: hand the state on, and the gradients are those of the whole.
    ///
    /// # Errors
    /// [`Error::Argument`] for another number of inputs than the equations have, a name that is no
    /// parameter's or is given twice, and [`Spikes::Bits`] where the first that is emitted is no spike;
    /// [`Error::Shape`] for inputs without an axis or of different shapes, a state of another shape, and a
    /// parameter that has neither one value nor one a neuron; [`Error::DType`] where an input, the state or
    /// a parameter is not f32; [`Error::DeviceMismatch`], [`Error::TapeMismatch`]; [`Error::Unsupported`]
    /// for [`smooth`](Self::smooth) on a GPU.
    pub fn scan_with(
        &self,
        inputs: &[&Var],
        state: Option<&Var>,
        parameters: &[(&str, &Var)],
    ) -> Result<NeuronOutput> {
        let mut tensors = vec![None; self.made.driver.definition.parameters.len()];
        for (name, value) in parameters {
            let k = self.place(name)?;
            if tensors[k].replace(*value).is_some() {
                return Err(Error::argument(OP, format!("the parameter `{name}` is given twice")));
            }
        }
        let start = state.map_or(Start::Initial(&self.made.initial), Start::Given);
        let out = self.made.driver.run(&self.options, inputs, start, &tensors)?;
        Ok(NeuronOutput { emitted: out.emits, state: out.state })
    }

    /// Its kernels: forward and backward.
    pub fn kernels(&self) -> [&'static Kernel; 2] {
        [self.made.driver.forward, self.made.driver.backward]
    }

    fn place(&self, parameter: &str) -> Result<usize> {
        let known = &self.made.driver.definition.parameters;
        known.iter().position(|name| name == parameter).ok_or_else(|| {
            let detail = format!("no parameter `{parameter}`, there are {}", known.join(", "));
            Error::argument(OP, detail)
        })
    }
}
