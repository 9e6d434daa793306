//! Shapes, tensors, the tape.

use super::bad::{Bad, Trials};
use half::f16;
use spikegrad::tape::{adjoint_gap, gradient_check};
use spikegrad::{Bind, DType, Param, Shape, Tape, Tensor, Var};

#[test]
fn shapes() {
    let mut t = Trials::new(400);
    t.on("Shape", |b| {
        let dims = b.sizes();
        let _ = b.dtype().words(&dims);
        let _ = b.dtype().name();
        let Ok(shape) = Shape::new(&dims) else { return };
        let _ = (shape.dims().len(), shape.rank(), shape.count());
        let _ = (shape.with(b.axis(), b.size()), shape.around(b.axis()));
        let _ = shape.broadcast(&b.shape()).map(|s| s.count());
        let _ = format!("{shape} {shape:?}");
        let _ = b.dtype().words(&shape);
    });
    t.done();
}

#[test]
fn tensors() {
    let mut t = Trials::new(400);
    t.on("Tensor::empty", |b| Tensor::empty(&b.device.clone(), b.sizes(), b.dtype()));
    t.on("Tensor::zeros", |b| Tensor::zeros(&b.device.clone(), b.shape(), b.dtype()));
    t.on("Tensor::from_slice", |b| {
        let (device, count) = (b.device.clone(), b.small());
        let shape = b.sizes();
        match b.index(4) {
            0 => Tensor::from_slice(&device, &vec![1.0f32; count], shape),
            1 => Tensor::from_slice(&device, &vec![1.0f64; count], shape),
            2 => Tensor::from_slice(&device, &vec![f16::ONE; count], shape),
            _ => Tensor::from_slice(&device, &vec![1u32; count], shape),
        }
    });
    t.on("Tensor::from_bools", |b| {
        let count = b.small();
        Tensor::from_bools(&b.device.clone(), &vec![true; count], b.sizes())
    });
    t.on("Tensor::reshape", |b| b.tensor().reshape(b.sizes()));
    t.on("zero-size reshape", |b| {
        let empty = Tensor::zeros(&b.device.clone(), [0], b.dtype()).unwrap();
        let _ = empty.reshape([1usize << 32, 1 << 32]);
        let _ = empty.reshape([0, 1 << 63, 4]);
        let bits = Tensor::zeros(&b.device.clone(), [0, 1 << 63, 4], DType::Bits);
        let _ = (empty.reshape(b.sizes()), bits);
    });
    t.on("Tensor::write", |b| {
        let (x, count) = (b.tensor().duplicate().unwrap(), b.small());
        let _ = (x.write(&vec![1.0f32; count]), x.write(&vec![1u32; count]));
        let _ = (x.write(&vec![1.0f64; count]), x.write(&vec![f16::ONE; count]));
        x.clear()
    });
    t.on("Tensor::copy_from", |b| b.tensor().duplicate().unwrap().copy_from(&b.tensor()));
    t.on("reading", |b| {
        let x = b.tensor();
        let _ = (x.to_vec::<f32>(), x.to_vec::<f64>(), x.to_vec::<u32>(), x.to_vec::<f16>());
        let _ = (x.to_bools(), x.item(), pollster::block_on(x.to_vec_async::<f32>()));
        let _ = x.read().map(|r| r.wait::<f32>());
        let _ = x.read().map(|r| r.wait_bools());
        let _ = x.read().map(|r| pollster::block_on(r.wait_async::<u32>()));
        let _ = (x.device().name().len(), x.shape().count(), x.dtype(), x.count());
        let _ = x.bound();
    });
    t.on("checks", |b| {
        let x = b.tensor();
        let _ = (x.same_device("test", &b.tensor()), x.expect("test", b.dtype()));
    });
    t.done();
}

fn identity(x: &Var) -> spikegrad::Result<Var> {
    x.mul_scalar(1.0)
}

#[test]
fn tapes() {
    let mut t = Trials::new(300);
    t.on("Tape", |b| {
        let tape = b.tape();
        let _ = (tape.is_on(), tape.leaf(&b.tensor()), tape.constant(&b.tensor()));
        tape.param(&Param::new(b.text(), b.tensor()))
    });
    t.on("Param", |b| {
        let param = Param::new(b.text(), b.tensor()).renamed(b.text());
        let _ = param.name().len();
        param.value().count()
    });
    t.on("Var::backward", |b| {
        let x = b.any();
        let y = if b.on() { identity(&x).unwrap_or(x.clone()) } else { x.clone() };
        let gradients = y.backward();
        let again = y.backward();
        if let Ok(mut g) = gradients {
            let param = Param::new("p", b.tensor());
            let _ = (g.get(&x).is_some(), g.get(&b.any()).is_some(), g.of(&param).is_some());
            let _ = g.set(&param, b.tensor());
        }
        again.map(|_| ())
    });
    t.on("Var::backward_from", |b| b.any().backward_from(&b.tensor()).map(|_| ()));
    t.on("Var", |b| {
        let x = b.any().detach();
        let _ = (x.tape().is_on(), x.device().is_host(), x.shape().rank(), x.dtype());
        x.has_gradient()
    });
    t.on("Tape::record", record);
    t.on("Tape::record_one", |b| {
        let (x, y) = (b.any(), b.tensor());
        b.tape().record_one("test", &[&x], y, |_| Ok(()))
    });
    t.on("gradient_check", |b| {
        let dims: Vec<usize> = (0..b.index(3)).map(|_| b.small()).collect();
        let count = if b.on() { dims.iter().product() } else { b.small() };
        let step = b.double();
        gradient_check(&[(vec![0.5; count], &dims)], step, |v| Ok(vec![identity(&v[0])?]))
            .map(|_| ())
    });
    t.on("gradient_check of nothing", |b| {
        gradient_check(&[], b.double(), |_| Ok(vec![])).map(|_| ())
    });
    t.on("adjoint_gap", |b| adjoint_gap(&b.tensor(), &b.tensor(), identity));
    t.done();
}

/// An operator of a caller's whose backward asks and gives anything.
fn record(b: &mut Bad) -> spikegrad::Result<()> {
    let inputs: Vec<Var> = (0..b.index(3)).map(|_| b.any()).collect();
    let inputs: Vec<&Var> = inputs.iter().collect();
    let outputs: Vec<Tensor> = (0..b.index(3)).map(|_| b.tensor()).collect();
    let (at, given) = (b.size(), b.tensor());
    let out = b.tape().record("test", &inputs, outputs, move |backward| {
        let _ = (backward.upstream(at).is_some(), backward.needs(at));
        backward.give(at, given.clone());
        backward.give(0, given);
        Ok(())
    })?;
    let Some(y) = out.first() else { return Ok(()) };
    y.backward_from(&b.tensor()).map(|_| ())
}

#[test]
fn a_tape_of_its_own() {
    assert!(Tape::new().is_on() && !Tape::off().is_on());
}
