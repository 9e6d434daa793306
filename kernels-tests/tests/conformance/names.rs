//! What the parameters of models are called: files that were written keep their meaning.

use spikegrad::models::{
    FourierGnn, FourierGnnConfig, Mix, SpikeGpt, SpikeGptConfig, SpikfGo, SpikfGoConfig,
    SymbolicLight, SymbolicLightConfig,
};
use spikegrad::nn::Module;
use spikegrad::random::Generator;
use spikegrad::{Device, Result};

fn generator() -> Generator {
    Generator::new(&Device::host(), 1).expect("a generator")
}

/// The names of all that is saved, in order, are those of `text`.
fn are_called<M: Module>(model: Result<M>, text: &str) {
    let saved = model.expect("a model").saved();
    let names: Vec<&str> = saved.iter().map(|param| param.name()).collect();
    assert_eq!(names, text.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn symbolic_light() {
    let config = SymbolicLightConfig::new(9).width(8).layers(1).heads(2).ffn(8);
    are_called(
        SymbolicLight::new(&config, &mut generator()),
        "embedding.table embedding.norm.gain embedding.norm.bias
         blocks.0.query.weight blocks.0.key.weight blocks.0.value.weight blocks.0.share
         blocks.0.memory.weight blocks.0.memory.decay blocks.0.mixed.weight
         blocks.0.mixed.norm.gain blocks.0.mixed.norm.bias blocks.0.up.weight blocks.0.down.weight
         blocks.0.ffn.norm.gain blocks.0.ffn.norm.bias head.first head.second head.narrow.weight",
    );
}

#[test]
fn spike_gpt() {
    let config = SpikeGptConfig::new(9).width(8).layers(1).ffn(8);
    are_called(
        SpikeGpt::new(&config, &mut generator()),
        "embedding.table embedding.norm.gain embedding.norm.bias norm.gain norm.bias
         blocks.0.time.norm.gain blocks.0.time.norm.bias blocks.0.time.shift.key
         blocks.0.time.shift.value blocks.0.time.shift.receptance blocks.0.time.key.weight
         blocks.0.time.value.weight blocks.0.time.receptance.weight blocks.0.time.decay
         blocks.0.time.bonus blocks.0.time.output.weight blocks.0.channel.norm.gain
         blocks.0.channel.norm.bias blocks.0.channel.shift.key blocks.0.channel.shift.receptance
         blocks.0.channel.key.weight blocks.0.channel.value.weight
         blocks.0.channel.receptance.weight head.weight",
    );
}

#[test]
fn fourier_gnn() {
    let config = FourierGnnConfig::new(2).look_back(4).horizon(2).embed(3).hidden(4);
    let head = "head.projection head.first.weight head.first.bias head.second.weight
                head.second.bias head.third.weight head.third.bias";
    are_called(FourierGnn::new(&config, &mut generator()), &format!("embedding mix {head}"));
    let dense = "mix.0.weight mix.0.bias mix.1.weight mix.1.bias mix.2.weight mix.2.bias";
    are_called(
        FourierGnn::new(&config.mix(Mix::Dense), &mut generator()),
        &format!("embedding {dense} {head}"),
    );
}

#[test]
fn spikf_go() {
    let config = SpikfGoConfig::new(2).look_back(4).horizon(2).embed(3).slots(2).reduced(4);
    are_called(
        SpikfGo::new(&config.cpg(Some(2.0)), &mut generator()),
        "tokens.channels tokens.steps positions.spikes.weight positions.codes.weight
         positions.norm.gain positions.norm.bias gates operator.0.affine operator.0.weight
         operator.0.bias operator.1.affine operator.1.weight operator.1.bias operator.2.affine
         operator.2.weight operator.2.bias operator.residual.2 operator.residual.3
         decoder.slots.weight decoder.first.direction decoder.first.length decoder.first.bias
         decoder.second.direction decoder.second.length decoder.second.bias
         positions.norm.mean positions.norm.deviation",
    );
}
