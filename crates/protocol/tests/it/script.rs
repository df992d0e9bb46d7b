//! Randomness that a vector prescribes.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// Gives out exactly the bytes it was made of, and fails the test that asks for more.
pub(crate) struct Script(Vec<u8>);

impl Script {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Whether everything was asked for.
    pub(crate) fn is_used_up(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        assert!(dst.len() <= self.0.len(), "the script has {} bytes left of {} asked for", self.0.len(), dst.len());
        dst.copy_from_slice(&self.0[..dst.len()]);
        self.0.drain(..dst.len());
        Ok(())
    }
}

impl TryCryptoRng for Script {}
