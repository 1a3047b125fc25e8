//! Backups over weeks: what is old is forgotten by itself, what was written is read and restored again, and what a person has
//! to hear of stands until they have.

mod weeks;
