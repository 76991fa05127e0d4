//! What lies in etcd, byte by byte: the head, the rows of the log, small values.
//!
//! `PREFIX head` names the newest revision and the oldest that history starts from, and is compared by every
//! transaction: whoever changes it has seen everything before. `PREFIX log/PLACE` are the rows, `PREFIX meta/NAME` the
//! small values, `PREFIX format` says that all this is ours, `PREFIX hold/LEASE` that history is held.

use crate::key::{Key, Revision};
use crate::log::{Header, Place, Row, kind_code, kind_of};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The layout; a newer one is refused.
pub(super) const FORMAT: &[u8] = b"otternauts 1";

/// The keys under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
    pub head: Bytes,
    pub format: Bytes,
}

impl Keys {
    pub(super) fn under(prefix: &str) -> Keys {
        let prefix = if prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
        Keys { head: format!("{prefix}head").into(), format: format!("{prefix}format").into(), prefix }
    }

    pub(super) fn row(&self, place: Place) -> Bytes {
        format!("{}log/{:016x}", self.prefix, place.0).into()
    }

    /// Before every key under the prefix.
    pub(super) fn first(&self) -> Bytes {
        self.prefix.clone().into()
    }

    /// The first key after every one under the prefix.
    pub(super) fn end(&self) -> Bytes {
        format!("{}0", self.prefix.trim_end_matches('/')).into()
    }

    /// The first key after every row.
    pub(super) fn end_of_rows(&self) -> Bytes {
        format!("{}log0", self.prefix).into()
    }

    pub(super) fn meta(&self, name: &str) -> Bytes {
        format!("{}meta/{name}", self.prefix).into()
    }

    /// The first key after every small value.
    pub(super) fn end_of_meta(&self) -> Bytes {
        format!("{}meta0", self.prefix).into()
    }

    /// The key of a hold, or what they all begin with.
    pub(super) fn hold(&self, lease: Option<i64>) -> Bytes {
        lease
            .map_or_else(|| format!("{}hold/", self.prefix), |lease| format!("{}hold/{lease:016x}", self.prefix))
            .into()
    }

    /// The first key after every hold.
    pub(super) fn end_of_holds(&self) -> Bytes {
        format!("{}hold0", self.prefix).into()
    }

    pub(super) fn place(&self, key: &[u8]) -> Option<Place> {
        let digits = key.strip_prefix(self.prefix.as_bytes())?.strip_prefix(b"log/")?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok().map(Place)
    }
}

/// How far the log goes. `nonce` is a random number of the batch that got it there: two histories of the same length differ in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub revision: Revision,
    pub oldest: Revision,
    pub nonce: u64,
}

impl Head {
    pub(super) fn encode(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(28);
        for number in [self.revision, self.oldest, self.nonce] {
            bytes.put_u64(number);
        }
        let checksum = crc32fast::hash(&bytes);
        bytes.put_u32(checksum);
        bytes.freeze()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Head> {
        let (mut numbers, mut sum) = bytes.split_at_checked(24)?;
        if sum.len() != 4 || sum.get_u32() != crc32fast::hash(numbers) {
            return None;
        }
        Some(Head { revision: numbers.get_u64(), oldest: numbers.get_u64(), nonce: numbers.get_u64() })
    }
}

/// A row as it came from etcd, its checksum verified.
#[derive(Debug)]
pub(super) struct Stored {
    pub row: Row,
    /// Of its batch.
    pub nonce: u64,
}

/// The bytes of a row beside key and body.
const FIXED: usize = 1 + 8 + 1 + 8 + 8 + 12 + 8;

pub(super) fn encode(row: &Row, nonce: u64) -> Bytes {
    let Key { resource, namespace, name } = &row.key;
    let texts = resource.len() + namespace.len() + name.len();
    let mut bytes = BytesMut::with_capacity(FIXED + texts + row.body.len());
    bytes.put_u8(1);
    bytes.put_u64(nonce);
    bytes.put_u8(kind_code(row.kind) as u8);
    bytes.put_u64(row.schema);
    bytes.put_u64(row.previous.0);
    for text in [resource, namespace, name] {
        bytes.put_u32(text.len() as u32);
        bytes.put_slice(text.as_bytes());
    }
    bytes.put_u64(Header::of(row).checksum(&row.body));
    bytes.put_slice(&row.body);
    bytes.freeze()
}

/// `None`: these are not the bytes of a row, or not those that were written.
pub(super) fn decode(place: Place, mut bytes: Bytes) -> Option<Stored> {
    if bytes.len() < FIXED || bytes.get_u8() != 1 {
        return None;
    }
    let nonce = bytes.get_u64();
    let kind = kind_of(i64::from(bytes.get_u8()))?;
    let (schema, previous) = (bytes.get_u64(), Place(bytes.get_u64()));
    let mut texts = [const { String::new() }; 3];
    for text in &mut texts {
        let size = bytes.try_get_u32().ok()? as usize;
        if bytes.len() < size {
            return None;
        }
        *text = String::from_utf8(bytes.split_to(size).to_vec()).ok()?;
    }
    let checksum = bytes.try_get_u64().ok()?;
    let [resource, namespace, name] = texts;
    let row = Row { place, key: Key::new(resource, namespace, name), kind, schema, previous, body: bytes };
    (Header::of(&row).checksum(&row.body) == checksum).then_some(Stored { row, nonce })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;

    #[test]
    fn rows_and_heads_come_back_as_they_were_and_a_flipped_bit_is_found() {
        let keys = Keys::under("/otternauts");
        let row = Row {
            place: Place::new(77, 3),
            key: Key::new("stacks.otternauts.dev", "default", "web"),
            kind: EventKind::Updated,
            schema: 9,
            previous: Place::new(12, 0),
            body: Bytes::from_static(b"{\"a\":1}"),
        };
        let bytes = encode(&row, 5);
        let stored = decode(row.place, bytes.clone()).expect("a row");
        assert_eq!((stored.nonce, &stored.row.key, &stored.row.body), (5, &row.key, &row.body));
        assert_eq!((stored.row.previous, stored.row.schema, stored.row.kind), (row.previous, 9, row.kind));
        assert_eq!(keys.place(&keys.row(row.place)), Some(row.place));
        assert!(keys.row(Place(u64::MAX)) < keys.end_of_rows() && keys.place(&keys.end_of_rows()).is_none());
        assert!(decode(Place::new(78, 3), bytes.clone()).is_none(), "a row in another's place");
        // The nonce, bytes 1 to 8, is not covered: it says nothing of the object.
        for at in (0..bytes.len()).filter(|at| !(1..9).contains(at)) {
            for bit in 0..8 {
                let mut bad = bytes.to_vec();
                bad[at] ^= 1 << bit;
                assert!(decode(row.place, bad.into()).is_none(), "byte {at} bit {bit}");
            }
            assert!(decode(row.place, bytes.slice(..at)).is_none(), "cut at {at}");
        }
        let head = Head { revision: 3, oldest: 1, nonce: 9 };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        assert_eq!(Head::decode(&head.encode()[1..]), None);
    }
}
