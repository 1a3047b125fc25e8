//! Words of text, for indexes of them and for `matches`: as Unicode parts text, in small letters and
//! without accents, so that `Café` and `cafe` are one. Documents are ranked by BM25.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation as _;

/// What is longer is no word that anybody asks for.
const WORD_BYTES_MAX: usize = 64;
/// How soon a word that comes again counts less, and how much long text is held against a document.
const AGAIN: f64 = 1.2;
const LENGTH: f64 = 0.75;

/// The words of a text, in their order.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let folded = |word: &str| -> String {
        word.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
    };
    text.unicode_words().map(folded).filter(|word| !word.is_empty() && word.len() <= WORD_BYTES_MAX)
}

/// How often each word is in a field: text, or an array with text in it.
pub(crate) fn counted(value: Option<&Value>) -> BTreeMap<String, u32> {
    let texts = match value {
        Some(Value::Array(elements)) => elements.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => vec![text.as_str()],
        _ => Vec::new(),
    };
    let mut all: BTreeMap<String, u32> = BTreeMap::new();
    for word in texts.into_iter().flat_map(words) {
        let count = all.entry(word).or_default();
        *count = count.saturating_add(1);
    }
    all
}

/// Whether a field has all words of a text; nothing matches a text without words.
pub(crate) fn matches(value: Option<&Value>, wanted: &str) -> bool {
    let there = counted(value);
    let mut wanted = words(wanted).peekable();
    wanted.peek().is_some() && wanted.all(|word| there.contains_key(&word))
}

/// A word in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    /// How often it is there.
    pub times: u32,
    /// How many words the document has.
    pub of: u32,
}

impl Posting {
    pub(crate) fn encode(self) -> Vec<u8> {
        [self.times.to_be_bytes(), self.of.to_be_bytes()].concat()
    }

    /// Reads it back; nothing if it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (times, of) = bytes.split_first_chunk::<4>()?;
        Some(Self { times: u32::from_be_bytes(*times), of: u32::from_be_bytes(of.try_into().ok()?) })
    }
}

/// How much text is in an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Corpus {
    /// Documents with a word at least.
    pub documents: u64,
    /// Words of them all.
    pub words: u64,
}

/// The documents that have all of the words, the best first; of equals the later id. `found` has for
/// each word where it is.
pub fn rank(corpus: Corpus, mut found: Vec<BTreeMap<String, Posting>>) -> Vec<(f64, String)> {
    found.sort_by_key(BTreeMap::len);
    let Some(rarest) = found.first() else { return Vec::new() };
    let mean = (float(corpus.words) / float(corpus.documents.max(1))).max(1.0);
    let weights: Vec<f64> = found.iter().map(|word| rarity(corpus, word.len() as u64)).collect();
    let mut ranked: Vec<(f64, String)> = Vec::new();
    'documents: for id in rarest.keys() {
        let mut score = 0.0;
        for (word, weight) in found.iter().zip(&weights) {
            let Some(posting) = word.get(id) else { continue 'documents };
            let times = f64::from(posting.times);
            let length = 1.0 - LENGTH + LENGTH * f64::from(posting.of) / mean;
            score += weight * times * (AGAIN + 1.0) / (times + AGAIN * length);
        }
        ranked.push((score, id.clone()));
    }
    ranked.sort_by(|(one, a), (other, b)| other.total_cmp(one).then_with(|| Reverse(a).cmp(&Reverse(b))));
    ranked
}

/// A word that few documents have says more.
fn rarity(corpus: Corpus, having: u64) -> f64 {
    let without = corpus.documents.saturating_sub(having);
    (1.0 + (float(without) + 0.5) / (float(having) + 0.5)).ln()
}

#[expect(clippy::cast_precision_loss, reason = "a score is no exact number")]
const fn float(count: u64) -> f64 {
    count as f64
}
