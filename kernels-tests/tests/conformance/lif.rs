//! Conformance of the `lif` family.

use kernels_tests::{Random, conform, oracle, subjects};
use spikegrad::lif::{Gain, Gradient, Lif, Neurons, Reset, Save, Spikes, Surrogate};
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};

/// One scan with everything that goes in.
#[derive(Clone)]
struct Case {
    lif: Lif,
    steps: usize,
    batch: usize,
    neurons: usize,
    state: bool,
    /// Of decay, threshold and gain: 0 fixed, 1 one value, 2 one a neuron.
    forms: [usize; 3],
    seed: u64,
}

impl Case {
    fn new(lif: Lif, steps: usize, batch: usize, neurons: usize) -> Self {
        Self { lif, steps, batch, neurons, state: true, forms: [0; 3], seed: 1 }
    }

    fn random(&self) -> Random {
        Random::new(self.seed)
    }

    fn input(&self) -> Vec<f32> {
        self.random().values(self.steps * self.batch * self.neurons, -0.6, 1.4)
    }

    fn leaf(
        &self,
        tape: &Tape,
        device: &Device,
        form: usize,
        seed: u64,
        low: f32,
        high: f32,
    ) -> Result<Option<Var>> {
        let count = [0, 1, self.neurons][form];
        if count == 0 {
            return Ok(None);
        }
        let values = Random::new(self.seed + seed).values(count, low, high);
        Ok(Some(tape.leaf(&Tensor::from_slice(device, &values, [count])?)))
    }

    /// Spikes, state, and all gradients.
    fn run(&self, device: &Device) -> Result<Vec<Tensor>> {
        let tape = Tape::new();
        let shape = [self.steps, self.batch, self.neurons];
        let columns = self.batch * self.neurons;
        let x = tape.leaf(&Tensor::from_slice(device, &self.input(), shape)?);
        let v0 = Random::new(self.seed + 1).values(columns, -0.4, 0.4);
        let v0 = tape.leaf(&Tensor::from_slice(device, &v0, [self.batch, self.neurons])?);
        let decay = self.leaf(&tape, device, self.forms[0], 2, 0.5, 0.98)?;
        let threshold = self.leaf(&tape, device, self.forms[1], 3, 0.7, 1.2)?;
        let gain = self.leaf(&tape, device, self.forms[2], 4, 0.4, 1.1)?;
        let neurons =
            Neurons { decay: decay.as_ref(), threshold: threshold.as_ref(), gain: gain.as_ref() };
        let out = self.lif.scan_with(&x, self.state.then_some(&v0), &neurons)?;
        let gs = Random::new(self.seed + 5).values(columns * self.steps, -1.0, 1.0);
        let gv = Random::new(self.seed + 6).values(columns, -1.0, 1.0);
        let gs = Tensor::from_slice(device, &gs, shape)?;
        let gv = Tensor::from_slice(device, &gv, [self.batch, self.neurons])?;
        let loss = kernels_tests::seeded(&[(&out.spikes, gs), (&out.state, gv)])?;
        let gradients = loss.backward()?;
        let mut all = vec![out.spikes.value().clone(), out.state.value().clone()];
        let leaves = [
            Some(&x),
            self.state.then_some(&v0),
            decay.as_ref(),
            threshold.as_ref(),
            gain.as_ref(),
        ];
        for leaf in leaves.into_iter().flatten() {
            all.push(gradients.get(leaf).expect("a gradient").clone());
        }
        Ok(all)
    }

    fn conform(&self, what: &str) {
        conform(what, 2e-5, |device| self.run(device));
    }
}

#[test]
fn smoke() {
    Case::new(Lif::new(), 45, 3, 37).conform("default");
}
