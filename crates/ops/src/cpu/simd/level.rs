//! Which instruction set this processor has.

#[cfg(target_arch = "aarch64")]
use super::Neon;
use super::Portable;
#[cfg(target_arch = "x86_64")]
use super::{Avx2, Avx512};

/// An instruction set that the processor was seen to have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    /// AVX-512 F, BW, DQ, VL.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// Every 64-bit ARM processor.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    /// Whatever the compiler's target has.
    Portable(Portable),
}

impl Level {
    /// The widest one of this processor. The processor is asked once.
    pub(crate) fn best() -> Self {
        static BEST: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| Self::all().next().unwrap_or(Self::Portable(Portable)))
    }

    /// All that this processor has, widest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let special = [Avx512::detect().map(Self::Avx512), Avx2::detect().map(Self::Avx2)];
        #[cfg(target_arch = "aarch64")]
        let special = [Some(Self::Neon(Neon))];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let special: [Option<Self>; 0] = [];
        special.into_iter().flatten().chain([Self::Portable(Portable)])
    }
}
