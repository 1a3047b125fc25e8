//! The engine by itself, for whoever looks where a backup spends its time:
//! `alone REPOSITORY backup PATH` (made if it is not there), or `alone REPOSITORY restore TO`.
#![expect(clippy::print_stdout, reason = "its output is for a person")]

use std::{error::Error, path::Path, time::Instant};

use freehold_backup::{Folder, Password, Repository, Rights, Source};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, what, path] = arguments.as_slice() else {
        return Err("say: alone REPOSITORY backup|restore PATH".into());
    };
    let password = Password::known("5eed".repeat(16).into());
    let folder = || Folder::new(Path::new(repository), Rights::Append);
    let repository = match Repository::open(folder(), &password) {
        Err(_) if what == "backup" => Repository::create(folder(), &password)?,
        opened => opened?,
    };
    let begun = Instant::now();
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
