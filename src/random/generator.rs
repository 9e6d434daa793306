//! The generator: seed, streams, and a step counter in device memory.

use super::normal::quantile_table;
use super::threefry;
use crate::host::{HostArgs, Real};
use crate::{DType, Device, Result, Tensor};

crate::kernel! {
    /// `step[0] += 1`
    pub(super) static ADVANCE = "random/advance";
    oracle = advance_oracle;
}

fn advance_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let step = args.words_mut("step");
    step[0] = step[0].wrapping_add(1);
}

/// A source of random tensors. The same seed gives the same bits on every device.
///
/// Within a step every call draws from a new stream; [`advance`](Self::advance) begins the next
/// step and starts the streams over. In a captured step the streams are recorded and the step
/// counter is read from device memory: end the step with `advance`, and every replay draws anew.
///
/// ```
/// use spikegrad::{Device, random::Generator};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let mut random = Generator::new(&device, 7)?;
/// let noise = random.normal([2, 3])?;
/// random.advance()?;
/// let other = random.normal([2, 3])?;
/// assert_ne!(noise.to_vec::<f32>()?, other.to_vec::<f32>()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Generator {
    device: Device,
    seed: u64,
    key: [u32; 2],
    stream: u32,
    step: Tensor,
    table: Tensor,
}

/// What a [`Generator`] is restored from, at the beginning of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratorState {
    /// The seed.
    pub seed: u64,
    /// The step.
    pub step: u32,
}

impl Generator {
    /// A generator at step 0.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`].
    pub fn new(device: &Device, seed: u64) -> Result<Self> {
        Self::restore(device, GeneratorState { seed, step: 0 })
    }

    /// A generator at the beginning of a saved step.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`].
    pub fn restore(device: &Device, state: GeneratorState) -> Result<Self> {
        let step = Tensor::from_slice(device, &[state.step], [1])?;
        let table = quantile_table();
        let table = Tensor::from_slice(device, table, [table.len()])?;
        let key = key_of(state.seed);
        Ok(Self { device: device.clone(), seed: state.seed, key, stream: 0, step, table })
    }

    /// Seed and step. Reads the step counter back from the device.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    pub fn state(&self) -> Result<GeneratorState> {
        let step = self.step.to_vec::<u32>()?;
        Ok(GeneratorState { seed: self.seed, step: step.first().copied().unwrap_or(0) })
    }

    /// Begins the next step: one launch of one invocation.
    ///
    /// # Errors
    /// Device loss.
    pub fn advance(&mut self) -> Result<()> {
        self.begin();
        self.device.launch(&ADVANCE).bind("step", &self.step).record()
    }

    /// Goes back to the beginning of the step: streams start over.
    pub(crate) fn begin(&mut self) {
        self.stream = 0;
    }

    /// The device it draws on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The key of the next stream.
    pub(super) fn next_key(&mut self) -> [u32; 2] {
        let key = [self.key[0], self.key[1].wrapping_add(self.stream)];
        self.stream = self.stream.wrapping_add(1);
        key
    }

    /// The step counter.
    pub(super) fn step(&self) -> &Tensor {
        &self.step
    }

    /// The table of the normal quantile function.
    pub(super) fn table(&self) -> &Tensor {
        &self.table
    }

    /// An output tensor.
    pub(super) fn output(&self, shape: impl crate::IntoShape, dtype: DType) -> Result<Tensor> {
        Tensor::empty(&self.device, shape, dtype)
    }
}

/// The key of stream 0. The seed is scrambled, so that neighbouring seeds share no streams.
fn key_of(seed: u64) -> [u32; 2] {
    threefry([seed as u32, (seed >> 32) as u32], [0, 0])
}
