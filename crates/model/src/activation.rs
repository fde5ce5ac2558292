//! Activation functions a Time-MoE configuration may name.

use std::fmt;
use std::str::FromStr;

/// The activation `act` of the gated embedding, the experts and the dense feed-forward network.
///
/// The accepted spellings are keys of the table `ACT2FN` of Hugging Face transformers. Only functions
/// that every execution provider can express exactly are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x * sigmoid(x)`; spelled `silu` or `swish`. What the released models use.
    Silu,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`, the exact form; spelled `gelu`.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`; spelled `gelu_pytorch_tanh` or `gelu_new`.
    GeluTanh,
    /// `max(x, 0)`; spelled `relu`.
    Relu,
}

impl Activation {
    /// Every activation, in the order in which error messages list them.
    pub const ALL: [Activation; 4] =
        [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu];

    /// The canonical spelling in `config.json` (`hidden_act`).
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Silu => "silu",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
            Activation::Relu => "relu",
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no [`Activation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown activation, expected one of silu, gelu, gelu_pytorch_tanh, relu")]
pub struct UnknownActivation;

impl FromStr for Activation {
    type Err = UnknownActivation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "silu" | "swish" => Ok(Activation::Silu),
            "gelu" => Ok(Activation::Gelu),
            "gelu_pytorch_tanh" | "gelu_new" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            _ => Err(UnknownActivation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activation_is_read_back_from_its_own_name() {
        for activation in Activation::ALL {
            assert_eq!(activation.to_string().parse(), Ok(activation));
        }
    }

    #[test]
    fn spellings_of_transformers_that_mean_the_same_function_are_the_same_activation() {
        assert_eq!("swish".parse(), Ok(Activation::Silu));
        assert_eq!("gelu_new".parse(), Ok(Activation::GeluTanh));
    }

    #[test]
    fn names_are_exact() {
        for text in ["", "SiLU", "silu ", "quick_gelu"] {
            assert_eq!(text.parse::<Activation>(), Err(UnknownActivation), "{text:?}");
        }
    }
}
