use proptest::prelude::*;

use super::*;
use crate::testing::golden;

fn small() -> HfConfig {
    HfConfig {
        hidden_size: 48,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 6,
        num_key_value_heads: Some(2),
        num_experts: 5,
        num_experts_per_tok: 3,
        horizon_lengths: vec![1, 4, 16].into(),
        ..HfConfig::time_moe()
    }
}

/// The error's line for a small valid configuration with a change.
fn refused(change: impl FnOnce(&mut HfConfig)) -> String {
    let mut raw = small();
    change(&mut raw);
    Config::try_from(raw).unwrap_err().to_string()
}

#[test]
fn the_fields_of_a_checkpoint_s_file_are_read() {
    let config = Config::from_json_file(golden("moe-gqa").join("config.json")).unwrap();
    assert_eq!(config.input_size(), 1);
    assert_eq!(config.hidden_size(), 48);
    assert_eq!(config.intermediate_size(), 96);
    assert_eq!(config.layers(), 2);
    assert_eq!((config.heads(), config.kv_heads(), config.head_dim()), (6, 2, 8));
    assert_eq!(config.kv_width(), 16);
    assert_eq!(config.activation(), Activation::Silu);
    assert_eq!(config.horizon_lengths(), [1, 4, 16]);
    assert_eq!(config.max_positions(), 256);
    assert_eq!(config.rms_norm_eps(), 1e-5);
    assert_eq!(config.rope_theta(), 1000.0);
    assert_eq!((config.experts(), config.top_k()), (5, 3));
    assert_eq!(config.expert_ffn(), Some(32));
    assert!(!config.use_dense());
    assert!(config.apply_aux_loss());
    assert_eq!(config.router_aux_loss_factor(), 0.02);
}

#[test]
fn dense_and_gelu_checkpoints_are_read() {
    let dense = Config::from_json_file(golden("dense").join("config.json")).unwrap();
    assert!(dense.use_dense());
    assert_eq!(dense.expert_ffn(), None);
    let gelu = Config::from_json_file(golden("gelu-one-head").join("config.json")).unwrap();
    assert_eq!(gelu.activation(), Activation::Gelu);
    assert_eq!(gelu.horizon_lengths(), [12]);
}

#[test]
fn absent_fields_take_the_defaults_of_the_original() {
    let config = Config::from_json_str(r#"{"model_type": "time_moe", "num_experts": 8}"#).unwrap();
    assert_eq!(config.hidden_size(), 4096);
    assert_eq!(config.intermediate_size(), 22016);
    assert_eq!(config.layers(), 32);
    assert_eq!((config.heads(), config.kv_heads()), (32, 32));
    assert_eq!(config.horizon_lengths(), [1]);
    assert_eq!(config.max_positions(), 32768);
    assert_eq!(config.rms_norm_eps(), 1e-6);
    assert_eq!(config.rope_theta(), 10000.0);
    assert_eq!(config.top_k(), 2);
    assert_eq!(config.activation(), Activation::Silu);
}

#[test]
fn one_number_is_one_horizon_and_null_kv_heads_are_all_heads() {
    let config = Config::from_json_str(
        r#"{"model_type": "time_moe", "num_experts": 8, "horizon_lengths": 12,
            "num_key_value_heads": null}"#,
    )
    .unwrap();
    assert_eq!(config.horizon_lengths(), [12]);
    assert_eq!(config.kv_heads(), config.heads());
}

#[test]
fn expert_width_is_rounded_down() {
    let config = Config::try_from(HfConfig { intermediate_size: 98, ..small() }).unwrap();
    assert_eq!(config.expert_ffn(), Some(32));
}

#[test]
fn what_is_written_is_read_back() {
    for folder in ["moe", "moe-gqa", "dense", "moe-bf16", "gelu-one-head"] {
        let config = Config::from_json_file(golden(folder).join("config.json")).unwrap();
        assert_eq!(Config::from_json_str(&config.to_json()).unwrap(), config);
    }
}

#[test]
fn what_is_written_is_what_transformers_expects() {
    let config = Config::try_from(small()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&config.to_json()).unwrap();
    assert_eq!(json["model_type"], "time_moe");
    assert_eq!(json["architectures"][0], "TimeMoeForPrediction");
    assert_eq!(json["tie_word_embeddings"], false);
    assert_eq!(json["horizon_lengths"], serde_json::json!([1, 4, 16]));
    assert_eq!(json["hidden_act"], "silu");
}

#[test]
fn an_embedded_configuration_is_checked_again() {
    #[derive(serde::Deserialize)]
    struct Manifest {
        #[expect(dead_code, reason = "only whether it can be read matters")]
        model: Config,
    }
    let text = |heads: usize| {
        let raw = HfConfig { num_attention_heads: heads, ..small() };
        serde_json::json!({ "model": raw }).to_string()
    };
    assert!(serde_json::from_str::<Manifest>(&text(6)).is_ok());
    let error = serde_json::from_str::<Manifest>(&text(5)).err().unwrap();
    assert!(error.to_string().contains("not a multiple of num_attention_heads 5"), "{error}");
}

#[test]
fn another_model_s_configuration_is_refused() {
    assert_eq!(
        refused(|raw| raw.model_type = Some("mixtral".to_owned())),
        "model_type is \"mixtral\", expected \"time_moe\": only Time-MoE checkpoints are supported"
    );
    assert!(matches!(Config::from_json_str("{}"), Err(ConfigError::ModelTypeMissing)));
}

#[test]
fn an_unknown_activation_is_answered_with_the_known_ones() {
    assert_eq!(
        refused(|raw| raw.hidden_act = "mish".to_owned()),
        "hidden_act is \"mish\", which is not supported, \
         expected one of silu, gelu, gelu_pytorch_tanh, relu"
    );
}

#[test]
fn heads_that_do_not_divide_are_refused() {
    assert!(refused(|raw| raw.num_attention_heads = 5).contains("hidden_size 48"));
    assert!(refused(|raw| raw.num_key_value_heads = Some(4)).contains("num_key_value_heads 4"));
    assert!(refused(|raw| raw.num_key_value_heads = Some(12)).contains("num_key_value_heads 12"));
    let odd = refused(|raw| (raw.num_attention_heads, raw.num_key_value_heads) = (16, Some(2)));
    assert!(odd.contains("a head has 3 values"), "{odd}");
}

#[test]
fn impossible_routing_is_refused() {
    assert_eq!(
        refused(|raw| raw.num_experts_per_tok = 6),
        "num_experts_per_tok is 6, expected at most num_experts, which is 5"
    );
    assert!(refused(|raw| raw.num_experts_per_tok = 0).contains("num_experts_per_tok is 0"));
    assert!(refused(|raw| raw.num_experts = 0).contains("num_experts is 0"));
    assert!(refused(|raw| raw.intermediate_size = 2).contains("experts of width 0"));
}

#[test]
fn routing_does_not_matter_without_experts() {
    let raw = HfConfig { use_dense: true, num_experts: 0, num_experts_per_tok: 0, ..small() };
    assert_eq!(Config::try_from(raw).unwrap().expert_ffn(), None);
}

#[test]
fn horizons_that_are_no_ascending_list_are_refused() {
    let horizons = |lengths: &[usize]| refused(|raw| raw.horizon_lengths = lengths.to_vec().into());
    assert!(horizons(&[]).contains("empty"));
    assert!(horizons(&[0, 1]).contains("horizon_lengths[0] is 0"));
    assert!(horizons(&[8, 1]).contains("1 after 8"));
    assert!(horizons(&[1, 8, 8]).contains("names 8 twice"));
    assert!(horizons(&[1 << 30]).contains("expected at most"));
    assert!(horizons(&vec![1; MAX_COUNT + 1]).contains("number of horizon_lengths"));
}

#[test]
fn more_than_one_value_per_point_is_refused() {
    assert!(refused(|raw| raw.input_size = 2).contains("input_size is 2, expected 1"));
    assert!(refused(|raw| raw.input_size = 0).contains("input_size is 0, expected 1"));
}

#[test]
fn zero_and_absurd_sizes_are_refused() {
    type Field = fn(&mut HfConfig) -> &mut usize;
    let fields: [(&str, Field); 5] = [
        ("hidden_size", |raw| &mut raw.hidden_size),
        ("intermediate_size", |raw| &mut raw.intermediate_size),
        ("num_hidden_layers", |raw| &mut raw.num_hidden_layers),
        ("num_attention_heads", |raw| &mut raw.num_attention_heads),
        ("max_position_embeddings", |raw| &mut raw.max_position_embeddings),
    ];
    for (name, field) in fields {
        assert_eq!(refused(|raw| *field(raw) = 0), format!("{name} is 0, expected at least 1"));
        let huge = refused(|raw| *field(raw) = usize::MAX);
        assert!(huge.starts_with(&format!("{name} is {}, expected at most", usize::MAX)), "{huge}");
    }
    assert!(refused(|raw| raw.num_key_value_heads = Some(0)).contains("num_key_value_heads is 0"));
    assert!(refused(|raw| raw.num_experts = usize::MAX).contains("num_experts is"));
    let many = refused(|raw| {
        (raw.hidden_size, raw.intermediate_size, raw.num_experts) = (6 << 21, 1 << 24, 1 << 14);
    });
    assert!(many.contains("parameters, expected at most"), "{many}");
}

#[test]
fn numbers_that_are_not_positive_are_refused() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(refused(|raw| raw.rms_norm_eps = bad).starts_with("rms_norm_eps is"));
        assert!(refused(|raw| raw.rope_theta = bad).starts_with("rope_theta is"));
    }
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(refused(|raw| raw.router_aux_loss_factor = bad).starts_with("router_aux_loss_"));
    }
}

#[test]
fn numbers_are_read_to_the_last_bit() {
    for number in ["1.1249385612498799e19", "11249385612498797569", "1.2345678901234567e-6"] {
        let text = format!(r#"{{"model_type": "time_moe", "use_dense": true, "rope_theta": {number}}}"#);
        let config = Config::from_json_str(&text).unwrap();
        assert_eq!(config.rope_theta(), number.parse::<f64>().unwrap());
        assert_eq!(Config::from_json_str(&config.to_json()).unwrap(), config);
    }
}

#[test]
fn text_that_is_no_configuration_is_refused() {
    for text in [
        "",
        "[1]",
        "{\"model_type\": \"time_moe\"",
        r#"{"model_type": "time_moe", "hidden_size": "48"}"#,
        r#"{"model_type": "time_moe", "hidden_size": -48}"#,
        r#"{"model_type": "time_moe", "horizon_lengths": "8"}"#,
        r#"{"model_type": "time_moe", "rope_theta": NaN}"#,
    ] {
        let error = Config::from_json_str(text).unwrap_err();
        assert!(matches!(error, ConfigError::Json(_)), "{text}: {error}");
    }
}

#[test]
fn errors_in_a_file_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let error = Config::from_json_file(&path).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }));
    assert!(error.to_string().contains("config.json"), "{error}");

    std::fs::write(&path, "{}").unwrap();
    let error = Config::from_json_file(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: {}", path.display(), ConfigError::ModelTypeMissing));

    std::fs::write(&path, vec![b' '; MAX_FILE_BYTES as usize + 1]).unwrap();
    assert!(matches!(Config::from_json_file(&path), Err(ConfigError::TooLong { .. })));
    assert!(matches!(Config::from_json_file(folder.path()), Err(ConfigError::Read { .. })));
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        let _ = Config::from_json_str(&text);
    }

    #[test]
    fn arbitrary_sizes_never_panic_and_what_is_accepted_is_consistent(
        hidden in any::<usize>(), heads in 0_usize..20, kv in 0_usize..20, layers in any::<usize>(),
        intermediate in any::<usize>(), experts in 0_usize..20, top_k in 0_usize..20,
        small in any::<bool>(), horizons in proptest::collection::vec(0_usize..100, 0..5),
    ) {
        let limit = if small { 200 } else { usize::MAX };
        let raw = HfConfig {
            hidden_size: hidden % limit,
            num_attention_heads: heads,
            num_key_value_heads: Some(kv),
            num_hidden_layers: layers % limit,
            intermediate_size: intermediate % limit,
            num_experts: experts,
            num_experts_per_tok: top_k,
            horizon_lengths: horizons.into(),
            ..HfConfig::time_moe()
        };
        if let Ok(config) = Config::try_from(raw) {
            prop_assert_eq!(config.head_dim() * config.heads(), config.hidden_size());
            prop_assert_eq!(config.heads() % config.kv_heads(), 0);
            prop_assert!(config.expert_ffn().unwrap() > 0);
            prop_assert!(config.parameter_count() > 0);
            prop_assert_eq!(Config::from_json_str(&config.to_json()).unwrap(), config);
        }
    }
}
