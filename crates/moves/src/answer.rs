//! What an S3 answers, as far as a move asks: lists of versions and of buckets, and single words.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::Seen;

const DEPTH_MAX: usize = 16;
/// A page of a list has 1,000 lines at Amazon; nobody needs many more.
const LINES_MAX: usize = 10_000;
/// Element's text: a key of 1,024 bytes, each of them percent-encoded, or a token.
const TEXT_MAX: usize = 8192;

/// The answer is not what S3 says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is no XML, or of a depth or length that no answer has.
    #[error("the answer is not readable XML")]
    Malformed,
    /// Something is missing that every answer of its kind has.
    #[error("the answer has no {0}")]
    Lacks(&'static str),
    /// A key is not the encoding of a text.
    #[error("a key in the answer cannot be decoded")]
    Key,
}

/// A page of a list of versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys with a version of each; the newest of a key comes first.
    pub lines: Vec<(String, Seen)>,
    /// Where the next page begins: a key and a version.
    pub next: Option<(String, String)>,
}

/// Reads a page of `ListObjectVersions`, asked for with `encoding-type=url`.
///
/// # Errors
/// [`AnswerError`]
pub fn versions_page(xml: &str) -> Result<Page, AnswerError> {
    let mut page = Page::default();
    let (mut one, mut key): (Option<Seen>, Option<String>) = (None, None);
    let (mut more, mut next_key, mut next_version) = (false, None, String::new());
    each(xml, &mut |path, event| {
        let (kind, leaf) = match path {
            [_, kind] => (kind.as_str(), ""),
            [_, kind, leaf] => (kind.as_str(), leaf.as_str()),
            _ => return Ok(()),
        };
        match (kind, leaf, event) {
            ("Version" | "DeleteMarker", "", Part::Begin) => {
                one = Some(Seen { marker: kind == "DeleteMarker", ..Seen::default() });
            }
            ("Version" | "DeleteMarker", "", Part::End) => {
                let seen = one.take().ok_or(AnswerError::Malformed)?;
                let key = key.take().ok_or(AnswerError::Lacks("Key"))?;
                if page.lines.len() >= LINES_MAX {
                    return Err(AnswerError::Malformed);
                }
                page.lines.push((key, seen));
            }
            ("Version" | "DeleteMarker", leaf, Part::Text(text)) => {
                let Some(seen) = &mut one else { return Err(AnswerError::Malformed) };
                match leaf {
                    "Key" => key = Some(unescaped(text)?),
                    "VersionId" => text.clone_into(&mut seen.version),
                    "ETag" => text.trim_matches('"').clone_into(&mut seen.etag),
                    "Size" => seen.size = text.parse().map_err(|_| AnswerError::Lacks("size"))?,
                    "LastModified" => text.clone_into(&mut seen.modified),
                    _ => {}
                }
            }
            ("IsTruncated", "", Part::Text(text)) => more = text == "true",
            ("NextKeyMarker", "", Part::Text(text)) => next_key = Some(unescaped(text)?),
            ("NextVersionIdMarker", "", Part::Text(text)) => text.clone_into(&mut next_version),
            _ => {}
        }
        Ok(())
    })?;
    if more {
        page.next = Some((next_key.ok_or(AnswerError::Lacks("NextKeyMarker"))?, next_version));
    }
    Ok(page)
}

/// Reads the names in an answer to `ListBuckets`.
///
/// # Errors
/// [`AnswerError`]
pub fn bucket_names(xml: &str) -> Result<Vec<String>, AnswerError> {
    let mut names = Vec::new();
    each(xml, &mut |path, event| {
        if let ([_, _, bucket, name], Part::Text(text)) = (path, event)
            && bucket == "Bucket"
            && name == "Name"
        {
            names.push(text.to_owned());
        }
        Ok(())
    })?;
    Ok(names)
}

/// Two texts of each element of a name: keys and values of tags, keys and ids of uploads.
///
/// # Errors
/// [`AnswerError`]
pub fn pairs(xml: &str, of: &str, names: [&str; 2]) -> Result<Vec<(String, String)>, AnswerError> {
    let (mut all, mut one) = (Vec::new(), (String::new(), String::new()));
    each(xml, &mut |path, event| {
        match (path, event) {
            ([.., last], Part::Begin) if last == of => one = Default::default(),
            ([.., last], Part::End) if last == of && all.len() < LINES_MAX => {
                all.push(std::mem::take(&mut one));
            }
            ([.., parent, leaf], Part::Text(text)) if parent == of && leaf == names[0] => {
                text.clone_into(&mut one.0);
            }
            ([.., parent, leaf], Part::Text(text)) if parent == of && leaf == names[1] => {
                text.clone_into(&mut one.1);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(all)
}

/// The text of the first element of that name, wherever it stands.
///
/// # Errors
/// [`AnswerError`]
pub fn field(xml: &str, name: &str) -> Result<Option<String>, AnswerError> {
    let mut found = None;
    each(xml, &mut |path, event| {
        if let (Some(last), Part::Text(text)) = (path.last(), event)
            && last == name
            && found.is_none()
        {
            found = Some(text.to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

enum Part<'a> {
    Begin,
    /// The whole text of an element that has some and no elements in it.
    Text(&'a str),
    End,
}

type See<'a> = dyn FnMut(&[String], Part<'_>) -> Result<(), AnswerError> + 'a;

/// Every element with where it stands. Entities of a document's own are never read.
fn each(xml: &str, see: &mut See<'_>) -> Result<(), AnswerError> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut seen = false;
    loop {
        match reader.read_event().map_err(|_| AnswerError::Malformed)? {
            Event::Start(element) if open.len() < DEPTH_MAX => {
                open.push(element.local_name().into_inner().to_owned());
                text.clear();
                seen = true;
                see(&open, Part::Begin)?;
            }
            Event::End(_) => {
                if !text.is_empty() {
                    see(&open, Part::Text(&text))?;
                    text.clear();
                }
                see(&open, Part::End)?;
                open.pop().ok_or(AnswerError::Malformed)?;
            }
            Event::Text(piece) => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(name) => {
                let c = match name.resolve_char_ref() {
                    Ok(Some(c)) => Some(c),
                    _ => named(&name),
                };
                text.push(c.ok_or(AnswerError::Malformed)?);
            }
            Event::Eof if open.is_empty() && seen => return Ok(()),
            Event::Eof | Event::Start(_) | Event::DocType(_) => return Err(AnswerError::Malformed),
            _ => {}
        }
        if text.len() > TEXT_MAX {
            return Err(AnswerError::Malformed);
        }
    }
}

fn named(name: &str) -> Option<char> {
    match name {
        "quot" => Some('"'),
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        _ => None,
    }
}

/// Takes the encoding of a key away: `%XX`, and a plus for a space as Amazon has it.
///
/// # Errors
/// [`AnswerError::Key`]
pub fn unescaped(text: &str) -> Result<String, AnswerError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                let (high, low) = high.zip(low).ok_or(AnswerError::Key)?;
                u8::try_from(high * 16 + low).map_err(|_| AnswerError::Key)?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(out).map_err(|_| AnswerError::Key)
}
