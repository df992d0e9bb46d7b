//! Size classes: PADMÉ, so that a length tells O(log log n) bits and costs at most an eighth.
//!
//! The length is rounded up so that its binary form has as many significant bits as its bit count has bits. See Nikitin et al.,
//! "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs" (2019), §4.

/// The smallest class: receipts, typing and single small events look alike.
pub(super) const SMALLEST: usize = 512;

/// The class of a length.
#[must_use]
pub fn padded_length(length: usize) -> usize {
    if length <= SMALLEST {
        return SMALLEST;
    }
    let exponent = length.ilog2();
    let significant = exponent.ilog2() + 1;
    let mask = (1 << (exponent - significant)) - 1;
    length.saturating_add(mask) & !mask
}
