//! Optimizers: every rule, hook and constraint, groups, clipping, skipped steps, replay, state.

use kernels_tests::{Random, Subject, conform, oracle, own_subjects, subjects};
use proptest::prelude::*;
use spikegrad::checkpoint::Checkpoint;
use spikegrad::nn::{Compander, Module};
use spikegrad::optim::{
    AdEmaMix, Adam, AdamW, Constraint, Dion, Muon, NorMuon, Optimizer, Schedule, Sgd, Signum, Spam,
};
use spikegrad::spectral::{Polar, SpectralClip};
use spikegrad::tape::gradient_check;
use spikegrad::{Capture, Device, Error, Gradients, Orientation, Param, Result, Tape, Tensor};
use std::path::{Path, PathBuf};

/// Several parameters' gradients at once, as a training step gives them.
fn step_all(optimizer: &mut dyn Optimizer, params: &[Param], seeds: &[Vec<f32>]) -> Result<()> {
    optimizer.step(&joint(params, seeds)?)
}

/// One backward pass over all parameters, with these gradients.
fn joint(params: &[Param], seeds: &[Vec<f32>]) -> Result<Gradients> {
    let tensor =
        |(p, s): (&Param, &Vec<f32>)| Tensor::from_slice(p.value().device(), s, *p.value().shape());
    given(params, params.iter().zip(seeds).map(tensor).collect::<Result<_>>()?)
}

/// A custom operator's backward pass hands out the gradients.
fn given(params: &[Param], gradients: Vec<Tensor>) -> Result<Gradients> {
    let tape = Tape::new();
    let leaves: Vec<_> = params.iter().map(|p| tape.param(p)).collect();
    let inputs: Vec<_> = leaves.iter().collect();
    let output = Tensor::from_slice(leaves[0].device(), &[0.0f32], [1])?;
    let sum = tape.record_one("seeds", &inputs, output, move |bw| {
        gradients.into_iter().enumerate().for_each(|(i, g)| bw.give(i, g));
        Ok(())
    })?;
    sum.backward()
}

fn params(device: &Device, values: &[(Vec<f32>, Vec<usize>)]) -> Result<Vec<Param>> {
    let param = |(i, (v, s)): (usize, &(Vec<f32>, Vec<usize>))| {
        Ok(Param::new(format!("p{i}"), Tensor::from_slice(device, v, s)?))
    };
    values.iter().enumerate().map(param).collect()
}

fn random_params(random: &mut Random, shapes: &[Vec<usize>]) -> Vec<(Vec<f32>, Vec<usize>)> {
    let value = |s: &Vec<usize>| (random.values(s.iter().product(), -1.0, 1.0), s.clone());
    shapes.iter().map(value).collect()
}

fn seeds(random: &mut Random, shapes: &[Vec<usize>], steps: usize) -> Vec<Vec<Vec<f32>>> {
    let mut step = || shapes.iter().map(|s| random.values(s.iter().product(), -2.0, 2.0)).collect();
    (0..steps).map(|_| step()).collect()
}

/// Everything that an optimizer changed.
fn outcome(optimizer: &dyn Optimizer, params: &[Param]) -> Vec<Tensor> {
    let state = optimizer.state().into_iter().map(|(_, t)| t);
    params.iter().map(|p| p.value().clone()).chain(state).collect()
}

/// AdamW as in the paper, plainly, in f64.
struct Plain {
    x: Vec<f64>,
    m: Vec<f64>,
    v: Vec<f64>,
}

impl Plain {
    fn new(x: &[f32]) -> Self {
        let zeros = vec![0.0; x.len()];
        Self { x: x.iter().map(|v| f64::from(*v)).collect(), m: zeros.clone(), v: zeros }
    }

    fn adamw(&mut self, g: &[f64], t: i32, (b1, b2): (f64, f64), lr: f64, decay: f64) {
        for (i, g) in g.iter().enumerate() {
            self.m[i] = b1 * self.m[i] + (1.0 - b1) * g;
            self.v[i] = b2 * self.v[i] + (1.0 - b2) * g * g;
            let m = self.m[i] / (1.0 - b1.powi(t));
            let v = self.v[i] / (1.0 - b2.powi(t));
            self.x[i] -= lr * decay * self.x[i] + lr * m / (v.sqrt() + 1e-8);
        }
    }

    fn sgd(&mut self, g: &[f64], momentum: f64, nesterov: bool, lr: f64, decay: f64) {
        for (i, g) in g.iter().enumerate() {
            self.v[i] = momentum * self.v[i] + g;
            let update = if nesterov { g + momentum * self.v[i] } else { self.v[i] };
            self.x[i] -= lr * decay * self.x[i] + lr * update;
        }
    }
}

/// Runs an optimizer and the same rule written plainly over a few steps, everywhere.
fn compare(
    steps: usize,
    make: impl Fn(&[Param]) -> Result<Box<dyn Optimizer>>,
    plain: impl Fn(&mut [f64], &mut [Vec<f64>; 3], &[f64], i32),
) {
    let shapes = [vec![5, 7], vec![8]];
    let mut random = Random::new(11);
    let (start, seeds) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, steps));
    for (label, device, tolerance) in everywhere() {
        let params = params(&device, &start).unwrap();
        let mut optimizer = make(&params).unwrap();
        let mut states: Vec<_> = start.iter().map(|(x, _)| wide(x)).collect();
        let mut moments: Vec<_> =
            start.iter().map(|(x, _)| [0, 1, 2].map(|_| vec![0.0; x.len()])).collect();
        for (t, seeds) in seeds.iter().enumerate() {
            step_all(&mut *optimizer, &params, seeds).unwrap();
            for (i, seed) in seeds.iter().enumerate() {
                plain(&mut states[i], &mut moments[i], &wide(seed), t as i32 + 1);
                assert_near(&label, params[i].value(), &states[i], 3.0 * tolerance);
            }
        }
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

#[test]
fn signum_is_the_papers() {
    for nesterov in [false, true] {
        let builder = Signum::builder().momentum(0.9).nesterov(nesterov).learning_rate(0.01);
        let builder = builder.weight_decay(0.2).decay_only(|_| true);
        compare(
            6,
            |p| boxed(builder.clone().build(p)),
            |x, [m, ..], g, _| {
                for (i, g) in g.iter().enumerate() {
                    m[i] = 0.9 * m[i] + g;
                    let u = if nesterov { g + 0.9 * m[i] } else { m[i] };
                    x[i] -= 0.01 * (0.2 * x[i] + u.signum());
                }
            },
        );
    }
}

#[test]
fn ademamix_is_the_papers() {
    let (b1, b2, b3, mix) = (0.8, 0.98, 0.95, 3.0);
    let builder = AdEmaMix::builder().betas(b1, b2, b3).mix(mix).warmup(4).learning_rate(0.02);
    compare(
        7,
        |p| boxed(builder.clone().weight_decay(0.0).build(p)),
        |x, [m, n, v], g, t| {
            let part = (f64::from(t) / 4.0).min(1.0);
            let f = |b: f64| 0.5f64.ln() / (b + 1e-8).ln() - 1.0;
            let mixed = (1.0 - part) * f(b1) + part * f(b3);
            let b3 = if t < 4 { 0.5f64.powf(1.0 / (mixed + 1.0)) } else { b3 };
            for (i, g) in g.iter().enumerate() {
                m[i] = b1 * m[i] + (1.0 - b1) * g;
                n[i] = b3 * n[i] + (1.0 - b3) * g;
                v[i] = b2 * v[i] + (1.0 - b2) * g * g;
                let up = m[i] / (1.0 - b1.powi(t)) + part * mix * n[i];
                x[i] -= 0.02 * up / ((v[i] / (1.0 - b2.powi(t))).sqrt() + 1e-8);
            }
        },
    );
}

#[test]
fn spam_is_the_papers() {
    let (b1, b2, theta, interval, warmup, grace) = (0.8, 0.9, 0.7, 4, 3, 2);
    for compat in [false, true] {
        let builder = Spam::builder().betas(b1, b2).theta(theta).interval(interval as u64);
        let builder = builder.warmup(warmup as u64).grace(grace as u64).eps(1e-3).compat(compat);
        compare(
            11,
            |p| boxed(builder.clone().learning_rate(0.02).build(p)),
            |x, [m, v, _], g, t| {
                let since = t % interval;
                let part = f64::from(since) / (f64::from(warmup) + 1.0);
                let ramp = 1.0 - 0.99 * (1.0 + (std::f64::consts::PI * part).cos()) / 2.0;
                let warm = if t < interval || since >= warmup { 1.0 } else { ramp };
                let age = if compat || t < interval { t } else { since + 1 };
                for (i, g) in g.iter().enumerate() {
                    if since == 0 {
                        (m[i], v[i]) = (0.0, 0.0);
                    }
                    let limited = t >= grace && since >= grace && g * g > theta * v[i];
                    let g = if limited { g.signum() * (theta * v[i]).sqrt() } else { *g };
                    m[i] = b1 * m[i] + (1.0 - b1) * g;
                    v[i] = b2 * v[i] + (1.0 - b2) * g * g;
                    let (c1, c2) = (1.0 - b1.powi(age), (1.0 - b2.powi(age)).sqrt());
                    let eps = if compat { 1e-3 / c2 } else { 1e-3 };
                    x[i] -= 0.02 * warm * (m[i] / c1) / (v[i].sqrt() / c2 + eps);
                }
            },
        );
    }
}

/// Elements outside of the mask rest; the mask is drawn anew at a reset and has the density asked
/// for.
#[test]
fn sparse_momentum_moves_a_part() {
    const COUNT: usize = 4000;
    for subject in subjects() {
        let start = vec![(vec![1.0; COUNT], vec![COUNT])];
        let params = params(&subject.device, &start).unwrap();
        let mut optimizer = spam().density(0.25, 3).build(&params).unwrap();
        let mut moved = Vec::new();
        for _ in 0..4 {
            let before = params[0].value().to_vec::<f32>().unwrap();
            step_all(&mut optimizer, &params, &[vec![1.0; COUNT]]).unwrap();
            let after = params[0].value().to_vec::<f32>().unwrap();
            moved.push(before.iter().zip(after).map(|(a, b)| *a != b).collect::<Vec<_>>());
        }
        assert_eq!(moved[0], moved[1], "{}", subject.label);
        assert_ne!(moved[1], moved[2], "drawn anew on {}", subject.label);
        assert_eq!(moved[2], moved[3], "{}", subject.label);
        let part = moved[0].iter().filter(|m| **m).count() as f64 / COUNT as f64;
        assert!((part - 0.25).abs() < 0.03, "{part} on {}", subject.label);
    }
}

/// The gradient's part along the parameter goes, its norm stays; what is parallel becomes 0.
#[test]
fn orthogonal_gradients() {
    let shapes = [vec![41, 7], vec![10_001]];
    let mut random = Random::new(21);
    let start = random_params(&mut random, &shapes);
    let seeds = seeds(&mut random, &shapes, 1).remove(0);
    for (label, device, tolerance) in everywhere() {
        let params = params(&device, &start).unwrap();
        let builder = Sgd::builder().momentum(0.0).learning_rate(1.0).orthogonal(true);
        let mut optimizer = builder.build(&params).unwrap();
        step_all(&mut optimizer, &params, &seeds).unwrap();
        for ((param, (w, _)), g) in params.iter().zip(&start).zip(&seeds) {
            let (w, g) = (wide(w), wide(g));
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let along = dot(&w, &g) / dot(&w, &w);
            let rest: Vec<f64> = g.iter().zip(&w).map(|(g, w)| g - along * w).collect();
            let scale = (dot(&g, &g) / dot(&rest, &rest)).sqrt();
            let expected: Vec<f64> = w.iter().zip(&rest).map(|(w, r)| w - scale * r).collect();
            assert_near(&label, param.value(), &expected, tolerance);
        }
        let scalar = Param::new("s", Tensor::from_slice(&device, &[0.7f32], [1]).unwrap());
        let scalar = [scalar];
        let mut optimizer = builder_for_scalars().build(&scalar).unwrap();
        step_all(&mut optimizer, &scalar, &[vec![0.3]]).unwrap();
        assert_near(&label, scalar[0].value(), &[f64::from(0.7f32)], tolerance);
    }
}

fn builder_for_scalars() -> spikegrad::optim::SgdBuilder {
    Sgd::builder().momentum(0.0).learning_rate(1.0).orthogonal(true)
}

/// `sum_j a_ij b_kj`, plainly: a [m, n], b [k, n].
fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let dot = |(a, b): (&[f64], &[f64])| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    a.chunks(n).flat_map(|a| b.chunks(n).map(move |b| dot((a, b)))).collect()
}

fn transposed(a: &[f64], columns: usize) -> Vec<f64> {
    (0..a.len()).map(|i| a[i % (a.len() / columns) * columns + i / (a.len() / columns)]).collect()
}

/// Five of Muon's steps on a wide matrix `[rows, columns]`.
fn plain_polar(x: &[f64], columns: usize) -> Vec<f64> {
    let rows = x.len() / columns;
    if rows > columns {
        return transposed(&plain_polar(&transposed(x, columns), rows), rows);
    }
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt() + 1e-7;
    let mut x: Vec<f64> = x.iter().map(|x| x / norm).collect();
    for _ in 0..5 {
        let gram = product(&x, &x, columns);
        let square = product(&gram, &gram, rows);
        let mixed = gram.iter().zip(&square).map(|(g, s)| -4.775 * g + 2.0315 * s);
        let step = product(&mixed.collect::<Vec<_>>(), &transposed(&x, columns), rows);
        x = x.iter().zip(&step).map(|(x, s)| 3.4445 * x + s).collect();
    }
    x
}

/// The published rules keep weights as `[outputs, inputs]`.
fn outputs_first(params: Vec<Param>) -> Vec<Param> {
    params.into_iter().map(Param::outputs_first).collect()
}

#[test]
fn muon_and_normuon_are_the_papers() {
    for (normalised, moonlight, rows) in [(false, false, 9), (false, true, 4), (true, false, 9)] {
        let columns = 6;
        let builder = if normalised { NorMuon::builder() } else { Muon::builder() };
        let builder = builder.momentum(0.9).weight_decay(0.1).moonlight(moonlight);
        let (mut random, shape) = (Random::new(33), vec![vec![rows, columns]]);
        let (start, seeds) = (random_params(&mut random, &shape), seeds(&mut random, &shape, 3));
        let gain = (rows as f64 / columns as f64).max(1.0).sqrt();
        let gain = if moonlight {
            0.2 * rows.max(columns) as f64 / (rows.max(columns) as f64).sqrt()
        } else {
            gain
        };
        for (label, device, tolerance) in everywhere() {
            let params = outputs_first(params(&device, &start).unwrap());
            let mut optimizer = builder.clone().build(&params).unwrap();
            let mut x = wide(&start[0].0);
            let (mut m, mut v) = (vec![0.0; x.len()], vec![0.0; rows]);
            for seeds in &seeds {
                step_all(&mut optimizer, &params, seeds).unwrap();
                let g = wide(&seeds[0]);
                m.iter_mut().zip(&g).for_each(|(m, g)| *m = 0.9 * *m + 0.1 * g);
                let z: Vec<f64> = m.iter().zip(&g).map(|(m, g)| 0.9 * m + 0.1 * g).collect();
                let mut u = plain_polar(&z, columns);
                if normalised {
                    let norm = |u: &[f64]| u.iter().map(|u| u * u).sum::<f64>().sqrt();
                    let before = norm(&u);
                    for (u, v) in u.chunks_mut(columns).zip(&mut v) {
                        *v = 0.95 * *v + 0.05 * norm(u).powi(2) / columns as f64;
                        u.iter_mut().for_each(|u| *u /= v.sqrt() + 1e-8);
                    }
                    let after = norm(&u);
                    u.iter_mut().for_each(|u| *u *= before / after);
                }
                x.iter_mut().zip(&u).for_each(|(x, u)| *x -= 0.02 * (0.1 * *x + gain * u));
                assert_near(&label, params[0].value(), &x, 5.0 * tolerance);
            }
        }
    }
}

#[test]
fn dion_is_the_papers() {
    let (rows, columns, rank) = (7, 5, 3);
    let (mut random, shape) = (Random::new(37), vec![vec![rows, columns]]);
    let (start, seeds) = (random_params(&mut random, &shape), seeds(&mut random, &shape, 4));
    let builder = Dion::builder().rank(0.5).momentum(0.8).weight_decay(0.1).seed(5);
    let gain = (rows as f64 / columns as f64).sqrt();
    for (label, device, tolerance) in everywhere() {
        let params = outputs_first(params(&device, &start).unwrap());
        let mut optimizer = builder.clone().build(&params).unwrap();
        let state = optimizer.state();
        let (name, q) = &state[2];
        assert_eq!((name.as_str(), q.shape().dims()), ("dion.q.p0", [columns, rank].as_slice()));
        let mut q = q.to_vec::<f64>().unwrap();
        let (mut x, mut m) = (wide(&start[0].0), vec![0.0; rows * columns]);
        for seeds in &seeds {
            step_all(&mut optimizer, &params, seeds).unwrap();
            m.iter_mut().zip(&seeds[0]).for_each(|(m, g)| *m += f64::from(*g));
            let b = product(&m, &transposed(&q, rank), columns);
            let left = gram_schmidt(&transposed(&b, rank), rows);
            let p = transposed(&left, rows);
            let r = product(&transposed(&m, columns), &left, rows);
            let part = product(&p, &r, rank);
            m.iter_mut().zip(&part).for_each(|(m, part)| *m -= 0.2 * part);
            q = transposed(&unit_rows(&transposed(&r, rank), columns), columns);
            let u = product(&p, &q, rank);
            x.iter_mut().zip(&u).for_each(|(x, u)| *x -= 0.01 * (0.1 * *x + gain * u));
            assert_near(&label, params[0].value(), &x, 10.0 * tolerance);
        }
    }
}

/// Orthonormal rows that span those of `[rows, columns]`, each from those before it.
fn gram_schmidt(a: &[f64], columns: usize) -> Vec<f64> {
    let mut done: Vec<Vec<f64>> = Vec::new();
    for row in a.chunks(columns) {
        let mut row = row.to_vec();
        for other in &done {
            let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        done.push(unit_rows(&row, columns));
    }
    done.concat()
}

/// Rows divided by their norms.
fn unit_rows(a: &[f64], columns: usize) -> Vec<f64> {
    let norm = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>().sqrt();
    a.chunks(columns)
        .flat_map(|row| row.iter().map(|v| v / norm(row)).collect::<Vec<_>>())
        .collect()
}

/// Weights kept the other way round take the same steps, turned; axes other than that of the outputs
/// are one. The weight of this crate's linear layer needs no word about it.
#[test]
fn orientations_of_weights() {
    let (rows, columns) = (8, 5);
    let mut random = Random::new(35);
    let start = random.values(rows * columns, -1.0, 1.0);
    let gradient = random.values(rows * columns, -1.0, 1.0);
    let turned = |v: &[f32]| -> Vec<f32> {
        transposed(&wide(v), columns).iter().map(|v| *v as f32).collect()
    };
    type Make = fn(&[Param]) -> Result<Box<dyn Optimizer>>;
    let rules: [(&str, Make); 4] = [
        ("muon", |p| boxed(Muon::builder().build(p))),
        ("moonlight", |p| boxed(Muon::builder().moonlight(true).build(p))),
        ("normuon", |p| boxed(NorMuon::builder().build(p))),
        ("spectra", |p| boxed(AdamW::builder().post_clip(SpectralClip::new(2.0)).build(p))),
    ];
    for (label, device, tolerance) in everywhere() {
        let run = |make: Make, param: Param, g: &[f32]| {
            let params = [param];
            let mut optimizer = make(&params).unwrap();
            for _ in 0..2 {
                step_all(&mut *optimizer, &params, &[g.to_vec()]).unwrap();
            }
            params[0].value().to_vec::<f64>().unwrap()
        };
        let param = |x: &[f32], shape: &[usize]| {
            Param::new("w", Tensor::from_slice(&device, x, shape).unwrap())
        };
        for (name, make) in rules {
            let first = run(make, param(&start, &[rows, columns]).outputs_first(), &gradient);
            let last = run(make, param(&turned(&start), &[columns, rows]), &turned(&gradient));
            let expected = transposed(&first, columns);
            for (a, b) in last.iter().zip(&expected) {
                assert!((a - b).abs() < 50.0 * tolerance, "{name} on {label}: {a}, not {b}");
            }
        }
        let whole = run(rules[2].1, param(&start, &[4, 10]), &gradient);
        let parts = run(rules[2].1, param(&start, &[2, 2, 10]), &gradient);
        assert_eq!(whole, parts, "{label}");
        let whole = run(rules[2].1, param(&start, &[10, 4]).outputs_first(), &gradient);
        let parts = run(rules[2].1, param(&start, &[10, 2, 2]).outputs_first(), &gradient);
        assert_eq!(whole, parts, "{label}");
    }
    let mut random = spikegrad::random::Generator::new(&Device::host(), 1).unwrap();
    let layer = spikegrad::nn::Linear::builder(3, 12).build(&mut random).unwrap();
    assert_eq!(layer.weight().orientation(), Orientation::OutputsLast);
    // Four times as many outputs as inputs: a gain of 2 over a step of the same matrix turned.
    let params = [layer.weight().clone()];
    let before = params[0].value().to_vec::<f64>().unwrap();
    let seed = random_matrix_of(36);
    let mut optimizer = Muon::builder().learning_rate(1.0).build(&params).unwrap();
    step_all(&mut optimizer, &params, &[seed]).unwrap();
    let after = params[0].value().to_vec::<f64>().unwrap();
    let moved: f64 = after.iter().zip(&before).map(|(a, b)| (a - b).powi(2)).sum();
    assert!(moved > 2.0 * 2.0 * 3.0 * 0.4 && moved < 2.0 * 2.0 * 3.0 * 1.6, "{moved}");
}

fn random_matrix_of(count: usize) -> Vec<f32> {
    Random::new(77).values(count, -1.0, 1.0)
}

/// The largest singular value of `[rows, columns]`, by power iteration.
fn plain_norm(x: &[f64], columns: usize) -> f64 {
    let mut v = vec![1.0; columns];
    let mut norm = 0.0;
    for _ in 0..200 {
        let y = product(x, &v, columns);
        v = product(&transposed(x, columns), &y, y.len());
        let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        norm = length.sqrt();
        v.iter_mut().for_each(|v| *v /= length);
    }
    norm
}

/// A step's spectral norm is at most rate, gain and radius; while the rate warms up, its product with
/// the radius stays; a radius beyond every update changes nothing.
#[test]
fn spectra_bounds_every_step() {
    let (rows, columns) = (24, 6);
    let mut random = Random::new(41);
    let start = vec![(vec![0.0f32; rows * columns], vec![rows, columns])];
    let gradient = vec![random.values(rows * columns, -1.0, 1.0)];
    let schedule = Schedule::constant(0.1).warmup(2);
    for (label, device, _) in everywhere() {
        let moves = |c: Option<f64>| {
            let params = outputs_first(params(&device, &start).unwrap());
            let builder = AdamW::builder().weight_decay(0.0).schedule(schedule);
            let clip = |c: f64| SpectralClip::new(c);
            let builder = match c {
                Some(c) => builder.post_clip(clip(c)),
                None => builder,
            };
            let mut optimizer = builder.build(&params).unwrap();
            let mut last = vec![0.0; rows * columns];
            let mut norms = Vec::new();
            for _ in 0..3 {
                step_all(&mut optimizer, &params, &gradient).unwrap();
                let x = params[0].value().to_vec::<f64>().unwrap();
                let change: Vec<f64> = x.iter().zip(&last).map(|(x, l)| x - l).collect();
                norms.push(plain_norm(&change, columns));
                last = x;
            }
            (last, norms)
        };
        let (plain, free) = moves(None);
        let (_, bound) = moves(Some(0.5));
        // Signs of 24 x 6 have singular values of about 3 to 7.
        for (norm, free) in bound.iter().zip(&free) {
            assert!(*norm < 0.1 * 2.0 * 0.5 * 1.001, "{label}: {bound:?}");
            assert!(*free > 0.1, "{label}: {free}");
        }
        // At half the rate the radius is doubled: a step nearly as long as the next.
        assert!(bound[0] > 0.95 * bound[1], "{label}: {bound:?}");
        let (wide, _) = moves(Some(1e4));
        let doubled: Vec<f64> = plain.iter().map(|x| 2.0 * x).collect();
        for (a, b) in wide.iter().zip(&doubled) {
            assert!((a - b).abs() < 1e-4, "{label}: {a}, not {b}");
        }
    }
}

/// Steps with bad gradients are found before pre-clipping can hide them, and without being asked to.
#[test]
fn spectral_hooks_skip_bad_gradients() {
    let clip = || SpectralClip::new(0.5);
    for subject in subjects() {
        for builder in [NorMuon::builder().pre_clip(clip()), Muon::builder()] {
            let rest = AdamW::builder().pre_clip(clip()).post_clip(clip());
            let builder = builder.group("vectors", |p| p.value().shape().rank() < 2, rest);
            skips_bad_gradients(&subject.label, &subject.device, builder);
        }
    }
}

fn skips_bad_gradients(label: &str, device: &Device, builder: spikegrad::optim::MuonBuilder) {
    let start = vec![(vec![1.0; 12], vec![3, 4]), (vec![2.0; 5], vec![5])];
    let params = params(device, &start).unwrap();
    let mut optimizer = builder.build(&params).unwrap();
    let good = vec![vec![0.5; 12], vec![0.25; 5]];
    step_all(&mut optimizer, &params, &good).unwrap();
    let bits = |o: &dyn Optimizer| -> Vec<Vec<f32>> {
        outcome(o, &params).iter().map(|t| t.to_vec::<f32>().unwrap()).collect()
    };
    let mut before = bits(&optimizer);
    for (place, fault) in [(0, f32::NAN), (1, f32::INFINITY)] {
        let mut bad = good.clone();
        bad[place][3] = fault;
        step_all(&mut optimizer, &params, &bad).unwrap();
    }
    let mut after = bits(&optimizer);
    assert_eq!(optimizer.skipped().unwrap(), 2);
    // The state of clipping itself counts.
    before.remove(2);
    after.remove(2);
    assert_eq!(before, after, "{label}");
}

#[test]
fn constraints_hold() {
    for (label, device, tolerance) in everywhere() {
        let x = [0.5f32, -0.4, 0.02, -3.0, 9.0];
        let apply = |constraint: Constraint| {
            let params = [Param::new("x", Tensor::from_slice(&device, &x, [5]).unwrap())];
            let mut optimizer = sgd_to(constraint).learning_rate(0.0).build(&params).unwrap();
            step_all(&mut optimizer, &params, &[vec![1.0; 5]]).unwrap();
            params[0].value().clone()
        };
        let expect = |constraint: Constraint, f: &dyn Fn(f64) -> f64| {
            let expected: Vec<f64> = x.iter().map(|x| f(f64::from(*x))).collect();
            assert_near(&label, &apply(constraint), &expected, tolerance);
        };
        expect(Constraint::Free, &|x| x);
        expect(Constraint::NonNegative, &|x| x.max(0.0));
        expect(Constraint::Box { low: -1.0, high: 2.0 }, &|x| x.clamp(-1.0, 2.0));
        let infinite = f32::INFINITY;
        expect(Constraint::Box { low: -infinite, high: infinite }, &|x| x);
        expect(Constraint::Compand { a: 0.5, b: 0.25 }, &|x| 0.5 * (x / 0.25).atan());
    }
}

fn assert_near(what: &str, found: &Tensor, expected: &[f64], tolerance: f64) {
    let found = found.to_vec::<f64>().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{what}, element {i}: {a}, not {b}");
    }
}

/// The devices under test and the oracle.
fn everywhere() -> Vec<(String, Device, f64)> {
    let subject = |s: &kernels_tests::Subject| (s.label.clone(), s.device.clone(), 3e-6);
    let oracle = ("oracle".to_string(), oracle().clone(), 2e-8);
    subjects().iter().map(subject).chain([oracle]).collect()
}

#[test]
fn adamw_is_the_papers() {
    let shapes = [vec![7, 13], vec![5], vec![1, 1]];
    let mut random = Random::new(1);
    let (start, seeds) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 12));
    let schedule = Schedule::cosine(0.02, 12).warmup(3);
    let clip = 5.0;
    let mut plain: Vec<Plain> = start.iter().map(|(x, _)| Plain::new(x)).collect();
    for (t, seeds) in seeds.iter().enumerate() {
        let norm = seeds.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let factor = clip / norm.max(clip);
        for (i, (plain, seed)) in plain.iter_mut().zip(seeds).enumerate() {
            let g: Vec<f64> = seed.iter().map(|g| f64::from(*g) * factor).collect();
            let (decay, scale) = (if i == 1 { 0.0 } else { 0.3 }, if i == 2 { 0.5 } else { 1.0 });
            let lr = schedule.at(t as u64 + 1) * scale;
            plain.adamw(&g, t as i32 + 1, (0.8, 0.99), lr, decay);
        }
    }
    for (label, device, tolerance) in everywhere() {
        let params = params(&device, &start).unwrap();
        let builder = AdamW::builder().betas(0.8, 0.99).weight_decay(0.3).schedule(schedule);
        let builder = builder.clip_norm(clip).scale_rate(0.5, |p| p.name() == "p2");
        let mut optimizer = builder.build(&params).unwrap();
        for seeds in &seeds {
            step_all(&mut optimizer, &params, seeds).unwrap();
        }
        for (param, plain) in params.iter().zip(&plain) {
            assert_near(&label, param.value(), &plain.x, tolerance);
        }
        assert_eq!((optimizer.steps(), optimizer.skipped().unwrap()), (12, 0));
    }
}

#[test]
fn sgd_is_the_textbooks() {
    let shapes = [vec![11, 3], vec![4]];
    for nesterov in [false, true] {
        let mut random = Random::new(2);
        let (start, seeds) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 6));
        for (label, device, tolerance) in everywhere() {
            let params = params(&device, &start).unwrap();
            let builder = Sgd::builder().momentum(0.8).nesterov(nesterov).learning_rate(0.05);
            let mut optimizer = builder.weight_decay(0.1).build(&params).unwrap();
            let mut plain: Vec<Plain> = start.iter().map(|(x, _)| Plain::new(x)).collect();
            for seeds in &seeds {
                step_all(&mut optimizer, &params, seeds).unwrap();
                for (i, (plain, seed)) in plain.iter_mut().zip(seeds).enumerate() {
                    let g: Vec<f64> = seed.iter().map(|g| f64::from(*g)).collect();
                    plain.sgd(&g, 0.8, nesterov, 0.05, if i == 0 { 0.1 } else { 0.0 });
                }
            }
            for (param, plain) in params.iter().zip(&plain) {
                assert_near(&label, param.value(), &plain.x, tolerance);
            }
        }
    }
}

/// Every rule and hook under a name.
const MAKERS: &[(&str, Maker)] = &[
    ("adamw", |p| boxed(AdamW::builder().clip_norm(3.0).build(p))),
    ("adam, spikes", |p| boxed(Adam::builder().spike_clip(50.0).skip_non_finite(true).build(p))),
    ("sgd", |p| boxed(Sgd::builder().nesterov(true).clip_norm(3.0).build(p))),
    ("sgd without momentum", |p| boxed(Sgd::builder().momentum(0.0).build(p))),
    ("signum", |p| boxed(Signum::builder().nesterov(false).learning_rate(0.01).build(p))),
    ("ademamix", |p| boxed(AdEmaMix::builder().warmup(5).clip_norm(3.0).build(p))),
    ("spam", |p| boxed(spam().theta(2.0).build(p))),
    ("spam, compat", |p| boxed(spam().compat(true).build(p))),
    ("spam, sparse", |p| boxed(spam().density(0.4, 7).weight_decay(0.1).build(p))),
    ("orthogonal", |p| boxed(Sgd::builder().orthogonal(true).clip_norm(1.0).build(p))),
    ("not negative", |p| boxed(sgd_to(Constraint::NonNegative).build(p))),
    ("box", |p| boxed(sgd_to(Constraint::Box { low: -0.3, high: 0.1 }).build(p))),
    ("companding", |p| boxed(sgd_to(Constraint::Compand { a: 0.6, b: 0.4 }).build(p))),
    ("muon", |p| boxed(Muon::builder().weight_decay(0.1).build(p))),
    ("muon in a box", |p| {
        let box_of = Constraint::Box { low: -0.5, high: 0.4 };
        boxed(Muon::builder().polar(Polar::muon(5)).constraint(box_of).build(p))
    }),
    ("moonlight", |p| boxed(Muon::builder().moonlight(true).nesterov(false).build(p))),
    ("normuon", |p| boxed(NorMuon::builder().clip_norm(2.0).build(p))),
    ("normuon, outputs first", |p| {
        let turned: Vec<_> = p.iter().map(|p| p.clone().outputs_first()).collect();
        boxed(NorMuon::builder().build(&turned))
    }),
    ("spectra", |p| {
        let schedule = Schedule::constant(0.01).warmup(3);
        boxed(AdamW::builder().schedule(schedule).post_clip(SpectralClip::new(2.0)).build(p))
    }),
    ("spectra, both", |p| {
        let clips = Sgd::builder().pre_clip(SpectralClip::new(1.0).compat(true));
        boxed(clips.post_clip(SpectralClip::new(0.5)).clip_norm(3.0).build(p))
    }),
    ("spectra, pre", |p| {
        // An eps that is small beside what a clip leaves of an element would let rounding choose the
        // sign of the first step.
        let clips = AdamW::builder().eps(1e-3).pre_clip(SpectralClip::new(0.1));
        boxed(clips.skip_non_finite(true).build(p))
    }),
    ("spectra around signum", |p| {
        let schedule = Schedule::cosine(0.01, 9).warmup(3).floor(0.001);
        let clips = Signum::builder().compat(true).post_clip(SpectralClip::new(1.0));
        boxed(clips.schedule(schedule).build(p))
    }),
    ("spectra around ademamix", |p| {
        let clips = AdEmaMix::builder().eps(1e-3).warmup(9).pre_clip(SpectralClip::new(0.5));
        let vectors = AdEmaMix::builder().warmup(9);
        let clips = clips.post_clip(SpectralClip::new(2.0)).clip_warmup(4);
        boxed(clips.group("vectors", |p| p.value().shape().rank() < 2, vectors).build(p))
    }),
    ("scheduled", |p| {
        let schedule = Schedule::cosine(0.1, 9).warmup(2);
        boxed(AdamW::builder().schedule(schedule).clip_norm(1.0).build(p))
    }),
    ("dion", |p| boxed(Dion::builder().clip_norm(2.0).build(p))),
    ("groups", |p| {
        let rest = Sgd::builder().learning_rate(0.02).orthogonal(true);
        let main = AdEmaMix::builder().group("vectors", |p| p.value().shape().rank() < 2, rest);
        boxed(main.clip_norm(2.0).build(p))
    }),
];

type Maker = fn(&[Param]) -> Result<Box<dyn Optimizer>>;

fn boxed(optimizer: Result<impl Optimizer + 'static>) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(optimizer?))
}

fn spam() -> spikegrad::optim::SpamBuilder {
    Spam::builder().interval(3).warmup(2).grace(1).learning_rate(0.01)
}

fn sgd_to(constraint: Constraint) -> spikegrad::optim::SgdBuilder {
    Sgd::builder().learning_rate(0.1).constraint(constraint)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn devices_agree_with_the_oracle(seed in any::<u64>(), rows in 1usize..90, columns in 1usize..70) {
        let shapes = [vec![rows, columns], vec![columns]];
        let mut random = Random::new(seed);
        let (start, seeds) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 5));
        for (name, make) in MAKERS {
            conform(name, 5e-5, |device| {
                let params = params(device, &start)?;
                let mut optimizer = make(&params)?;
                for seeds in &seeds {
                    step_all(&mut *optimizer, &params, seeds)?;
                }
                Ok(outcome(&*optimizer, &params))
            });
        }
    }
}

/// More elements than one axis of workgroups holds, and than the chunks of the norm.
#[test]
fn large_parameters() {
    const COUNT: usize = 65_536 * 64 + 17;
    let start = vec![(Random::new(3).values(COUNT, -1.0, 1.0), vec![COUNT])];
    let seeds = vec![Random::new(4).values(COUNT, -1.0, 1.0)];
    conform("large", 2e-5, |device| {
        let params = params(device, &start)?;
        let mut optimizer = AdamW::builder().clip_norm(1.0).build(&params)?;
        step_all(&mut optimizer, &params, &seeds)?;
        Ok(outcome(&optimizer, &params))
    });
}

spikegrad::params! {
struct SquareSums {
    counts: [u32; 8],
    chunks: [u32; 8],
    ends: [u32; 8],
    gradients: u32,
    offset: u32,
    unused: [u32; 2],
}
}

/// The tree of the hardware path, with every workgroup size that it may have, on one gradient and on
/// as many as a launch takes.
#[test]
fn norm_in_workgroup_memory() {
    let find = |name| spikegrad::kernels().into_iter().find(|k| k.name == name).unwrap();
    let (square_sums, clip_factor) = (find("square_sums"), find("clip_factor"));
    let cases: [&[(usize, usize)]; 4] = [
        &[(1, 4096)],
        &[(4097, 4096)],
        &[(10_007, 512)],
        &[(3, 4096), (4097, 4096), (1, 7), (600, 512), (10_007, 512), (64, 64), (5, 2)],
    ];
    for gradients in cases {
        for size in [1u32, 64, 256] {
            conform(&format!("norm of {gradients:?} by {size}"), 1e-5, |device| {
                let mut params = SquareSums { offset: 3, ..SquareSums::default() };
                let mut tensors = Vec::new();
                for (j, &(count, chunk)) in gradients.iter().enumerate() {
                    let values = Random::new((count + j) as u64).values(count, -1.0, 1.0);
                    tensors.push(Tensor::from_slice(device, &values, [count])?);
                    (params.counts[j], params.chunks[j]) = (count as u32, chunk as u32);
                    params.gradients += 1;
                    let before = if j == 0 { 0 } else { params.ends[j - 1] };
                    params.ends[j] = before + count.div_ceil(chunk) as u32;
                }
                let groups = params.ends[gradients.len() - 1];
                let partials =
                    Tensor::zeros(device, [groups as usize + 3, 4], spikegrad::DType::F32)?;
                let clip = Tensor::zeros(device, [4], spikegrad::DType::F32)?;
                let launch = device.launch(square_sums).params(&params).constant("WG", size);
                let launch = launch.constant("MANY", u32::from(gradients.len() > 1));
                let names = ["g0", "g1", "g2", "g3", "g4", "g5", "g6"];
                let bound = names.into_iter().zip(tensors.iter().cycle());
                let launch = bound.fold(launch, |launch, (name, g)| launch.bind(name, g));
                launch.bind("partials", &partials).groups([groups, 1, 1]).record()?;
                let params = [groups, 3, 2.0f32.to_bits()];
                let launch = device.launch(clip_factor).params(&params).constant("WG", size);
                launch.bind("partials", &partials).bind("clip", &clip).record()?;
                Ok(vec![partials, clip])
            });
        }
    }
}

#[test]
fn a_gradient_that_is_not_finite_skips_the_step() {
    for fault in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for subject in subjects() {
            let start = vec![(vec![1.0; 300], vec![300]), (vec![2.0; 5], vec![5])];
            let params = params(&subject.device, &start).unwrap();
            let mut optimizer = AdamW::builder().clip_norm(f64::INFINITY).build(&params).unwrap();
            let good = vec![vec![0.5; 300], vec![0.25; 5]];
            step_all(&mut optimizer, &params, &good).unwrap();
            let norm = (300.0f32 * 0.25 + 5.0 / 16.0).sqrt();
            assert!((optimizer.gradient_norm().unwrap() - norm).abs() < 1e-4 * norm);
            let bits = |t: &Tensor| t.to_vec::<f32>().unwrap();
            let moments =
                |o: &AdamW| o.state()[1..].iter().map(|(_, t)| bits(t)).collect::<Vec<_>>();
            let before = (bits(params[0].value()), bits(params[1].value()), moments(&optimizer));
            let mut bad = good.clone();
            bad[0][77] = fault;
            step_all(&mut optimizer, &params, &bad).unwrap();
            let after = (bits(params[0].value()), bits(params[1].value()), moments(&optimizer));
            assert_eq!(before, after, "{fault} on {}", subject.label);
            assert_eq!((optimizer.skipped().unwrap(), optimizer.steps()), (1, 2));
            step_all(&mut optimizer, &params, &good).unwrap();
            assert_ne!(before.0, bits(params[0].value()), "{}", subject.label);
            assert_eq!(optimizer.skipped().unwrap(), 1);
        }
    }
}

/// A skipped step leaves no trace: bias corrections count on the device, and do not count it. With
/// `skip_non_finite` as with clipping.
#[test]
fn skipped_steps_do_not_count_in_the_corrections() {
    let good = [vec![0.5, -0.25, 1.5], vec![0.1, 0.2, -0.3], vec![-1.0, 0.6, 0.9]];
    for subject in subjects() {
        let run = |faults: usize| {
            let start = vec![(vec![1.0, 2.0, 3.0], vec![3])];
            let params = params(&subject.device, &start).unwrap();
            let builder = AdEmaMix::builder().skip_non_finite(true);
            let mut optimizer = builder.build(&params).unwrap();
            for seed in &good {
                for _ in 0..faults {
                    let bad = [vec![1.0, f32::NAN, f32::INFINITY]];
                    step_all(&mut optimizer, &params, &bad).unwrap();
                }
                step_all(&mut optimizer, &params, std::slice::from_ref(seed)).unwrap();
            }
            assert_eq!(optimizer.skipped().unwrap(), 3 * faults as u64);
            let moments = optimizer.state().split_off(1).into_iter().map(|(_, t)| t);
            let tensors = moments.chain([params[0].value().clone()]);
            tensors.map(|t| t.to_vec::<f32>().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(run(0), run(2), "{}", subject.label);
    }
}

/// A replayed step is a recorded one on other gradients, and an optimizer restored from a file goes
/// on with the same bits: every rule and hook.
#[test]
fn replayed_and_restored_steps_have_the_same_bits() {
    let shapes = [vec![9, 31], vec![31]];
    let mut random = Random::new(5);
    let (start, seeds) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 9));
    let file = scratch("optim_state.safetensors");
    for subject in own_subjects() {
        for (name, make) in MAKERS {
            let label = format!("{name} on {}", subject.label);
            let expected = plain_steps(&subject.device, make, (&start, &seeds), &file);
            let replayed = replayed_steps(&subject.device, make, (&start, &seeds));
            assert_eq!(replayed, expected, "replay of {label}");
            let restored = restored_steps(&subject.device, make, (&start, &seeds), &file);
            assert_eq!(restored, expected, "restored {label}");
        }
    }
}

type Start<'a> = (&'a [(Vec<f32>, Vec<usize>)], &'a [Vec<Vec<f32>>]);

/// After so many of the steps the state is saved.
const SAVED: usize = 4;

fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

fn checkpoint(optimizer: &dyn Optimizer, params: &[Param]) -> Checkpoint {
    Checkpoint::new().params(params).optimizer("optimizer", optimizer)
}

fn bits_of(tensors: &[Tensor]) -> Vec<Vec<u32>> {
    let words = |t: &Tensor| t.to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
    tensors.iter().map(words).collect()
}

/// Step by step, with a file of the state on the way.
fn plain_steps(
    device: &Device,
    make: &Maker,
    (start, seeds): Start<'_>,
    file: &Path,
) -> Vec<Vec<u32>> {
    let params = params(device, start).unwrap();
    let mut optimizer = make(&params).unwrap();
    for (done, seeds) in seeds.iter().enumerate() {
        if done == SAVED {
            checkpoint(&*optimizer, &params).save(file).unwrap();
        }
        step_all(&mut *optimizer, &params, seeds).unwrap();
    }
    bits_of(&outcome(&*optimizer, &params))
}

/// One captured step, replayed on gradients that are written before.
fn replayed_steps(device: &Device, make: &Maker, (start, seeds): Start<'_>) -> Vec<Vec<u32>> {
    let params = params(device, start).unwrap();
    let mut optimizer = make(&params).unwrap();
    let mut step = Recorded::new(device, &params, &seeds[0], &mut *optimizer);
    for seeds in &seeds[1..] {
        step.replay(seeds);
    }
    bits_of(&outcome(&*optimizer, &params))
}

/// The steps after the file was written, from its contents.
fn restored_steps(
    device: &Device,
    make: &Maker,
    (start, seeds): Start<'_>,
    file: &Path,
) -> Vec<Vec<u32>> {
    let other: Vec<_> = start.iter().map(|(x, s)| (vec![0.5; x.len()], s.clone())).collect();
    let params = params(device, &other).unwrap();
    let mut optimizer = make(&params).unwrap();
    let notes = checkpoint(&*optimizer, &params).load(file).unwrap();
    optimizer.set_steps(notes.parse("optimizer.steps").unwrap());
    for seeds in &seeds[SAVED..] {
        step_all(&mut *optimizer, &params, seeds).unwrap();
    }
    bits_of(&outcome(&*optimizer, &params))
}

/// A captured step, and the gradients that it reads.
struct Recorded {
    gradients: Vec<Tensor>,
    capture: Capture,
}

impl Recorded {
    fn new(
        device: &Device,
        params: &[Param],
        seeds: &[Vec<f32>],
        optimizer: &mut dyn Optimizer,
    ) -> Self {
        let tensor = |(p, s): (&Param, &Vec<f32>)| {
            Tensor::from_slice(device, s, *p.value().shape()).unwrap()
        };
        let gradients: Vec<Tensor> = params.iter().zip(seeds).map(tensor).collect();
        let step = || optimizer.step(&given(params, gradients.clone())?);
        let ((), capture) = device.capture(step).unwrap();
        Self { gradients, capture }
    }

    fn replay(&mut self, seeds: &[Vec<f32>]) {
        for (gradient, seed) in self.gradients.iter().zip(seeds) {
            gradient.write(seed).unwrap();
        }
        self.capture.replay().unwrap();
    }
}

/// Every rule with a look at its gradients, alone and behind spectral clips.
const SKIPPERS: &[(&str, Maker)] = &[
    ("sgd", |p| boxed(Sgd::builder().skip_non_finite(true).build(p))),
    ("adam", |p| boxed(Adam::builder().skip_non_finite(true).build(p))),
    ("adamw", |p| boxed(AdamW::builder().clip_norm(1.0).build(p))),
    ("signum", |p| boxed(Signum::builder().skip_non_finite(true).build(p))),
    ("ademamix", |p| boxed(AdEmaMix::builder().skip_non_finite(true).build(p))),
    // Its intervals, as schedules, go on with every step, skipped or not.
    ("spam", |p| boxed(Spam::builder().grace(0).skip_non_finite(true).build(p))),
    ("muon", |p| boxed(Muon::builder().skip_non_finite(true).build(p))),
    ("moonlight", |p| boxed(Muon::builder().moonlight(true).skip_non_finite(true).build(p))),
    ("normuon", |p| boxed(NorMuon::builder().skip_non_finite(true).build(p))),
    ("dion", |p| boxed(Dion::builder().skip_non_finite(true).build(p))),
    ("orthogonal", |p| boxed(Sgd::builder().orthogonal(true).skip_non_finite(true).build(p))),
    ("spectra, pre", |p| {
        let builder = AdamW::builder().pre_clip(SpectralClip::new(0.5));
        boxed(builder.skip_non_finite(true).build(p))
    }),
    ("spectra, post", |p| {
        let builder = Signum::builder().post_clip(SpectralClip::new(0.5));
        boxed(builder.skip_non_finite(true).build(p))
    }),
    ("spectra, both", |p| {
        let clip = || SpectralClip::new(0.5);
        let builder = AdEmaMix::builder().pre_clip(clip()).post_clip(clip());
        boxed(builder.skip_non_finite(true).build(p))
    }),
];

/// Parameters and all state stay, but for the count of skipped steps and the numbers of the step;
/// the next step goes on.
#[test]
fn replayed_steps_of_every_rule_skip_bad_gradients() {
    let shapes = [vec![9, 13], vec![13]];
    let mut random = Random::new(6);
    let (start, good) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 2));
    for subject in own_subjects() {
        for (name, make) in SKIPPERS {
            let params = params(&subject.device, &start).unwrap();
            let mut optimizer = make(&params).unwrap();
            let mut step = Recorded::new(&subject.device, &params, &good[0], &mut *optimizer);
            let before = kept(&*optimizer, &params);
            for (place, fault) in [(0, f32::NAN), (1, f32::NEG_INFINITY)] {
                let mut bad = good[1].clone();
                bad[place][7] = fault;
                step.replay(&bad);
            }
            assert_eq!(kept(&*optimizer, &params), before, "{name} on {}", subject.label);
            assert_eq!(optimizer.skipped().unwrap(), 2, "{name} on {}", subject.label);
            step.replay(&good[1]);
            let after = kept(&*optimizer, &params);
            assert!(after.iter().zip(&before).all(|(a, b)| a != b), "{name} on {}", subject.label);
            let finite = |words: &Vec<u32>| words.iter().all(|w| f32::from_bits(*w).is_finite());
            assert!(after.iter().all(finite), "{name} on {}", subject.label);
        }
    }
}

/// A gradient that is not finite, be it in the first or the last element of any parameter, leaves
/// everything as it was, to the bit, and is counted; what follows is a run without it: eager and replayed.
#[test]
fn skipped_steps_leave_no_trace() {
    let shapes = [vec![9, 13], vec![13], vec![3, 5]];
    let mut random = Random::new(8);
    let (start, good) = (random_params(&mut random, &shapes), seeds(&mut random, &shapes, 2));
    let mut bad = Vec::new();
    for fault in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in 0..shapes.len() {
            for last in [false, true] {
                let mut seeds = good[1].clone();
                let at = if last { seeds[place].len() - 1 } else { 0 };
                seeds[place][at] = fault;
                bad.push(seeds);
            }
        }
    }
    for subject in own_subjects() {
        for (name, make) in SKIPPERS {
            for replayed in [false, true] {
                let label = format!("{name} on {}, replayed: {replayed}", subject.label);
                let run = |bad: &[Vec<Vec<f32>>]| {
                    let params = params(&subject.device, &start).unwrap();
                    let mut optimizer = make(&params).unwrap();
                    let mut recorded = replayed.then(|| {
                        Recorded::new(&subject.device, &params, &good[0], &mut *optimizer)
                    });
                    let mut step =
                        |optimizer: &mut dyn Optimizer, seeds: &[Vec<f32>]| match &mut recorded {
                            Some(recorded) => recorded.replay(seeds),
                            None => step_all(optimizer, &params, seeds).unwrap(),
                        };
                    if !replayed {
                        step(&mut *optimizer, &good[0]);
                    }
                    let before = kept(&*optimizer, &params);
                    for (i, seeds) in bad.iter().enumerate() {
                        step(&mut *optimizer, seeds);
                        assert_eq!(kept(&*optimizer, &params), before, "{label}, fault {i}");
                        assert_eq!(optimizer.skipped().unwrap(), i as u64 + 1, "{label}");
                    }
                    step(&mut *optimizer, &good[1]);
                    assert_eq!(optimizer.skipped().unwrap(), bad.len() as u64, "{label}");
                    let after = kept(&*optimizer, &params);
                    assert_ne!(after, before, "{label}");
                    after
                };
                assert_eq!(run(&bad), run(&[]), "{label}");
            }
        }
    }
}

/// Parameters and all state but the count of skipped steps and the numbers of the step.
fn kept(optimizer: &dyn Optimizer, params: &[Param]) -> Vec<Vec<u32>> {
    let state = optimizer.state().into_iter();
    let state = state.filter(|(n, _)| !n.ends_with(".clip") && !n.ends_with(".numbers"));
    let values = params.iter().map(|p| p.value().clone());
    bits_of(&values.chain(state.map(|(_, t)| t)).collect::<Vec<_>>())
}

/// Neither a gradient nor a saved state of another shape than the parameter's is taken.
#[test]
fn changed_shapes_are_refused() {
    let device = Device::host();
    let file = scratch("optim_shapes.safetensors");
    for (name, make) in MAKERS {
        let saved = params(&device, &[(vec![1.0; 12], vec![4, 3]), (vec![1.0; 3], vec![3])]);
        let saved = saved.unwrap();
        let mut optimizer = make(&saved).unwrap();
        let seeds = [vec![0.5f32; 12], vec![0.25; 3]];
        step_all(&mut *optimizer, &saved, &seeds).unwrap();
        checkpoint(&*optimizer, &saved).save(&file).unwrap();

        let mut gradients = joint(&saved, &seeds).unwrap();
        let other = Tensor::from_slice(&device, &seeds[0], [3, 4]).unwrap();
        let error = gradients.set(&saved[0], other);
        assert!(matches!(error, Err(Error::Shape { .. })), "{name}: {error:?}");

        let changed = params(&device, &[(vec![1.0; 20], vec![5, 4]), (vec![1.0; 4], vec![4])]);
        let changed = changed.unwrap();
        let other = make(&changed).unwrap();
        let state = Checkpoint::new().optimizer("optimizer", &*other);
        let held = state.load_part(&file);
        if other.state().iter().all(|(n, _)| n.ends_with(".clip") || n.ends_with(".numbers")) {
            continue; // nothing of a parameter's shape
        }
        let Err(Error::Format { .. }) = &held else { panic!("{name}: {held:?}") };
        assert!(held.unwrap_err().to_string().contains("p0"), "{name}");
    }
}

/// A group has the rule, rate, decay and hooks of its recipe; the last that chooses wins.
#[test]
fn groups_have_recipes_of_their_own() {
    for (label, device, tolerance) in everywhere() {
        let start: Vec<_> = (0..3).map(|_| (vec![1.0f32, -2.0], vec![2, 1])).collect();
        let params = params(&device, &start).unwrap();
        let sgd = Sgd::builder().momentum(0.0);
        let bound = sgd.clone().learning_rate(0.5).constraint(Constraint::NonNegative);
        let recipe = sgd.clone().learning_rate(0.1).weight_decay(0.5);
        let recipe = recipe.group("two", |p| p.name() != "p0", bound);
        let recipe = recipe.group("one", |p| p.name() == "p1", sgd.learning_rate(1.0));
        let mut optimizer = recipe.build(&params).unwrap();
        let seeds = vec![vec![1.0f32, 1.0]; 3];
        step_all(&mut optimizer, &params, &seeds).unwrap();
        assert_near(&label, params[0].value(), &[0.95 - 0.1, -1.9 - 0.1], tolerance);
        assert_near(&label, params[1].value(), &[0.0, -3.0], tolerance);
        assert_near(&label, params[2].value(), &[0.5, 0.0], tolerance);
        assert_eq!(optimizer.learning_rate(), 0.1);
        optimizer.set_learning_rate(0.0).unwrap();
        step_all(&mut optimizer, &params, &seeds).unwrap();
        assert_near(&label, params[0].value(), &[0.85, -2.0], tolerance);
        assert_near(&label, params[1].value(), &[-1.0, -4.0], tolerance);
    }
}

/// The weight starts as asked for, stays bounded, and its gradients are right.
#[test]
fn weight_compander() {
    let start = [0.9f32, -0.3, 0.0, 1.5, -1.5, 0.02];
    for (label, device, tolerance) in everywhere() {
        let tensor = Tensor::from_slice(&device, &start, [2, 3]).unwrap();
        let layer = Compander::new(&tensor, 1.0, 0.5).unwrap();
        let weight = layer.weight(&Tape::new()).unwrap();
        assert_near(&label, weight.value(), &wide(&start), tolerance);
        let names: Vec<String> = layer.params().iter().map(|p| p.name().to_string()).collect();
        assert_eq!(names, ["raw", "a", "b"]);
        assert!(Compander::new(&tensor, 0.9, 0.5).is_err(), "beyond the bound");
        assert!(Compander::new(&tensor, 1.0, 0.0).is_err());
    }
    let inputs: [(Vec<f64>, &[usize]); 3] =
        [(vec![0.3, -2.0, 0.01, 5.0], &[4]), (vec![0.8], &[1]), (vec![0.6], &[1])];
    let outcome = gradient_check(&inputs, 1e-5, |v| {
        Ok(vec![v[0].div(&v[2])?.unary(spikegrad::elementwise::Unary::Atan)?.mul(&v[1])?])
    });
    assert!(outcome.unwrap().error < 1e-7);
    conform("compander", 5e-6, |device| {
        let tensor = Tensor::from_slice(device, &start, [2, 3])?;
        let layer = Compander::new(&tensor, 1.0, 0.5)?;
        let weight = layer.weight(&Tape::new())?;
        let gradients = weight.backward_from(&tensor)?;
        let of = |param: &Param| gradients.of(param).cloned();
        Ok(layer.params().iter().filter_map(of).collect())
    });
}

/// What a rule makes of one gradient, at a rate of 1 from 0.
fn direction(device: &Device, make: &Maker, gradient: &[f32], shape: &[usize]) -> Vec<f64> {
    let start = [(vec![0.0; gradient.len()], shape.to_vec())];
    let params = params(device, &start).unwrap();
    let mut optimizer = make(&params).unwrap();
    step_all(&mut *optimizer, &params, &[gradient.to_vec()]).unwrap();
    assert_eq!(optimizer.skipped().unwrap(), 0);
    params[0].value().to_vec::<f64>().unwrap()
}

/// Rules whose directions are the same for gradients of every scale, but for an eps.
const SCALELESS: &[(&str, Maker)] = &[
    ("clipped", |p| boxed(Sgd::builder().learning_rate(1.0).clip_norm(1.0).build(p))),
    ("adam", |p| boxed(Adam::builder().learning_rate(1.0).skip_non_finite(true).build(p))),
    ("adamw", |p| boxed(AdamW::builder().learning_rate(1.0).clip_norm(1e30).build(p))),
    ("ademamix", |p| boxed(AdEmaMix::builder().learning_rate(1.0).build(p))),
    ("spam", |p| boxed(Spam::builder().learning_rate(1.0).build(p))),
    ("signum", |p| boxed(Signum::builder().learning_rate(1.0).build(p))),
    ("muon", |p| boxed(Muon::builder().learning_rate(1.0).build(p))),
    ("muon in full", |p| {
        boxed(Muon::builder().polar(Polar::express(8)).learning_rate(1.0).build(p))
    }),
    ("normuon", |p| boxed(NorMuon::builder().learning_rate(1.0).build(p))),
    ("dion", |p| boxed(Dion::builder().rank(1.0).learning_rate(1.0).build(p))),
    ("spectra", |p| {
        boxed(AdamW::builder().learning_rate(1.0).post_clip(SpectralClip::new(0.5)).build(p))
    }),
    ("spectra, pre", |p| {
        boxed(Adam::builder().learning_rate(1.0).pre_clip(SpectralClip::new(1e-6)).build(p))
    }),
];

#[test]
fn directions_of_every_scale() {
    let shape = [4, 6];
    let gradient = Random::new(71).values(24, 0.2, 1.0);
    let gradient: Vec<f32> =
        gradient.iter().enumerate().map(|(i, g)| if i % 3 == 0 { -g } else { *g }).collect();
    for subject in subjects() {
        for (name, make) in SCALELESS {
            let plain = direction(&subject.device, make, &gradient, &shape);
            assert!(plain.iter().any(|x| x.abs() > 1e-3), "{name}: {plain:?}");
            for scale in [1e-45f32, 1e-41, 1e-38, 1e-30, 1e-20, 1e10, 1e20, 1e30, 3e38] {
                let scaled: Vec<f32> = gradient.iter().map(|g| g * scale).collect();
                let found = direction(&subject.device, make, &scaled, &shape);
                let what = format!("{name} at {scale:e} on {}", subject.label);
                let most = plain.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                assert!(found.iter().all(|v| v.abs() < 1.5 * most), "{what}: {found:?}");
                // Products with Dion's factor reach beyond the largest numbers.
                if scale < 1.0
                    || *name == "dion" && scale > 1e37
                    || *name == "clipped" && scale < 10.0
                {
                    continue;
                }
                let near = |(a, b): (&f64, &f64)| (a - b).abs() < 2e-4 * most;
                assert!(found.iter().zip(&plain).all(near), "{what}: {found:?}, not {plain:?}");
            }
        }
        let signs: Maker = |p| boxed(Signum::builder().learning_rate(1.0).build(p));
        let tiny: Vec<f32> = gradient.iter().map(|g| g * 1e-30).collect();
        let found = direction(&subject.device, &signs, &tiny, &shape);
        assert_eq!(found, direction(&subject.device, &signs, &gradient, &shape));
        // Projected, then with the norm that it had.
        for scale in [1e-30f32, 1e-20, 1.0, 1e20, 1e30] {
            let start = [(vec![1.0f32; 24], shape.to_vec())];
            let params = params(&subject.device, &start).unwrap();
            let builder = Sgd::builder().momentum(0.0).learning_rate(1.0).orthogonal(true);
            let mut optimizer = builder.clip_norm(1.0).build(&params).unwrap();
            let scaled: Vec<f32> = gradient.iter().map(|g| g * scale).collect();
            step_all(&mut optimizer, &params, std::slice::from_ref(&scaled)).unwrap();
            let norm = scaled.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            let found = f64::from(optimizer.gradient_norm().unwrap());
            assert!(
                (found / norm - 1.0).abs() < 1e-4,
                "{found:e}, not {norm:e} on {}",
                subject.label
            );
        }
    }
}

/// One gradient, then zeros, as of a layer that fell silent: steps fade with the momentum, whose last
/// numbers are subnormal, and every number stays finite.
#[test]
fn without_gradients_steps_fade() {
    const RULES: &[(&str, Maker)] = &[
        ("sgd", |p| boxed(Sgd::builder().momentum(0.5).build(p))),
        ("adam", |p| boxed(Adam::builder().betas(0.5, 0.9).build(p))),
        ("signum", |p| boxed(Signum::builder().momentum(0.5).weight_decay(0.0).build(p))),
        ("ademamix", |p| {
            boxed(AdEmaMix::builder().betas(0.5, 0.9, 0.6).weight_decay(0.0).build(p))
        }),
        ("spam", |p| boxed(Spam::builder().betas(0.5, 0.9).build(p))),
        ("muon", |p| boxed(Muon::builder().momentum(0.5).build(p))),
        ("muon in full", |p| {
            boxed(Muon::builder().momentum(0.5).polar(Polar::express(8)).build(p))
        }),
        ("normuon", |p| boxed(NorMuon::builder().momentum(0.5).build(p))),
        ("dion", |p| boxed(Dion::builder().rank(1.0).momentum(0.5).build(p))),
        ("spectra", |p| {
            let builder = Adam::builder().betas(0.5, 0.9);
            boxed(builder.post_clip(SpectralClip::new(1.0)).build(p))
        }),
        ("spectra around signum", |p| {
            let builder = Signum::builder().momentum(0.5).weight_decay(0.0);
            boxed(builder.post_clip(SpectralClip::new(1.0)).build(p))
        }),
        ("spectra around sgd, pre", |p| {
            boxed(Sgd::builder().momentum(0.5).pre_clip(SpectralClip::new(1.0)).build(p))
        }),
    ];
    let start = vec![(Random::new(5).values(12, -1.0, 1.0), vec![3, 4])];
    let first = vec![Random::new(6).values(12, -0.01, 0.01)];
    for subject in own_subjects() {
        for (name, make) in RULES {
            let params = params(&subject.device, &start).unwrap();
            let mut optimizer = make(&params).unwrap();
            let mut step = Recorded::new(&subject.device, &params, &first, &mut *optimizer);
            let zeros = vec![vec![0.0f32; 12]];
            step.replay(&zeros);
            (0..200).for_each(|_| step.capture.replay().unwrap());
            let before = params[0].value().to_vec::<f32>().unwrap();
            (0..100).for_each(|_| step.capture.replay().unwrap());
            let after = params[0].value().to_vec::<f32>().unwrap();
            let what = format!("{name} on {}", subject.label);
            assert!(after.iter().all(|x| x.is_finite()), "{what}: {after:?}");
            let moved = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(moved < 1e-6, "{what}: {moved} in 100 steps without a gradient");
        }
    }
}

spikegrad::params! {
struct Columns {
    rows: u32,
    columns: u32,
    eps: f32,
}
}

/// Columns of very different sizes, each relative to its own largest element.
#[test]
fn unit_columns_of_every_size() {
    let kernel = spikegrad::kernels().into_iter().find(|k| k.name == "unit_columns").unwrap();
    let sizes = [1e-25f32, 1e15, 1.0, 0.0, 3e38, 1e-37];
    let mut random = Random::new(9);
    let values: Vec<f32> = (0..42).map(|i| random.uniform(0.2, 1.0) * sizes[i % 6]).collect();
    conform("unit columns", 2e-6, |device| {
        let r = Tensor::from_slice(device, &values, [7, 6])?;
        let q = Tensor::from_slice(device, &[0.5f32; 42], [7, 6])?;
        let f = Tensor::zeros(device, [7, 6], spikegrad::DType::F32)?;
        let params = Columns { rows: 7, columns: 6, eps: 1e-8 };
        let launch =
            device.launch(kernel).params(&params).bind("r", &r).bind("q", &q).bind("f", &f);
        launch.items(6).record()?;
        let [wide_q, wide_f] = [
            Tensor::from_slice(device, &[0.5f32; 42], [7, 6])?,
            Tensor::zeros(device, [7, 6], spikegrad::DType::F32)?,
        ];
        let launch = device
            .launch(kernel)
            .params(&params)
            .bind("r", &r)
            .bind("q", &wide_q)
            .bind("f", &wide_f);
        launch.when("WORKGROUP", true).workgroups(6).record()?;
        Ok(vec![q, f, wide_q, wide_f])
    });
}

spikegrad::params! {
struct Gram {
    n: u32,
}
}

/// What is not finite in a Gram matrix reaches every column that is made with it, and none before.
#[test]
fn a_gram_matrix_that_is_not_finite() {
    const N: usize = 5;
    let kernel = spikegrad::kernels().into_iter().find(|k| k.name == "gram_factor").unwrap();
    let b = Random::new(12).values(7 * N, -1.0, 1.0);
    let product = |i: usize, j: usize| (0..7).map(|r| b[r * N + i] * b[r * N + j]).sum::<f32>();
    let gram: Vec<f32> = (0..N * N).map(|at| product(at / N, at % N)).collect();
    for fault in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (row, column) in [(0, 0), (2, 2), (4, 4), (3, 1), (4, 2)] {
            let mut gram = gram.clone();
            (gram[row * N + column], gram[column * N + row]) = (fault, fault);
            for Subject { label, device } in subjects() {
                let run = || -> Result<Vec<f32>> {
                    let g = Tensor::from_slice(device, &gram, [N, N])?;
                    let [l, w] =
                        [(), ()].map(|()| Tensor::zeros(device, [N, N], spikegrad::DType::F32));
                    let (l, w) = (l?, w?);
                    let launch = device.launch(kernel).params(&Gram { n: N as u32 });
                    launch.bind("g", &g).bind("l", &l).bind("w", &w).workgroups(1).record()?;
                    w.to_vec()
                };
                let found = run().unwrap();
                for j in 0..N {
                    let finite = (0..=j).all(|i| found[i * N + j].is_finite());
                    assert_eq!(finite, j < row, "{fault} at {row}, {column} on {label}: {found:?}");
                }
            }
        }
    }
}

#[test]
fn mistakes_are_errors() {
    let device = Device::host();
    let param = |name: &str| Param::new(name, Tensor::from_slice(&device, &[1.0f32], [1]).unwrap());
    let one = [param("x")];
    let argument = |e: Result<AdamW>| assert!(matches!(e, Err(Error::Argument { .. })), "{e:?}");
    argument(AdamW::builder().build(&[]));
    argument(AdamW::builder().betas(0.9, 1.0).build(&one));
    argument(AdamW::builder().betas(f64::NAN, 0.9).build(&one));
    argument(AdamW::builder().eps(0.0).build(&one));
    argument(AdamW::builder().weight_decay(-1.0).build(&one));
    argument(AdamW::builder().clip_norm(0.0).build(&one));
    argument(AdamW::builder().learning_rate(f64::INFINITY).build(&one));
    argument(AdamW::builder().build(&[param("x"), param("x")]));
    assert!(Sgd::builder().momentum(1.0).build(&one).is_err());
    argument(AdamW::builder().spike_clip(0.0).build(&one));
    for c in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        argument(AdamW::builder().post_clip(SpectralClip::new(c)).build(&one));
        argument(AdamW::builder().pre_clip(SpectralClip::new(c)).build(&one));
    }
    assert!(Muon::builder().momentum(1.0).build(&one).is_err());
    assert!(Muon::builder().polar(Polar::muon(0)).build(&one).is_err());
    assert!(NorMuon::builder().neuron_beta(1.0).build(&one).is_err());
    assert!(Dion::builder().rank(0.0).build(&one).is_err());
    assert!(Dion::builder().momentum(1.0).build(&one).is_err());
    assert!(Dion::builder().post_clip(SpectralClip::new(1.0)).build(&one).is_err());
    argument(AdamW::builder().scale_rate(f64::NAN, |_| true).build(&one));
    argument(AdamW::builder().constraint(Constraint::Box { low: 1.0, high: 0.0 }).build(&one));
    argument(AdamW::builder().constraint(Constraint::Compand { a: 1.0, b: 0.0 }).build(&one));
    argument(AdamW::builder().group("empty", |_| false, Sgd::builder()).build(&one));
    argument(AdamW::builder().group("bad", |_| true, Sgd::builder().momentum(2.0)).build(&one));
    let bad = Spam::builder().weight_decay(f64::NAN);
    argument(AdamW::builder().group("bad", |_| true, bad).build(&one));
    assert!(Signum::builder().momentum(-0.1).build(&one).is_err());
    assert!(AdEmaMix::builder().mix(f64::NAN).build(&one).is_err());
    assert!(AdEmaMix::builder().betas(0.9, 0.9, 1.0).build(&one).is_err());
    assert!(Spam::builder().interval(0).build(&one).is_err());
    assert!(Spam::builder().theta(-1.0).build(&one).is_err());
    assert!(Spam::builder().density(0.0, 0).build(&one).is_err());
    assert!(Sgd::builder().build(&one).unwrap().set_learning_rate(-1.0).is_err());
    let words = Tensor::from_slice(&device, &[1u32], [1]).unwrap();
    let error = AdamW::builder().build(&[Param::new("w", words)]);
    assert!(matches!(error, Err(Error::DType { .. })));
    let other = Tensor::from_slice(&Device::oracle(), &[1.0f32], [1]).unwrap();
    let error = AdamW::builder().build(&[param("x"), Param::new("y", other)]);
    assert!(matches!(error, Err(Error::DeviceMismatch { .. })));
    // A gradient of the shape that the parameter had before it was replaced.
    let twice = [Param::new("x", Tensor::from_slice(&device, &[1.0f32; 2], [2]).unwrap())];
    let mut optimizer = AdamW::builder().build(&one).unwrap();
    let strange = optimizer.step(&joint(&twice, &[vec![1.0; 2]]).unwrap());
    assert!(matches!(strange, Err(Error::Argument { .. })), "{strange:?}");
    assert_eq!(optimizer.steps(), 0, "a refused step is not counted");
    assert_eq!(one[0].value().to_vec::<f32>().unwrap(), [1.0], "a stranger's gradient");
}

/// Every step is counted: two along the same gradients, one in a capture, and one every replay. A
/// capture holds one step of an optimizer, and goes on where single steps left off.
#[test]
fn every_step_is_counted() {
    for subject in own_subjects() {
        let start = vec![(vec![1.0f32, -2.0, 0.5], vec![3])];
        let seed = vec![vec![0.5f32, -0.25, 1.0]];
        let make = |params: &[Param]| {
            let schedule = Schedule::cosine(0.1, 8).warmup(3);
            AdamW::builder().schedule(schedule).build(params).unwrap()
        };
        let plain = params(&subject.device, &start).unwrap();
        let mut optimizer = make(&plain);
        (0..6).for_each(|_| step_all(&mut optimizer, &plain, &seed).unwrap());
        assert_eq!(optimizer.steps(), 6);
        let expected = plain[0].value().to_vec::<f32>().unwrap();

        let params = params(&subject.device, &start).unwrap();
        let mut optimizer = make(&params);
        let gradients = joint(&params, &seed).unwrap();
        (0..2).for_each(|_| optimizer.step(&gradients).unwrap());
        let step = || optimizer.step(&joint(&params, &seed)?);
        let ((), capture) = subject.device.capture(step).unwrap();
        capture.replay().unwrap();
        assert_eq!(optimizer.steps(), 4);
        optimizer.step(&gradients).unwrap();
        capture.replay().unwrap();
        assert_eq!(optimizer.steps(), 6);
        assert!(
            (optimizer.learning_rate() - Schedule::cosine(0.1, 8).warmup(3).at(6)).abs() < 1e-12
        );
        assert_eq!(params[0].value().to_vec::<f32>().unwrap(), expected, "{}", subject.label);

        let twice = subject.device.capture(|| {
            optimizer.step(&gradients)?;
            optimizer.step(&gradients)
        });
        assert!(matches!(twice, Err(Error::Argument { .. })), "{twice:?} on {}", subject.label);
    }
}

/// What is positive, or below 1, in f64 may not be in f32, which is computed in.
#[test]
fn numbers_are_checked_in_single_precision() {
    let device = Device::host();
    let one = [Param::new("x", Tensor::from_slice(&device, &[1.0f32], [1]).unwrap())];
    let refused = |e: Result<()>| assert!(matches!(e, Err(Error::Argument { .. })), "{e:?}");
    for tiny in [1e-60, 1e-40, 1e-320] {
        refused(Sgd::builder().clip_norm(tiny).build(&one).map(drop));
        refused(AdamW::builder().eps(tiny).build(&one).map(drop));
        refused(Spam::builder().theta(tiny).build(&one).map(drop));
        refused(Spam::builder().density(tiny, 0).build(&one).map(drop));
        refused(AdamW::builder().post_clip(SpectralClip::new(tiny)).build(&one).map(drop));
    }
    for huge in [1e39, 1e300] {
        refused(Sgd::builder().learning_rate(huge).build(&one).map(drop));
        refused(AdamW::builder().weight_decay(huge).build(&one).map(drop));
        refused(AdamW::builder().eps(huge).build(&one).map(drop));
        refused(AdEmaMix::builder().mix(huge).build(&one).map(drop));
        refused(AdamW::builder().scale_rate(huge, |_| true).build(&one).map(drop));
        refused(Muon::builder().polar(Polar::custom(&[[1.0, huge, 0.0]])).build(&one).map(drop));
        refused(Sgd::builder().build(&one).unwrap().set_learning_rate(huge));
    }
    let product = AdamW::builder().scale_rate(1e30, |_| true).scale_rate(1e30, |_| true);
    refused(product.build(&one).map(drop));
    for near in [1.0 - 1e-9, 1.0 - 1e-16] {
        refused(Sgd::builder().momentum(near).build(&one).map(drop));
        refused(AdamW::builder().betas(0.9, near).build(&one).map(drop));
        refused(AdEmaMix::builder().betas(0.9, 0.999, near).build(&one).map(drop));
        refused(Dion::builder().momentum(near).build(&one).map(drop));
        refused(NorMuon::builder().neuron_beta(near).build(&one).map(drop));
    }
    assert!(Sgd::builder().clip_norm(f64::INFINITY).build(&one).is_ok());
}

/// The reference case, where it is at hand: `SPIKEGRAD_GOLDEN`, else `../shared/golden` beside the
/// repository.
#[test]
fn adamw_reference_case() {
    let name = "opt_adamw_plain_8x5.json";
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden"));
    let folder = std::env::var_os("SPIKEGRAD_GOLDEN").map_or_else(beside, PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
        println!("skipped: no {name} in {}", folder.display());
        return;
    };
    let case: serde_json::Value = serde_json::from_str(&text).unwrap();
    let numbers = |v: &serde_json::Value| -> Vec<f64> {
        v["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let (start, grads) = (numbers(&case["W0"]), numbers(&case["grads"]));
    let trajectory = numbers(&case["traj"]);
    let number = |v: &serde_json::Value| v.as_f64().unwrap();
    let single = |v: &[f64]| v.iter().map(|v| *v as f32).collect::<Vec<_>>();
    for (label, device, _) in everywhere() {
        let start = vec![(single(&start), vec![8, 5])];
        let params = params(&device, &start).unwrap();
        let hyper = &case["hyper"];
        let builder = AdamW::builder().betas(number(&hyper["b1"]), number(&hyper["b2"]));
        let builder = builder.eps(number(&hyper["eps"])).learning_rate(number(&case["lr"]));
        let mut optimizer = builder.weight_decay(number(&case["wd"])).build(&params).unwrap();
        for (grad, expected) in grads.chunks(40).zip(trajectory.chunks(40)) {
            step_all(&mut optimizer, &params, &[single(grad)]).unwrap();
            assert_near(&label, params[0].value(), expected, 1e-5);
        }
    }
}

#[test]
fn a_parameter_under_two_names_is_refused() {
    let p = Param::new("p", Tensor::from_slice(oracle(), &[1.0, 2.0], [2]).unwrap());
    let shared = [p.clone().renamed("encoder.p"), p.renamed("decoder.p")];
    let error = Sgd::builder().build(&shared).unwrap_err().to_string();
    assert!(error.contains("`encoder.p` and `decoder.p` are one parameter"), "{error}");
}

#[test]
fn a_count_of_steps_without_an_end() {
    let p = Param::new("p", Tensor::from_slice(oracle(), &[1.0, 2.0], [2]).unwrap());
    let params = std::slice::from_ref(&p);
    let optimizers: [Box<dyn Optimizer>; 3] = [
        Box::new(Adam::builder().schedule(Schedule::cosine(1e-3, 9)).build(params).unwrap()),
        Box::new(AdEmaMix::builder().learning_rate(1e-3).warmup(u64::MAX).build(params).unwrap()),
        Box::new(Spam::builder().learning_rate(1e-3).build(params).unwrap()),
    ];
    for mut optimizer in optimizers {
        optimizer.set_steps(u64::MAX);
        optimizer.step(&given(params, vec![p.value().duplicate().unwrap()]).unwrap()).unwrap();
        assert_eq!(optimizer.steps(), u64::MAX);
        assert!(p.value().to_vec::<f64>().unwrap().iter().all(|v| v.is_finite()));
    }
}
