//! What holds for every kernel of the table, without a GPU.

use kernels_tests::subjects;
use spikegrad::{Device, Tape, Tensor, elementwise};

#[test]
fn every_variant_composes_and_translates() {
    for kernel in spikegrad::kernels() {
        for (i, variant) in kernel.variants.iter().enumerate() {
            let program = kernel.program(i).unwrap_or_else(|e| panic!("{e}"));
            let (module, info) = spikegrad::specialise(kernel.name, &program.module, &[]).unwrap();
            assert!(program.reflection.bindings.len() <= 8);
            let label = format!("{} {}", kernel.name, variant.name);
            naga::back::spv::write_vec(&module, &info, &Default::default(), None)
                .unwrap_or_else(|e| panic!("{label}: {e}"));
        }
    }
}

#[test]
fn smoke() {
    for s in subjects() {
        let d = &s.device;
        let x = elementwise::full(d, [1000], 2.0).unwrap();
        let tape = Tape::new();
        let v = tape.leaf(&x);
        let _ = v;
        assert_eq!(x.to_vec::<f32>().unwrap(), vec![2.0; 1000], "{}", s.label);
        let (y, cap) = d.capture(|| elementwise::full(d, [70_000_00], 3.0)).unwrap();
        y.clear().unwrap();
        cap.replay().unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap()[6_999_999], 3.0, "{}", s.label);
        println!("{} {:?} {:?}", s.label, d.memory(), d.capabilities());
        d.shadow(true);
        elementwise::full(d, [10], 3.0).unwrap();
        d.shadow(false);
        let (_, p) = d.profile(|| elementwise::full(d, [1 << 22], 3.0)).unwrap();
        println!("{p}");
        let t = pollster::block_on(x.to_vec_async::<f32>()).unwrap();
        assert_eq!(t[999], 2.0);
    }
    let _ = Device::list();
    let _ = Tensor::zeros(&Device::host(), [3], spikegrad::DType::F32).unwrap();
}
