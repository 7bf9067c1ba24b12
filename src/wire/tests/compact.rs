use super::super::compact::{Decode, DecodeError, Encode, MAX_VARUINT, Put, Reader, bytes_len, varuint_len};
use super::super::records::Peer;
use super::super::vectors::{addr4, addr6, addrs4, hex, list, load, number, option, text};
use std::net::SocketAddrV4;

#[test]
fn integers_of_variable_length_match_the_reference() {
    let vectors = load("rpc.json");
    for case in list(&vectors["varuint"]["encode"]) {
        let value = number(&case["value"]);
        let mut out = Vec::new();
        out.put_varuint(value);
        assert_eq!(out, hex(&case["hex"]), "{case}");
        assert_eq!(out.len(), varuint_len(value), "{case}");
    }
    for case in list(&vectors["varuint"]["decode"]) {
        let bytes = hex(&case["hex"]);
        let mut reader = Reader::new(&bytes);
        let value = reader.varuint();
        assert_eq!(value.ok(), option(&case["value"], number), "{case}");
        if let Some(consumed) = option(&case["consumed"], number) {
            assert_eq!(bytes.len() - reader.remaining(), consumed as usize, "{case}");
        }
    }
}

#[test]
fn an_integer_beyond_53_bits_is_told_from_a_truncated_one() {
    let too_large = [0xff, 0, 0, 0, 0, 0, 0, 0x20, 0];
    let error = Reader::new(&too_large).varuint();
    assert_eq!(error, Err(DecodeError::IntegerTooLarge));
    let error = Reader::new(&too_large[..8]).varuint();
    assert_eq!(error, Err(DecodeError::Truncated));
    let mut largest = Vec::new();
    largest.put_varuint(MAX_VARUINT);
    assert_eq!(Reader::new(&largest).varuint32(), Err(DecodeError::IntegerTooLarge));
}

#[test]
fn fixed_integers_match_the_reference() {
    let vectors = load("rpc.json");
    for case in list(&vectors["fixedInts"]["uint16"]) {
        let bytes = hex(&case["hex"]);
        assert_eq!(Reader::new(&bytes).u16().map(u64::from), Ok(number(&case["value"])));
    }
    for case in list(&vectors["fixedInts"]["uint32"]) {
        let bytes = hex(&case["hex"]);
        assert_eq!(Reader::new(&bytes).u32().map(u64::from), Ok(number(&case["value"])));
    }
}

#[test]
fn byte_strings_and_texts_match_the_reference() {
    let vectors = load("rpc.json");
    for case in list(&vectors["buffer"]["encode"]) {
        let value = hex(&case["value"]);
        let mut out = Vec::new();
        out.put_bytes(&value);
        assert_eq!(out, hex(&case["hex"]));
        assert_eq!(out.len(), bytes_len(&value));
    }
    for case in list(&vectors["buffer"]["decode"]) {
        let bytes = hex(&case["hex"]);
        let value = Reader::new(&bytes).bytes().ok().map(<[u8]>::to_vec);
        assert_eq!(value, option(&case["value"], hex), "{case}");
    }
    for case in list(&vectors["string"]) {
        let bytes = hex(&case["hex"]);
        assert_eq!(Reader::new(&bytes).text(), Ok(text(&case["value"])));
    }
    assert_eq!(Reader::new(&[1, 0xff]).text(), Err(DecodeError::InvalidText));
}

#[test]
fn addresses_match_the_reference() {
    let vectors = load("rpc.json");
    for case in list(&vectors["ipv4Address"]) {
        let bytes = hex(&case["hex"]);
        assert_eq!(addr4(case).to_bytes(), bytes);
        assert_eq!(Reader::new(&bytes).addr4(), Ok(addr4(case)));
    }
    for case in list(&vectors["ipv6Address"]) {
        let bytes = hex(&case["hex"]);
        assert_eq!(addr6(case).to_bytes(), bytes);
        assert_eq!(Reader::new(&bytes).addr6(), Ok(addr6(case)));
    }
}

#[test]
fn lists_match_the_reference() {
    let vectors = load("rpc.json");
    for case in list(&vectors["ipv4Array"]) {
        let bytes = hex(&case["hex"]);
        let mut out = Vec::new();
        out.put_array(&addrs4(&case["value"]));
        assert_eq!(out, bytes);
        assert_eq!(Reader::new(&bytes).array(), Ok(addrs4(&case["value"])));
    }
    let errors: Vec<_> = list(&vectors["arrayLimit"]["decode"])
        .iter()
        .map(|case| Reader::new(&hex(&case["hex"])).array::<SocketAddrV4>())
        .collect();
    assert_eq!(errors, [Err(DecodeError::ArrayTooLarge), Err(DecodeError::Truncated)]);
}

#[test]
fn a_count_that_the_input_cannot_hold_fails_before_any_element_is_read() {
    // Two peers of 33 bytes each would fit, three are claimed; the first would decode.
    let mut bytes = vec![3];
    bytes.extend_from_slice(&[0; 66]);
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.array::<Peer>(), Err(DecodeError::Truncated));
    assert_eq!(reader.remaining(), 66);
}

#[test]
fn a_length_beyond_the_input_fails() {
    let mut bytes = Vec::new();
    bytes.put_varuint(MAX_VARUINT);
    bytes.push(1);
    assert_eq!(Reader::new(&bytes).bytes(), Err(DecodeError::Truncated));
    assert_eq!(Peer::from_bytes(&bytes), Err(DecodeError::Truncated));
}
