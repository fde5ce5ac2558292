//! `config.json` of a checkpoint: what is accepted is consistent and survives being written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tmoe_model::Config;

fuzz_target!(|text: &str| {
    match Config::from_json_str(text) {
        Ok(config) => {
            assert_eq!(config.head_dim() * config.heads(), config.hidden_size());
            assert_eq!(config.heads() % config.kv_heads(), 0);
            assert_ne!(config.expert_ffn(), Some(0));
            assert!(config.parameter_count() > 0);
            let written = config.to_json();
            assert_eq!(Config::from_json_str(&written).expect("what was written is read"), config);
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "one line: {error}"),
    }
});
