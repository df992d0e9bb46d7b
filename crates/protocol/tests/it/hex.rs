//! Hexadecimal, for vectors that are printed so.

/// The bytes that `text` writes; blanks are skipped.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|char| !char.is_whitespace())
        .map(|char| u8::try_from(char.to_digit(16).expect("a hexadecimal digit")).expect("below sixteen"))
        .collect();
    assert!(digits.len().is_multiple_of(2), "a whole number of bytes");
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// As [`bytes`], of a length known to the compiler.
pub(crate) fn array<const N: usize>(text: &str) -> [u8; N] {
    bytes(text).try_into().expect("as many bytes as asked for")
}
