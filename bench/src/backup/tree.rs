//! What is backed up: 2 GB of mixed files, half of them of the sort that no compression shrinks, a third text, the rest
//! tables with much that is alike; and 100,000 small ones. The same at every run.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Result;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

const MIB: usize = 1 << 20;
const SMALL_DIRS: usize = 1000;
const SMALL_IN_DIR: usize = 100;

/// How much of each sort, in bytes, and how large one file is at most.
fn sorts() -> [(&'static str, usize, usize); 3] {
    let all = if std::env::var_os("FREEHOLD_BENCH_QUICK").is_some() { 20 * MIB } else { 2000 * MIB };
    [("photos", all / 2, 12 * MIB), ("letters", all / 3, MIB), ("tables", all / 6, 60 * MIB)]
}

fn small_dirs() -> usize {
    if std::env::var_os("FREEHOLD_BENCH_QUICK").is_some() { 10 } else { SMALL_DIRS }
}

/// Makes the tree.
pub(crate) fn plant(tree: &Path) -> Result<()> {
    let mut draw = SmallRng::seed_from_u64(5);
    let words: Vec<String> = (0..20_000).map(|_| word(&mut draw)).collect();
    for (sort, all, most) in sorts() {
        let mut left = all;
        for number in 0.. {
            if left == 0 {
                break;
            }
            let size = draw.random_range(most / 20..most).min(left);
            left -= size;
            let dir = tree.join(sort).join(format!("{:02}", number / 40));
            fs::create_dir_all(&dir)?;
            let mut file = BufWriter::new(File::create(dir.join(format!("{number:05}")))?);
            match sort {
                "photos" => noise(&mut file, size, &mut draw)?,
                "letters" => letter(&mut file, size, &words, &mut draw)?,
                _ => table(&mut file, size, &mut draw)?,
            }
            file.flush()?;
        }
    }
    for dir in 0..small_dirs() {
        let at = tree.join("small").join(format!("{:02}", dir % 32)).join(format!("{dir:04}"));
        fs::create_dir_all(&at)?;
        for number in 0..SMALL_IN_DIR {
            let size = draw.random_range(100..4000);
            let mut file = BufWriter::new(File::create(at.join(format!("{number:03}.txt")))?);
            letter(&mut file, size, &words, &mut draw)?;
            file.flush()?;
        }
    }
    Ok(())
}

/// Writes one file in a hundred anew.
pub(super) fn change(tree: &Path, seed: u64) -> Result<()> {
    let mut draw = SmallRng::seed_from_u64(100 + seed);
    let (mut count, mut bytes) = (0, 0);
    walk(tree, &mut |file| {
        if !draw.random_bool(0.01) {
            return Ok(());
        }
        let size = fs::metadata(file)?.len();
        noise(&mut BufWriter::new(File::create(file)?), usize::try_from(size)?, &mut draw)?;
        (count, bytes) = (count + 1, bytes + size);
        Ok(())
    })?;
    println!("changed {count} files, {} MiB", bytes >> 20);
    Ok(())
}

fn walk(dir: &Path, each: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        if entry.file_type()?.is_dir() { walk(&entry.path(), each)? } else { each(&entry.path())? }
    }
    Ok(())
}

fn word(draw: &mut SmallRng) -> String {
    (0..draw.random_range(2..11)).map(|_| char::from(draw.random_range(b'a'..=b'z'))).collect()
}

fn noise(to: &mut BufWriter<File>, size: usize, draw: &mut SmallRng) -> Result<()> {
    let mut noise = vec![0; size];
    draw.fill_bytes(&mut noise);
    to.write_all(&noise)?;
    Ok(to.flush()?)
}

fn letter(to: &mut BufWriter<File>, size: usize, words: &[String], draw: &mut SmallRng) -> Result<()> {
    let mut text = String::with_capacity(size + 16);
    while text.len() < size {
        // Some words are said more often than others.
        let common = words.get(..words.len() / 40).unwrap_or(words);
        let word = if draw.random_bool(0.6) { common.choose(draw) } else { words.choose(draw) };
        text.push_str(word.map_or("", String::as_str));
        text.push(if draw.random_bool(0.1) { '\n' } else { ' ' });
    }
    text.truncate(size);
    Ok(to.write_all(text.as_bytes())?)
}

/// Rows with numbers that grow, some that are alike, and some that nobody guesses.
fn table(to: &mut BufWriter<File>, size: usize, draw: &mut SmallRng) -> Result<()> {
    let mut number = draw.next_u64() >> 20;
    for _ in 0..size / 64 {
        number += draw.random_range(1..50);
        let mut row = [0; 64];
        row[..8].copy_from_slice(&number.to_le_bytes());
        row[8..16].copy_from_slice(&draw.random_range(0..1000_u64).to_le_bytes());
        draw.fill_bytes(&mut row[40..56]);
        to.write_all(&row)?;
    }
    Ok(())
}
