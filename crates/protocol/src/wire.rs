//! The tag-and-value encoding inside Olm and Megolm messages: written in one way, and read in that way only.
//!
//! The specification borrows it from Protocol Buffers, where fields may be repeated, reordered, unknown, or numbers padded
//! with zeros (<https://spec.matrix.org/v1.19/olm-megolm/olm/#normal-messages>). No implementation in use writes such
//! messages, and a message with a second spelling is a message that can be altered without its reader noticing. So
//! [`Reader`] asks for one field after the other, each once, each in its shortest form, and for nothing behind them. It
//! borrows from what it reads: a length that lies costs no memory.

/// The seven bits of a number that one byte carries.
const PAYLOAD: u8 = 0x7f;
/// The bit that says that another byte follows.
const CONTINUES: u8 = 0x80;
/// The most bytes that a 64-bit number takes.
const NUMBER_LENGTH_MAX: u32 = 10;

/// Why a payload is not the one spelling of the fields that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The payload ends inside a field, or before one.
    #[error("reading fields: the payload ends too early")]
    EndOfInput,
    /// Another field stands where this one belongs.
    #[error("reading fields: the field with tag {expected:#04x} is not where it belongs")]
    UnexpectedField {
        /// The tag that belongs here.
        expected: u8,
    },
    /// A number longer than it need be, or than 64 bits.
    #[error("reading fields: a number is not in its shortest form")]
    Number,
    /// Bytes behind the last field.
    #[error("reading fields: there are bytes behind the last field")]
    TrailingBytes,
}

/// Appends `value` in the shortest form.
fn push_number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & PAYLOAD);
            return;
        }
        out.push(low | CONTINUES);
    }
}

/// Appends an integer field.
pub(crate) fn push_integer(out: &mut Vec<u8>, tag: u8, value: u64) {
    out.push(tag);
    push_number(out, value);
}

/// Appends a string field.
pub(crate) fn push_string(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    push_number(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Takes fields off the front of a payload.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// The integer field with this tag, which must come next.
    pub(crate) fn integer(&mut self, tag: u8) -> Result<u64, WireError> {
        self.tag(tag)?;
        self.number()
    }

    /// The string field with this tag, which must come next.
    pub(crate) fn string(&mut self, tag: u8) -> Result<&'a [u8], WireError> {
        self.tag(tag)?;
        let length = usize::try_from(self.number()?).map_err(|_| WireError::EndOfInput)?;
        let (value, rest) = self.rest.split_at_checked(length).ok_or(WireError::EndOfInput)?;
        self.rest = rest;
        Ok(value)
    }

    /// That nothing is left.
    pub(crate) fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::TrailingBytes) }
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        let (first, rest) = self.rest.split_first().ok_or(WireError::EndOfInput)?;
        self.rest = rest;
        Ok(*first)
    }

    fn tag(&mut self, expected: u8) -> Result<(), WireError> {
        if self.byte()? == expected { Ok(()) } else { Err(WireError::UnexpectedField { expected }) }
    }

    fn number(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for position in 0..NUMBER_LENGTH_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & PAYLOAD);
            let shifted = bits << (7 * position);
            if shifted >> (7 * position) != bits {
                return Err(WireError::Number);
            }
            value |= shifted;
            if byte & CONTINUES == 0 {
                let padded = byte == 0 && position > 0;
                return if padded { Err(WireError::Number) } else { Ok(value) };
            }
        }
        Err(WireError::Number)
    }
}

#[cfg(test)]
mod tests;
