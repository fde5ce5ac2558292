//! Every provider on a graph that is computed by hand. A provider that this machine does not have is named as skipped.

mod summing_model;

use std::fs;
use std::thread;

use ndarray::{Array2, Array3, arr1, arr2, arr3};
use summing_model::{forecast_after, one_operator, package};
use tmoe_runner::{
    Availability, Control, Dim, ElementType, Error, Forecaster, InputError, NamedTensors, Normalization,
    OpSet, PassCount, Provider, ProviderOptions, RawModel, SelfTest, Session, SessionOptions, generate,
};

fn available() -> Vec<Provider> {
    let is_available = |provider: &Provider| match provider.availability() {
        Availability::Ready { .. } => true,
        Availability::Missing { reason } => {
            eprintln!("skipped on {provider}: {reason}");
            false
        }
    };
    // The package here has one graph alone.
    let run_standard = Provider::ALL.into_iter().filter(|provider| provider.runs(OpSet::Standard));
    run_standard.filter(is_available).collect()
}

/// Runs a test on a session of every provider.
fn on_every_provider(test: impl Fn(&Session)) {
    for provider in available() {
        let folder = tempfile::tempdir().unwrap();
        let options = SessionOptions { provider: provider.into(), ..SessionOptions::default() };
        let session = Session::open(&package(folder.path()), &options).unwrap();
        assert_eq!((session.provider(), session.graph()), (provider, OpSet::Standard));
        test(&session);
    }
}

fn input(points: Array3<f32>) -> NamedTensors {
    NamedTensors::from([("input_ids".to_owned(), points.into())])
}

#[test]
fn names_types_and_symbolic_shapes_are_read_from_the_graph() {
    on_every_provider(|session| {
        let mask = session.signature().input("attention_mask").unwrap();
        assert_eq!(mask.element_type, ElementType::I64);
        let sum = Dim::Sum(vec!["past".to_owned(), "sequence".to_owned()]);
        assert_eq!(mask.shape, [Dim::Symbol("batch".to_owned()), sum]);
        let cache = session.signature().input("past_key_values.1.value").unwrap();
        assert_eq!(cache.shape_text(), "[batch, 1, past, 4]");
        let names: Vec<&str> = session.signature().outputs.iter().map(|port| port.name.as_str()).collect();
        assert_eq!(names[..2], ["predictions.h1", "predictions.h8"]);
        assert_eq!(names.len(), 8);
    });
}

#[test]
fn a_raw_run_gives_every_output_and_its_cache_can_be_given_back() {
    on_every_provider(|session| {
        let first = session.run(input(arr3(&[[[1.0], [2.0]], [[3.0], [4.0]]]))).unwrap();
        assert_eq!(first["predictions.h1"], arr2(&[[13.0_f32], [29.0]]).into());
        assert_eq!(first["present.1.key"].shape(), [2, 1, 2, 4]);

        let mut next = input(arr3(&[[[10.0]], [[20.0]]]));
        for (name, tensor) in first {
            if let Some(part) = name.strip_prefix("present.") {
                next.insert(format!("past_key_values.{part}"), tensor);
            }
        }
        next.insert("attention_mask".to_owned(), arr2(&[[1_i64, 1, 1], [0, 1, 1]]).into());
        let second = session.run(next).unwrap();
        assert_eq!(second["predictions.h1"], arr2(&[[53.0_f32], [97.0]]).into());
        assert_eq!(session.passes(), PassCount { prefill: 1, decode: 1 });
    });
}

#[test]
fn the_cache_of_a_generation_stays_in_the_provider() {
    on_every_provider(|session| {
        let input = arr3(&[[[1.0], [2.0]], [[0.0], [4.0]]]);
        let mask = arr2(&[[1_i64, 1], [0, 1]]);
        let forecast = generate(session, input.view(), mask.view(), 96, &Control::new()).unwrap();
        assert_eq!(session.passes(), PassCount { prefill: 1, decode: 1 });
        for (row, sum) in [(0, 3.0), (1, 4.0)] {
            let first = forecast_after(sum, 64);
            let second = forecast_after(sum + first.iter().sum::<f32>(), 32);
            assert_eq!(forecast.row(row).to_vec(), [first, second].concat());
        }
    });
}

#[test]
fn a_refused_step_can_be_tried_again() {
    on_every_provider(|session| {
        let mut decoder = session.decoder(1, 10).unwrap();
        decoder.step(arr3(&[[[1.0]]]).view(), arr2(&[[1]]).view()).unwrap();
        decoder.step(arr3(&[[[1.0]]]).view(), arr2(&[[1]]).view()).unwrap_err();
        let predictions = decoder.step(arr3(&[[[2.0]]]).view(), arr2(&[[1, 1]]).view()).unwrap();
        assert_eq!(predictions.head(1), Some(arr2(&[[13.0_f32]]).view()));
    });
}

#[test]
fn ragged_series_with_missing_points_are_forecast_together() {
    for provider in available() {
        let folder = tempfile::tempdir().unwrap();
        let options = SessionOptions { provider: provider.into(), ..SessionOptions::default() };
        let session = Session::open(&package(folder.path()), &options).unwrap();
        let forecaster = Forecaster::new(session).with_normalization(Normalization::None);
        let series = [vec![1.0, 2.0, 3.0], vec![5.0], vec![1.0, f64::NAN, 1.0]];
        let forecasts = forecaster.forecast(&series, 8).unwrap();
        let values: Vec<Vec<f32>> = forecasts.into_iter().map(|forecast| forecast.values).collect();
        assert_eq!(values, [6.0, 5.0, 2.0].map(|sum| forecast_after(sum, 8)));
        assert_eq!(forecaster.session().passes(), PassCount { prefill: 1, decode: 0 });
    }
}

#[test]
fn a_session_is_shared_by_threads() {
    on_every_provider(|session| {
        thread::scope(|scope| {
            for value in 0..8_u8 {
                scope.spawn(move || {
                    let value = f32::from(value);
                    let outputs = session.run(input(Array3::from_elem((1, 5, 1), value))).unwrap();
                    let expected = Array2::from_elem((1, 1), 20.0 * value + 1.0);
                    assert_eq!(outputs["predictions.h1"], expected.into());
                });
            }
        });
        assert_eq!(session.passes().prefill, 8);
    });
}

#[test]
fn the_self_test_passes_and_notices_what_has_changed() {
    on_every_provider(|session| {
        let mut selftest = SelfTest::read(session.package()).unwrap();
        let report = selftest.check(session).unwrap();
        assert!(report.passed(), "{report:?}");
        let case = selftest.cases.get_mut("prefill").unwrap();
        case.expected.insert("predictions.h1".to_owned(), arr2(&[[13.01_f32]]).into());
        assert!(!selftest.check(session).unwrap().passed());
    });
}

#[test]
fn files_that_are_no_graph_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.onnx");
    fs::write(&garbage, [0xff; 64]).unwrap();
    let truncated = folder.path().join("truncated.onnx");
    let model = summing_model::model();
    fs::write(&truncated, &model[..model.len() / 2]).unwrap();
    for provider in available() {
        for path in [folder.path().join("missing.onnx"), garbage.clone(), truncated.clone()] {
            let error = RawModel::open(&path, provider, &ProviderOptions::default()).unwrap_err();
            let message = error.to_string();
            assert!(matches!(error, Error::Provider { .. }), "{message}");
            assert!(message.starts_with(&format!("{provider} cannot load {}", path.display())), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}

#[test]
fn an_operator_that_a_provider_does_not_have_is_an_error() {
    for provider in available() {
        let error = RawModel::from_bytes(
            &one_operator("NoSuchOperator"),
            None,
            provider,
            &ProviderOptions::default(),
        )
        .unwrap_err();
        assert!(error.to_string().contains("NoSuchOperator"), "{error}");
    }
}

#[test]
fn any_onnx_model_runs_and_its_inputs_are_checked() {
    for provider in available() {
        let model =
            RawModel::from_bytes(&one_operator("Abs"), None, provider, &ProviderOptions::default()).unwrap();
        let outputs =
            model.run(NamedTensors::from([("x".to_owned(), arr1(&[-1.5_f32, 2.0]).into())])).unwrap();
        assert_eq!(outputs["y"], arr1(&[1.5_f32, 2.0]).into());
        let error = model.run(NamedTensors::new()).unwrap_err();
        assert!(matches!(error, Error::Input(InputError::Missing { .. })), "{error}");
        let empty = model.run(NamedTensors::from([("x".to_owned(), arr1::<f32>(&[]).into())])).unwrap();
        assert_eq!(empty["y"].shape(), [0]);
    }
}

#[test]
fn the_threads_asked_for_are_the_threads_used() {
    let options = ProviderOptions {
        threads: std::num::NonZeroUsize::new(1),
        spinning: false,
        ..ProviderOptions::default()
    };
    for provider in available() {
        let model = RawModel::from_bytes(&one_operator("Abs"), None, provider, &options).unwrap();
        assert_eq!((model.provider(), model.threads()), (provider, 1));
    }
}
