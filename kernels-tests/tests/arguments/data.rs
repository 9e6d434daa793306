//! Readers, series, pictures, files.

use super::bad::Trials;
use spikegrad::Param;
use spikegrad::checkpoint::{Checkpoint, Stored};
use spikegrad::data::{
    Batches, Csv, Idx, Part, Parts, Scale, Scaler, Series, Text, Tokenizer, Warp, Windows, digits,
    king_james, weather,
};
use spikegrad::optim::{Optimizer, Sgd};
use spikegrad::plot::{self, Curves, Raster};

const FILES: &[&[u8]] = &[
    b"",
    b"\n",
    b",",
    b"a,b\n1,2\n",
    b"a,b\n1\n",
    b"x;y\n1,5;2\n",
    b"\x1f\x8b",
    b"\x1f\x8b\x08\x00",
    b"\xff\xfe",
    b"\"",
    b"1e999,nan\n",
    b"\0\0\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\0\0\x08\x01\0\0\0\x02\x01\x02",
    b"\0\0\x08\x03\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff{}",
    b"\x02\0\0\0\0\0\0\0{}",
    b"{",
];

#[test]
fn images() {
    let split = digits().unwrap();
    let mut t = Trials::new(100);
    t.on("Images", |b| {
        let images = &split.test;
        let chosen: Vec<usize> = (0..b.index(4)).map(|_| b.size()).collect();
        let _ = (images.pixels(&chosen), images.labels(&chosen), images.len(), images.is_empty());
        let _ = (images.size(), images.features(), images.classes());
        let _ = images.moved(&chosen, [b.double(), b.double()]);
        let _ = images.moved(&[0], [b.double(), b.double()]);
        let warp = Warp {
            rotation: b.double(),
            stretch: b.double(),
            shear: b.double(),
            shift: b.double(),
        };
        let _ = (warp.pixels(images, &chosen, b.long(), b.long()), warp.pixels(images, &[0], 1, 1));
        let _ = images.clone().first(b.size()).len();
    });
    t.on("Split", |b| {
        let (part, parts) = (b.size(), b.size());
        split.clone().shuffled(b.long()).validation(part, parts).map(|_| ())
    });
    t.on("Batches", |b| {
        let samples = b.pick(&[0, 1, 2, 7, 100]);
        let batches = Batches::new(samples, b.size(), b.long());
        let _ = (batches.size(), batches.count(), batches.epoch(b.long()).len());
        let _ = batches.order(b.long());
        Batches::new(b.size(), b.size(), 1).count()
    });
    t.on("readers", |b| {
        let (bytes, axes) = (b.pick(FILES), b.size());
        let _ = (Idx::parse(bytes, axes, "x").is_ok(), Series::parse(bytes, "x").is_ok());
        let _ =
            (Text::parse(bytes, "x").is_ok(), Csv::new().header(b.on()).read(bytes, "x").is_ok());
        let _ = Csv::new().dates(b.on()).read(bytes, "x").is_ok();
        let nowhere = "/nonexistent/file";
        let _ = (
            Idx::open(nowhere, axes).is_ok(),
            Series::open(nowhere).is_ok(),
            Text::open(nowhere).is_ok(),
        );
        let _ = (Csv::new().open(nowhere).is_ok(), spikegrad::data::Split::folder(nowhere).is_ok());
    });
    t.done();
}

#[test]
fn series() {
    let hourly = weather().unwrap();
    let text = king_james().unwrap();
    let mut t = Trials::new(100);
    t.on("Series", |b| {
        let names: Vec<String> = (0..b.index(3)).map(|_| b.text()).collect();
        let dates = b.on().then(|| vec![b.text(); b.small()]);
        let values = vec![b.real(); b.small()];
        let series = Series::new(b.text(), names, dates, values).unwrap_or_else(|_| hourly.clone());
        let _ = (series.rows(), series.columns(), series.names().len(), series.dates().is_some());
        let _ = (
            series.values().len(),
            series.part(b.range()),
            series.first_columns(b.size()).columns(),
        );
        let scale = b.pick(&[Scale::MinMax, Scale::Standard, Scale::None]);
        let fitted = Scaler::fit(&series, b.range(), scale);
        let of_numbers = Scaler::new(vec![b.real(); b.index(3)], vec![b.real(); b.index(3)]);
        for scaler in [fitted, of_numbers].into_iter().flatten() {
            let _ = (scaler.apply(&series), scaler.shifts().len(), scaler.factors().len());
            scaler.undo(&mut vec![b.real(); b.small()]);
        }
        let parts = if b.on() {
            Parts::Rows([b.size(), b.size(), b.size()])
        } else {
            Parts::Shares([b.double(), b.double(), b.double()])
        };
        let rows = series.rows();
        let parts = parts.of(b.size()).or_else(|_| Parts::Shares([7.0, 2.0, 1.0]).of(rows));
        let parts = parts.unwrap_or([b.range(), b.range(), b.range()]);
        let Ok(windows) = Windows::new(series, &parts, b.size(), b.size()) else { return };
        let _ = (windows.look_back(), windows.horizon(), windows.series().rows());
        let part = b.pick(&[Part::Train, Part::Validation, Part::Test]);
        let _ = (
            windows.starts(part),
            windows.batch(part, &[b.size(), b.size()]),
            windows.shuffled(b.size(), 1).count(),
        );
    });
    t.on("Text", |b| {
        let (first, _) = text.split(b.double());
        let tokens = Tokenizer::characters(&b.text());
        let _ =
            (tokens.vocabulary(), tokens.encode(&b.text()), tokens.decode(&[b.word(), b.word()]));
        (first.len(), Tokenizer::Bytes.decode(&[b.word()]))
    });
    t.done();
}

#[test]
fn files() {
    let folder = std::env::temp_dir().join(format!("spikegrad-arguments-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut t = Trials::new(60);
    t.on("Checkpoint", |b| {
        let path = folder.join("checkpoint");
        let params: Vec<Param> =
            (0..b.index(3)).map(|_| Param::new(b.text(), b.tensor())).collect();
        let optimizer = Sgd::builder().build(&params);
        let mut checkpoint =
            Checkpoint::new().params(&params).tensor(b.text(), &b.tensor()).edited(b.on());
        if b.on() {
            checkpoint = checkpoint.note(b.text(), b.double());
        }
        if let Ok(optimizer) = &optimizer {
            checkpoint = checkpoint.optimizer(&b.text(), optimizer);
            let _ = optimizer.steps();
        }
        let _ = checkpoint.save(&path);
        if b.on() {
            std::fs::write(&path, b.pick(FILES)).unwrap();
        }
        for notes in [checkpoint.load(&path), checkpoint.load_part(&path), Checkpoint::notes(&path)]
            .into_iter()
            .flatten()
        {
            let _ = (
                notes.get(&b.text()).is_some(),
                notes.parse::<f64>(&b.text()),
                notes.iter().count(),
            );
        }
        let _ = Checkpoint::accept_edits(&path);
        if let Ok(stored) = Stored::open(&path) {
            let _ = (stored.tensors().count(), stored.metadata().len());
            let _ = stored.read(&b.text(), &b.device.clone(), b.dtype());
        }
        let _ =
            (checkpoint.save(b.pick(&["", "/", "/nonexistent/x"])), Checkpoint::notes("").is_ok());
    });
    t.on("pictures", |b| {
        let points: Vec<(f64, f64)> = (0..b.small()).map(|_| (b.double(), b.double())).collect();
        let curves = Curves::new(b.text()).x(b.text()).y(b.text()).series(b.text(), &points);
        let spikes = vec![true; b.small()];
        let raster = Raster::new(b.text(), &spikes, b.size()).x(b.text()).y(b.text());
        let raster = raster.borders([b.size(), b.size()]);
        let path = folder.join("picture.png");
        let _ = (
            plot::save(&path, &[&curves]),
            plot::save(&path, &[&raster, &curves]),
            plot::save(&path, &[]),
        );
        plot::save("/nonexistent/x.png", &[&curves])
    });
    t.done();
    std::fs::remove_dir_all(&folder).unwrap();
}
