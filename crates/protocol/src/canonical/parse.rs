//! Reading JSON strictly: everything RFC 8259 allows that has one canonical form, and nothing else.

use super::{DEPTH_MAX, INTEGER_MAX, Integer, Object, Value};

/// Why a text is not JSON with a canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The bytes are not UTF-8.
    #[error("reading JSON: not UTF-8")]
    Utf8,
    /// The text breaks the grammar at this byte.
    #[error("reading JSON: syntax error at byte {0}")]
    Syntax(usize),
    /// A number has a fraction or an exponent, or is `-0`.
    #[error("reading JSON: the number at byte {0} is not an integer in canonical form")]
    NotAnInteger(usize),
    /// An integer is beyond ±(2⁵³−1).
    #[error("reading JSON: the integer at byte {0} is out of range")]
    OutOfRange(usize),
    /// An object has the same key twice.
    #[error("reading JSON: the key {0:?} is there twice")]
    DuplicateKey(String),
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("reading JSON: nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// The text holds another value than an object.
    #[error("reading JSON: not an object")]
    NotAnObject,
}

pub(super) fn value(json: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(json).map_err(|_| JsonError::Utf8)?;
    let mut reader = Reader { text, at: 0 };
    reader.skip_space();
    let value = reader.value(DEPTH_MAX)?;
    reader.skip_space();
    if reader.at == text.len() { Ok(value) } else { Err(reader.syntax()) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn syntax(&self) -> JsonError {
        JsonError::Syntax(self.at)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes this byte if it is the next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        if !self.rest().starts_with(word) {
            return Err(self.syntax());
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'n') => self.literal("null", Value::Null),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.integer().map(Value::Integer),
            Some(b'[') => self.array(depth.checked_sub(1).ok_or(JsonError::TooDeep)?),
            Some(b'{') => self.object(depth.checked_sub(1).ok_or(JsonError::TooDeep)?),
            _ => Err(self.syntax()),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        self.skip_space();
        let mut values = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(values));
        }
        loop {
            self.skip_space();
            values.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::Array(values));
            }
            if !self.take(b',') {
                return Err(self.syntax());
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        self.skip_space();
        let mut fields = Object::new();
        if self.take(b'}') {
            return Ok(Value::Object(fields));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.syntax());
            }
            let name = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.syntax());
            }
            self.skip_space();
            let value = self.value(depth)?;
            fields.insert_new(name, value).map_err(JsonError::DuplicateKey)?;
            self.skip_space();
            if self.take(b'}') {
                return Ok(Value::Object(fields));
            }
            if !self.take(b',') {
                return Err(self.syntax());
            }
        }
    }

    fn integer(&mut self) -> Result<Integer, JsonError> {
        let start = self.at;
        let negative = self.take(b'-');
        let digits_start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let digits = self.text.get(digits_start..self.at).unwrap_or_default();
        if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
            return Err(JsonError::Syntax(start));
        }
        if matches!(self.peek(), Some(b'.' | b'e' | b'E')) || (negative && digits == "0") {
            return Err(JsonError::NotAnInteger(start));
        }
        // More digits than an i64 has are out of range, not a syntax error.
        let magnitude: i64 = digits.parse().map_err(|_| JsonError::OutOfRange(start))?;
        if magnitude > INTEGER_MAX {
            return Err(JsonError::OutOfRange(start));
        }
        Integer::new(if negative { -magnitude } else { magnitude }).ok_or(JsonError::OutOfRange(start))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self.rest().bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            out.push_str(self.rest().get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return Err(self.syntax()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let escaped = self.peek().ok_or_else(|| self.syntax())?;
        let char = match escaped {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.syntax()),
        };
        self.at += 1;
        Ok(char)
    }

    /// `\uXXXX`, or two of them for a character beyond the basic plane. A lone surrogate is no character and refused.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let unit = self.hex4()?;
        let code = if (0xd800..0xdc00).contains(&unit) {
            if !(self.take(b'\\') && self.take(b'u')) {
                return Err(JsonError::Syntax(start));
            }
            let low = self.hex4()?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(JsonError::Syntax(start));
            }
            0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
        } else {
            unit
        };
        char::from_u32(code).ok_or(JsonError::Syntax(start))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(|| self.syntax())?;
        self.at += 4;
        Ok(unit)
    }
}
