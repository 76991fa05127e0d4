//! The protobuf wire format, as far as Kubernetes uses it.

use super::Error;
use base64::Engine;

#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub number: u32,
    pub wire: Wire<'a>,
}

impl<'a> Field<'a> {
    pub fn bytes(&self) -> Result<&'a [u8], Error> {
        if let Wire::Bytes(bytes) = self.wire { Ok(bytes) } else { Err(Error::WireType(self.number)) }
    }

    pub fn text(&self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Error::Text(self.number))
    }

    pub fn varint(&self) -> Result<u64, Error> {
        if let Wire::Varint(n) = self.wire { Ok(n) } else { Err(Error::WireType(self.number)) }
    }

    /// An int32 or int64: negative ones fill all 64 bits.
    pub fn signed(&self) -> Result<i64, Error> {
        self.varint().map(u64::cast_signed)
    }
}

/// The fields of one message, in wire order. Ends after the first error.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::Truncated)
    }

    fn field(&mut self) -> Result<Field<'a>, Error> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| Error::Truncated)?;
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                let bytes: [u8; 8] = self.take(8)?.try_into().map_err(|_| Error::Truncated)?;
                Wire::Fixed64(u64::from_le_bytes(bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Error::Truncated)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Wire::Fixed32
            }
            _ => return Err(Error::WireType(number)),
        };
        Ok(Field { number, wire })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Field<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
