"""A person at a terminal: names the realm, mistypes a phrase, types it right, and stops the node."""
import os, pty, re, select, signal, sys, time

binary, home = sys.argv[1:3]


def run(*arguments):
    """A command with a terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(binary, [binary, "--home", home, *arguments])
    return pid, terminal


pid, terminal = run("up")
said = ""


def read_until(pattern, seconds=30):
    """Reads until the pattern stands in what was said since the last call."""
    global said
    end = time.monotonic() + seconds
    while not (found := re.search(pattern, said, re.S)):
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        if not ready:
            sys.exit(f"waited for {pattern!r}, saw: {said}")
        try:
            said += os.read(terminal, 65536).decode("utf-8", "replace")
        except OSError:
            sys.exit(f"it ended; waited for {pattern!r}, saw: {said}")
    before, said = said[: found.end()], said[found.end() :]
    return before


def type_line(line):
    os.write(terminal, line.encode() + b"\n")


read_until(r"name for your realm.*?:")
type_line("jones")
shown = read_until(r"Type one of them back.*?:")
words = {}
for guardian, block in re.findall(r"Guardian (\d)(.*?)(?=Guardian|Type one)", shown, re.S):
    pairs = sorted((int(n), w) for n, w in re.findall(r"(\d+) ([a-z]+)", block))
    words[guardian] = " ".join(word for _, word in pairs)
assert len(words) == 3, shown
type_line("abandon " * 11 + "about")
read_until(r"none of these three")
print("the wrong phrase was refused")
read_until(r"Type one of them back.*?:")
type_line(words["2"] + "x")
read_until(r"word 12 is not one of the phrase words")
read_until(r"Type one of them back.*?:")
type_line(" ".join(f"{at} {word}," for at, word in enumerate(words["2"].split(), 1)))
rest = read_until(r"next .*?freehold .*?status")
assert "\x1b[2J" in rest, rest
print("the screen was cleared")
assert "jones is up" in rest, rest
print("up as jones")
assert words["1"] not in rest and words["3"] not in rest

# Another of the phrases, later, by the command that every reminder names.
up, pid = pid, None
pid, terminal = run("guardians", "test")
read_until(r"A guardian phrase, all twelve words:")
type_line(words["1"])
read_until(r"It is the phrase of guardian 1 of 3. Tested so far: 2; 2 can recover")
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
pid, terminal = run("invite")
read_until(r"freehold join FREEHOLD-INVITE:.*[\u2580\u2584\u2588]{10}")
os.waitpid(pid, 0)
print("an invitation with its QR code was shown")
pid, terminal = run("status")
after = read_until(r"This node: up")
assert "guardian phrases back" not in after, after
os.waitpid(pid, 0)
print("the phrases are tested")
os.kill(up, signal.SIGINT)
_, status = os.waitpid(up, 0)
assert os.waitstatus_to_exitcode(status) == 0, status

# Open to the network, it shows a code that a phone can scan.
pid, terminal = run("up", "--listen", "0.0.0.0")
read_until(r"[\u2580\u2584\u2588]{10}.*next .*?freehold .*?status")
print("a code for a phone was shown")
os.kill(pid, signal.SIGINT)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
