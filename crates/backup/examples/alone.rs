//! The engine by itself, for whoever looks where a backup spends its time:
//! `alone REPOSITORY create ""`, `alone REPOSITORY backup PATH`, or `alone REPOSITORY restore TO`.
#![expect(clippy::print_stdout, reason = "its output is for a person")]

use std::{error::Error, path::Path, time::Instant};

use freehold_backup::{Folder, Password, Repository, Rights, Source};

#[global_allocator]
static ALLOCATOR: freehold_allocator::Allocator = freehold_allocator::Allocator;

fn main() -> Result<(), Box<dyn Error>> {
    freehold_allocator::give_back_soon();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, what, path] = arguments.as_slice() else {
        return Err("say: alone REPOSITORY create|backup|restore PATH".into());
    };
    let password = Password::known("5eed".repeat(16).into());
    let folder = || Folder::new(Path::new(repository), Rights::Append);
    // As the program does.
    rustix::thread::disable_transparent_huge_pages(true)?;
    let begun = Instant::now();
    if what == "create" {
        Repository::create(folder(), &password)?;
        return Ok(());
    }
    let repository = Repository::open(folder(), &password)?;
    let bytes = if what == "backup" {
        let source = Source { paths: vec![path.into()], ..Source::default() };
        repository.backup(&source, "alone")?.added
    } else {
        repository.restore("latest", None, Path::new(path))?.bytes
    };
    let peak = std::fs::read_to_string("/proc/self/status")?;
    let peak = peak.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{what}: {:.2} s, {bytes} bytes; {peak}", begun.elapsed().as_secs_f64());
    Ok(())
}
