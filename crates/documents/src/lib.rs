//! JSON documents with declared secondary indexes over any store whose keys are in order: which rows
//! a document makes, what a query means, and which rows have to be read to answer it. It must never
//! read or write anything itself, give another answer with an index than without, or panic on bytes
//! or text from outside. Start reading at [`Query`], then [`plan`].

mod filter;
mod index;
mod key;
mod layout;
mod parse;
mod plan;
mod query;
mod run;
mod show;
mod value;
mod words;

pub use filter::{Compare, Filter};
pub use index::{COMPONENTS_MAX, IndexError, IndexSpec, ROWS_MAX, Row, WORDS_MAX};
pub use key::{Component, KeyError, decode, encode, encode_all};
pub use layout::{
    document_key, document_range, id_of_document, id_of_row, index_range, place_of_document, posting_of_row,
};
pub use parse::{ParseError, parse};
pub use plan::{Access, KeyRange, Plan, plan};
pub use query::{Cursor, CursorError, Direction, LIMIT_DEFAULT, LIMIT_MAX, OrderBy, Query, SCORE};
pub use run::{Flow, Page, Run};
pub use value::{Path, PathError, at};
pub use words::{Corpus, Posting, rank, words};

#[cfg(test)]
mod tests;
