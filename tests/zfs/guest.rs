//! A machine with OpenZFS, in QEMU: what is typed goes in by its second serial line, and what came of it comes back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use data_encoding::BASE64;

/// Without hardware's help a boot takes a quarter of a minute.
const BOOTS_WITHIN: Duration = Duration::from_mins(5);
/// The longest that anything may take which is typed.
const DONE_WITHIN: Duration = Duration::from_mins(5);

/// One of them. It is gone when this is.
#[derive(Debug)]
pub(crate) struct Guest {
    name: &'static str,
    process: Child,
    line: BufReader<UnixStream>,
}

/// What it is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) name: &'static str,
    pub(crate) address: &'a str,
    /// The last digit of its network card.
    pub(crate) number: u8,
    /// How it is connected with the other.
    pub(crate) network: &'a str,
}

impl Guest {
    /// Begins one in a folder, with the image that `cargo xtask zfs` made.
    pub(crate) fn boot(image: &Path, folder: &Path, wish: Wish<'_>) -> Result<Self> {
        let socket = folder.join(format!("{}.line", wish.name));
        let console = folder.join(format!("{}.console", wish.name));
        let Wish { name, address, number, network } = wish;
        let kvm = std::env::var_os("FREEHOLD_TEST_KVM").is_some();
        let (accel, cpu) = if kvm { ("kvm", "host") } else { ("tcg", "max") };
        let mut process = Command::new("qemu-system-x86_64");
        process.args([
            "-accel",
            accel,
            "-cpu",
            cpu,
            "-m",
            "3072",
            "-smp",
            "1",
            "-display",
            "none",
            "-no-reboot",
        ]);
        process.arg("-kernel").arg(image.join("kernel")).arg("-initrd").arg(image.join("whole"));
        process.arg("-append").arg(format!("console=ttyS0 panic=-1 quiet host={name} address={address}"));
        process.arg("-serial").arg(format!("file:{}", console.display()));
        process.arg("-serial").arg(format!("unix:{},server=on,wait=off", socket.display()));
        process.arg("-netdev").arg(format!("socket,id=n,{network}"));
        process.arg("-device").arg(format!("virtio-net-pci,netdev=n,mac=52:54:00:00:00:0{number}"));
        process.stdin(Stdio::null());
        let process = process.spawn().context("cannot run qemu-system-x86_64")?;
        let line = connect(&socket)?;
        line.set_read_timeout(Some(BOOTS_WITHIN))?;
        let mut guest = Self { name, process, line: BufReader::new(line) };
        let ready = guest.answer().with_context(|| format!("{name} does not boot: {}", console.display()))?;
        if ready != "ready" {
            bail!("{name} says {ready:?}");
        }
        guest.line.get_ref().set_read_timeout(Some(DONE_WITHIN))?;
        Ok(guest)
    }

    fn answer(&mut self) -> Result<String> {
        let mut answer = String::new();
        self.line.read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Runs what is typed, in a shell: its exit code, and what it said.
    pub(crate) fn tries(&mut self, script: &str) -> Result<(i32, String)> {
        let typed = format!("{}\n", BASE64.encode(script.as_bytes()));
        self.line.get_mut().write_all(typed.as_bytes())?;
        let answer = self.answer().with_context(|| format!("{} is silent after: {script}", self.name))?;
        let (code, said) = answer.split_once(' ').unwrap_or((&answer, ""));
        let said = String::from_utf8_lossy(&BASE64.decode(said.as_bytes())?).into_owned();
        Ok((code.parse()?, said))
    }

    /// The same, and it has to succeed.
    pub(crate) fn runs(&mut self, script: &str) -> Result<String> {
        let (code, said) = self.tries(script)?;
        if code != 0 {
            bail!("on {}: {script}\nends with {code}:\n{said}", self.name);
        }
        Ok(said)
    }

    /// The same, and it has to fail.
    pub(crate) fn fails(&mut self, script: &str) -> Result<String> {
        let (code, said) = self.tries(script)?;
        if code == 0 {
            bail!("on {}: {script}\nought to fail, and says:\n{said}", self.name);
        }
        Ok(said)
    }

    /// Waits until a shell's condition holds.
    pub(crate) fn waits_until(&mut self, condition: &str) -> Result<()> {
        let within = Instant::now() + DONE_WITHIN;
        while Instant::now() < within {
            if self.tries(condition)?.0 == 0 {
                return Ok(());
            }
        }
        bail!("on {} it never holds: {condition}", self.name)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn connect(socket: &PathBuf) -> Result<UnixStream> {
    let within = Instant::now() + BOOTS_WITHIN;
    loop {
        match UnixStream::connect(socket) {
            Ok(line) => return Ok(line),
            Err(error) if Instant::now() > within => return Err(error.into()),
            Err(_) => std::thread::yield_now(),
        }
    }
}
