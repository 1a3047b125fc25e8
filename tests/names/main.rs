//! Names as the programs of a house ask for them: dig and kdig over everything that is served, zones whose
//! signatures are right and wrong, and a machine whose settings are changed and put back.

#![cfg(test)]

mod clients;
mod house;
mod machine;
mod signed;
