//! Opens the committed vectors through the crate's public face, and counts them.

use data_encoding::BASE64;
use freehold_crypt::{BoxSecret, Secret, hash};
use freehold_seal::{
    Binding, BlobHeader, BlobOpener, BucketKey, Content, Envelope, KeyOf, KeyRing, ObjectKey, PayloadPlace,
    Recipient, Release, open_payload, plain_len, plan_range,
};
use freehold_wire::{BucketId, NodeId, from_canonical};
use serde_json::Value;

use crate::making;

fn bytes32(value: &Value) -> [u8; 32] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn secret(value: &Value) -> Secret {
    Secret::from_bytes(bytes32(value))
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap().parse().unwrap()
}

/// The file's fields, overlaid with the vector's, overlaid with the attack's `with`.
fn overlaid(layers: &[&Value]) -> Value {
    let mut out = serde_json::Map::new();
    for layer in layers {
        out.extend(layer.as_object().unwrap().clone());
    }
    Value::Object(out)
}

fn edit(bytes: &mut Vec<u8>, edits: &Value) {
    let number = |edit: &Value, at: usize| usize::try_from(edit[at].as_u64().unwrap()).unwrap();
    for edit in edits.as_array().unwrap() {
        let (a, b) = (number(edit, 1), edit.get(2).map_or(0, |_| number(edit, 2)));
        match edit[0].as_str().unwrap() {
            "flip" => bytes[a] ^= u8::try_from(b).unwrap(),
            "cut" => bytes.truncate(a),
            "drop" => drop(bytes.drain(a..a + b)),
            "copy" => bytes.copy_within(a..a + number(edit, 3), b),
            "swap" => {
                let (front, back) = bytes.split_at_mut(b);
                front[a..a + number(edit, 3)].swap_with_slice(&mut back[..number(edit, 3)]);
            }
            other => panic!("{other}"),
        }
    }
}

fn binding(fields: &Value) -> Binding {
    let name = fields["object_name"].as_str().unwrap();
    Binding::new(id(&fields["realm"]), id(&fields["bucket"]), name, id(&fields["version"]))
}

fn opened_blob(fields: &Value, cipher: &[u8]) -> Option<Vec<u8>> {
    let key = ObjectKey::from_secret(secret(&fields["object_key"]));
    let part = u16::try_from(fields["part"].as_u64().unwrap()).unwrap();
    let len = fields["plain_len"].as_u64().unwrap();
    let opener = BlobOpener::new(&key, &binding(fields), part, id(&fields["blob"]), cipher).ok()?;
    let mut body = cipher.get(80..)?.to_vec();
    let opened = opener.open_run(len, plan_range(len, 0..len).ok()?.chunks, &mut body).ok()?;
    body.truncate(opened);
    Some(body)
}

pub(crate) fn blobs(file: &Value) -> (usize, usize) {
    let mut counts = (0, 0);
    let mut three = (Value::Null, Vec::new());
    for vector in file["opens"].as_array().unwrap() {
        counts.0 += 1;
        let len = usize::try_from(vector["plain_len"].as_u64().unwrap()).unwrap();
        assert_eq!(plain_len(vector["cipher_len"].as_u64().unwrap()), Some(len as u64));
        let Some(cipher) = vector["cipher"].as_str() else { continue };
        let cipher = BASE64.decode(cipher.as_bytes()).unwrap();
        assert_eq!(hash::Hasher::plain().update(&cipher).finish(), bytes32(&vector["hash"]));
        assert_eq!(BlobHeader::decode(&cipher).unwrap().name().to_string(), vector["blob"]);
        let fields = overlaid(&[file, vector]);
        assert_eq!(opened_blob(&fields, &cipher), Some(making::plain(len)), "{}", vector["name"]);
        three = (fields, cipher);
    }
    for attack in file["refused"].as_array().unwrap() {
        counts.1 += 1;
        let mut cipher = three.1.clone();
        edit(&mut cipher, &attack["edits"]);
        assert_eq!(opened_blob(&overlaid(&[&three.0, &attack["with"]]), &cipher), None, "{}", attack["name"]);
    }
    counts
}

fn key_of(fields: &Value) -> BucketKey {
    let version = u32::try_from(fields["key_version"].as_u64().unwrap()).unwrap();
    BucketKey::from_secret(version, secret(&fields["bucket_key"]))
}

fn place(fields: &Value) -> PayloadPlace {
    PayloadPlace {
        realm: id(&fields["realm"]),
        bucket: id(&fields["bucket"]),
        origin: id(&fields["origin"]),
        seq: fields["seq"].as_u64().unwrap(),
    }
}

pub(crate) fn payloads(file: &Value) -> (usize, usize) {
    let mut counts = (0, 0);
    let payload = |vector: &Value| BASE64.decode(vector["payload"].as_str().unwrap().as_bytes()).unwrap();
    for vector in file["opens"].as_array().unwrap() {
        counts.0 += 1;
        let content = open_payload(&key_of(file), &place(file), &payload(vector)).unwrap();
        assert_eq!(hex::encode(&*content), vector["content"], "{}", vector["name"]);
        let content = Content::decode(&content).unwrap();
        let says = making::says(&key_of(file), &place(file), &content);
        assert_eq!(says.as_deref(), vector["says"].as_str(), "{}", vector["name"]);
    }
    for attack in file["refused"].as_array().unwrap() {
        counts.1 += 1;
        let mut altered = payload(&file["opens"][0]);
        edit(&mut altered, &attack["edits"]);
        let fields = overlaid(&[file, &attack["with"]]);
        assert!(open_payload(&key_of(&fields), &place(&fields), &altered).is_err(), "{}", attack["name"]);
    }
    counts
}

pub(crate) fn keys(file: &Value) -> (usize, usize) {
    let unwrapped = |fields: &Value| {
        let wrapped = hex::decode(fields["wrapped"].as_str().unwrap()).unwrap();
        key_of(fields).unwrap(&binding(fields), &from_canonical(&wrapped, 200).unwrap()).ok()
    };
    assert_eq!(key_of(&overlaid(&[file, &file["opens"][0]])).bucket(), id(&file["bucket_id_of_key"]));
    let (opens, refused) = (file["opens"].as_array().unwrap(), file["refused"].as_array().unwrap());
    for vector in opens {
        let expected = ObjectKey::from_secret(secret(&file["object_key"]));
        assert_eq!(unwrapped(&overlaid(&[file, vector])), Some(expected), "{}", vector["name"]);
    }
    for attack in refused {
        assert_eq!(unwrapped(&overlaid(&[file, &opens[0], &attack["with"]])), None, "{}", attack["name"]);
    }
    (opens.len(), refused.len())
}

pub(crate) fn envelopes(file: &Value) -> (usize, usize) {
    let mine = BoxSecret::from_seed(&secret(&file["box_seed"]));
    assert_eq!(mine.public().as_bytes(), &bytes32(&file["box_public"]));
    let bucket: BucketId = id(&file["bucket"]);
    let node = Recipient::Node(id::<NodeId>(&file["node"]));
    let realm = id(&file["realm"]);
    let mut bucket = KeyRing::of_bucket(realm, bucket);
    let mut private = KeyRing::of_bucket(realm, id(&file["private_bucket"]));
    let mut directory = KeyRing::of_directory(realm, id(&file["directory_root"]));
    let envelope = |vector: &Value| {
        Envelope::decode(&hex::decode(vector["envelope"].as_str().unwrap()).unwrap()).unwrap()
    };
    let (opens, refused) = (file["opens"].as_array().unwrap(), file["refused"].as_array().unwrap());
    for vector in opens {
        let envelope = envelope(vector);
        let me = if envelope.to == Recipient::Recovery { Recipient::Recovery } else { node };
        let ring = match envelope.key_of {
            KeyOf::Directory => &mut directory,
            of if of == bucket.of() => &mut bucket,
            KeyOf::Bucket(_) => &mut private,
        };
        ring.admit(&envelope, me, &mine).unwrap();
        let key = ring.get(envelope.version).unwrap();
        assert_eq!(key.secret().expose(), &bytes32(&vector["key"]), "{}", vector["name"]);
    }
    for attack in refused {
        for ring in [&mut bucket, &mut directory] {
            assert!(ring.admit(&envelope(attack), node, &mine).is_err(), "{}", attack["name"]);
        }
    }
    (opens.len(), refused.len())
}

pub(crate) fn releases(file: &Value) -> (usize, usize) {
    let read = |vector: &Value| Release::decode(&hex::decode(vector["release"].as_str().unwrap()).unwrap());
    let (opens, refused) = (file["opens"].as_array().unwrap(), file["refused"].as_array().unwrap());
    for vector in opens {
        let expected = vector["entries"].as_array().unwrap().iter();
        let expected: Vec<(NodeId, u64)> =
            expected.map(|entry| (id(&entry[0]), entry[1].as_u64().unwrap())).collect();
        assert_eq!(read(vector).unwrap().entries().collect::<Vec<_>>(), expected, "{}", vector["name"]);
    }
    for attack in refused {
        assert!(read(attack).is_err(), "{}", attack["name"]);
    }
    (opens.len(), refused.len())
}
