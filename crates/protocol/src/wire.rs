//! The tag-and-value encoding inside Olm and Megolm messages, read with no more freedom than is in use.
//!
//! The specification borrows it from Protocol Buffers (<https://spec.matrix.org/v1.19/olm-megolm/olm/#normal-messages>),
//! where fields may be repeated, missing, unknown, in any order, and numbers padded with zeros. Implementations differ in
//! the order alone: mautrix-go puts the identity key of a pre-key message before the base key, libolm and vodozemac after
//! it. So [`read_fields`] takes each field that was asked for once, in any order, in its shortest form, and nothing else. It
//! borrows from what it reads: a length that lies costs no memory.

/// The seven bits of a number that one byte carries.
const PAYLOAD: u8 = 0x7f;
/// The bit that says that another byte follows.
const CONTINUES: u8 = 0x80;
/// The bits of a tag that say what kind of value follows.
const TYPE: u8 = 0x07;
/// A number. The only other kind in use is a string: a number, and as many bytes.
const INTEGER: u8 = 0;
/// The most bytes that a 64-bit number takes.
const NUMBER_LENGTH_MAX: u32 = 10;

/// Why a payload does not consist of the fields that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The payload ends inside a field.
    #[error("reading fields: the payload ends inside a field")]
    EndOfInput,
    /// A field that does not belong here.
    #[error("reading fields: the field with tag {tag:#04x} does not belong here")]
    UnknownField {
        /// The tag of the field, or its first byte.
        tag: u8,
    },
    /// A field that was there before.
    #[error("reading fields: the field with tag {tag:#04x} is repeated")]
    RepeatedField {
        /// The tag of the field.
        tag: u8,
    },
    /// A field that must be there is not.
    #[error("reading fields: the field with tag {tag:#04x} is missing")]
    MissingField {
        /// The tag of the field.
        tag: u8,
    },
    /// A number longer than it need be, or than 64 bits.
    #[error("reading fields: a number is not in its shortest form")]
    Number,
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

/// A field that was read. Its tag says which of the two it is, so the other is never asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// The value of an integer field.
    pub(crate) integer: u64,
    /// The value of a string field.
    pub(crate) string: &'a [u8],
    /// Where the string begins in the payload.
    pub(crate) start: usize,
}

/// The fields with these tags, in the order of the tags. They must be the whole payload, each there once.
pub(crate) fn read_fields<const N: usize>(payload: &[u8], tags: [u8; N]) -> Result<[Field<'_>; N], WireError> {
    let mut found = [None; N];
    let mut reader = Reader { rest: payload };
    while let Some(tag) = reader.rest.first().copied() {
        let mut slots = tags.into_iter().zip(&mut found);
        let (_, slot) = slots.find(|(wanted, _)| *wanted == tag).ok_or(WireError::UnknownField { tag })?;
        let field = reader.field(payload.len())?;
        if slot.replace(field).is_some() {
            return Err(WireError::RepeatedField { tag });
        }
    }
    let mut fields = [Field { integer: 0, string: &[], start: 0 }; N];
    for ((tag, found), field) in tags.into_iter().zip(found).zip(&mut fields) {
        *field = found.ok_or(WireError::MissingField { tag })?;
    }
    Ok(fields)
}

/// Takes fields off the front of a payload.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn field(&mut self, payload_length: usize) -> Result<Field<'a>, WireError> {
        let tag = self.byte()?;
        let number = self.number()?;
        if tag & TYPE == INTEGER {
            return Ok(Field { integer: number, string: &[], start: 0 });
        }
        let length = usize::try_from(number).map_err(|_| WireError::EndOfInput)?;
        let start = payload_length - self.rest.len();
        let (string, rest) = self.rest.split_at_checked(length).ok_or(WireError::EndOfInput)?;
        self.rest = rest;
        Ok(Field { integer: 0, string, start })
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        let (first, rest) = self.rest.split_first().ok_or(WireError::EndOfInput)?;
        self.rest = rest;
        Ok(*first)
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
