//! The client: as little of one as can be, so that what is measured is the server. It is a process of
//! its own, because it runs on the server's machine of the story.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

/// A request: its method, and an address that is signed.
struct Call<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
}

/// `load FILE METHOD SIZE CLIENTS`: calls every address of a file and prints the seconds it took.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [file, method, size, clients] = arguments else { bail!("load FILE METHOD SIZE CLIENTS") };
    let (size, clients): (usize, usize) = (size.parse()?, clients.parse()?);
    let text = std::fs::read_to_string(file)?;
    let calls: Vec<Call<'_>> = text.lines().map(|url| call(method, url)).collect::<Result<_>>()?;
    let body: Vec<u8> = (0..size).map(|at| u8::try_from(at * 31 % 251).unwrap_or(0)).collect();
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let work = || -> Result<()> {
        let mut line = None;
        let mut buffer = vec![0; 256 << 10];
        while let Some(call) = calls.get(next.fetch_add(1, Ordering::Relaxed)) {
            ask(&mut line, call, &body, &mut buffer)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let all: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| bail!("a client panicked")))
    })?;
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}

fn call<'a>(method: &'a str, url: &'a str) -> Result<Call<'a>> {
    let rest = url.strip_prefix("http://").context("an http address")?;
    let at = rest.find('/').context("an address with a path")?;
    let (host, path) = rest.split_at(at);
    Ok(Call { method, host, path })
}

fn ask(line: &mut Option<TcpStream>, call: &Call<'_>, body: &[u8], buffer: &mut [u8]) -> Result<()> {
    let mut stream = match line.take() {
        Some(stream) => stream,
        None => TcpStream::connect(call.host).with_context(|| format!("call {}", call.host))?,
    };
    stream.set_nodelay(true)?;
    let sends = call.method == "PUT";
    let len = if sends { body.len() } else { 0 };
    let head = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {len}\r\n\r\n",
        call.method, call.path, call.host
    );
    stream.write_all(head.as_bytes())?;
    if sends {
        stream.write_all(body)?;
    }
    let (head, mut got) = read_head(&mut stream, buffer)?;
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default().to_owned();
    ensure!(status.contains(" 200 "), "{} {}: {status}", call.method, call.path);
    let field = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let length: usize = field("content-length").unwrap_or_default().parse().unwrap_or(0);
    ensure!(sends || length == body.len(), "{} bytes were sent, {length} came: {head}", body.len());
    while got < length {
        let more = stream.read(buffer)?;
        ensure!(more > 0, "the answer broke off");
        got += more;
    }
    if field("connection").is_none_or(|how| !how.eq_ignore_ascii_case("close")) {
        *line = Some(stream);
    }
    Ok(())
}

/// The head of an answer, and how many bytes of the body came with it.
fn read_head(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<(String, usize)> {
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).context("the head of the answer is too long")?;
        let more = stream.read(room)?;
        ensure!(more > 0, "the server hung up");
        filled += more;
        let have = buffer.get(..filled).unwrap_or_default();
        if let Some(end) = have.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = have.get(..end).unwrap_or_default();
            return Ok((String::from_utf8_lossy(head).into_owned(), filled - end - 4));
        }
    }
}
