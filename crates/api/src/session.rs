//! Who may use the console over the network: a browser in which somebody has typed a set-up code.
//! The Unix socket needs none of this: its file mode is the gate. Sessions outlive a restart if the
//! node keeps them; what it keeps opens nothing, because it is the hashes of their tokens.

mod gate;
mod kept;
mod reading;
#[cfg(test)]
mod tests;
mod tries;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use data_encoding::{Encoding, Specification};
use freehold_crypt::Entropy;
use freehold_ports::Source;
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use zeroize::{ZeroizeOnDrop, Zeroizing};

pub use gate::{KnownAs, foreign_host, guard, own_host, same_origin};

use self::tries::Guesses;
use crate::Problem;

/// A month: the person typed a code from their own terminal into their own browser.
const SESSION_LASTS: Duration = Duration::from_hours(30 * 24);
/// A clock that is set right by less signs nobody out.
const CLOCK_SLACK: Duration = Duration::from_hours(24);
/// More browsers than a family has.
const SESSIONS_MAX: usize = 64;
/// Codes open at a time; a new one pushes out the oldest.
const CODES_MAX: usize = 4;
/// The code of a link: random bytes, and letters of five bits.
const LINK_BYTES: usize = 16;
const LINK_LETTERS: usize = (LINK_BYTES * 8).div_ceil(5);

/// A code that opens the console once.
#[derive(Clone, Serialize, Deserialize, ToSchema, ZeroizeOnDrop)]
pub struct SetupCode {
    /// As it is typed.
    pub code: String,
    /// The same code for a link, too long to be guessed: it is looked at even where others guess.
    pub link: String,
    /// In how many milliseconds it lapses.
    pub lapses_in_ms: u64,
}

impl fmt::Debug for SetupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupCode(..)")
    }
}

/// A set-up code as a person typed it.
#[derive(Clone, Serialize, Deserialize, ToSchema, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct TypedCode {
    /// Case, hyphens and spaces do not matter.
    pub code: String,
}

impl fmt::Debug for TypedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedCode(..)")
    }
}

/// The value of a `Set-Cookie` header.
#[derive(Clone, ZeroizeOnDrop)]
pub struct SessionCookie(pub(crate) String);

impl SessionCookie {
    /// As it goes into the header.
    pub fn as_header(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionCookie(..)")
    }
}

/// The console's sessions and set-up codes.
pub struct Sessions {
    cookie: String,
    letters: Encoding,
    state: Mutex<State>,
    keeper: OnceLock<Keeper>,
    guesses: Guesses,
}

type Keeper = Box<dyn Fn(Vec<u8>) + Send + Sync>;

/// The time, by the clock that only goes forward and by the one that outlives a restart.
#[derive(Debug, Clone, Copy)]
struct Now {
    steady: Instant,
    wall: Duration,
}

impl Now {
    fn read() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { steady: Instant::now(), wall }
    }

    /// Whether a session that ends then is open. One that would last longer than any was made while
    /// the clock was wrong.
    fn is_open(self, until: Duration) -> bool {
        until > self.wall && until <= self.wall + SESSION_LASTS + CLOCK_SLACK
    }
}

struct State {
    entropy: Box<dyn Entropy + Send>,
    codes: Vec<Code>,
    /// By the hash of the token, so that looking one up tells nothing by its time: since 1970, until
    /// when each is open.
    open: BTreeMap<[u8; 32], Duration>,
    /// Codes with which a session may look into backups, and by the hash of their tokens the sessions that may, and
    /// until when. Not kept: a node that was started anew asks again.
    reading_codes: Vec<Code>,
    readers: BTreeMap<[u8; 32], Instant>,
}

impl State {
    /// A new code that is open for so long.
    fn code(&mut self, letters: &Encoding, lasts: Duration) -> (Code, SetupCode) {
        let (mut short, mut long) = (Zeroizing::new([0u8; 5]), Zeroizing::new([0u8; LINK_BYTES]));
        self.entropy.fill(short.as_mut());
        self.entropy.fill(long.as_mut());
        let plain = Zeroizing::new(letters.encode(short.as_ref()));
        let link = Zeroizing::new(letters.encode(long.as_ref()));
        let (head, tail) = plain.split_at(plain.len() / 2);
        let code = format!("{head}-{tail}");
        let lapses_in_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let made = SetupCode { code, link: link.to_string(), lapses_in_ms };
        (Code { typed: plain, link, until: Instant::now() + lasts }, made)
    }
}

/// Takes the code that was typed out of those that are open. Every code is compared, and each compare takes the same time.
fn take(codes: &mut Vec<Code>, typed: &TypedCode, now: Instant) -> bool {
    codes.retain(|code| code.until > now);
    let typed = canonical(&typed.code);
    let all = codes.iter().enumerate();
    let hit = all.fold(None, |hit, (at, code)| if code.is(&typed) { Some(at) } else { hit });
    hit.map(|hit| codes.remove(hit)).is_some()
}

/// A new one pushes out the oldest.
fn push(codes: &mut Vec<Code>, code: Code) {
    if codes.len() >= CODES_MAX {
        codes.remove(0);
    }
    codes.push(code);
}

struct Code {
    /// Without the hyphen.
    typed: Zeroizing<String>,
    link: Zeroizing<String>,
    until: Instant,
}

impl Code {
    /// Whether this is it. Both compares take the same time whatever it is.
    fn is(&self, typed: &str) -> bool {
        let same = |code: &str| code.as_bytes().ct_eq(typed.as_bytes());
        (same(&self.typed) | same(&self.link)).into()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

impl Sessions {
    /// None yet. `tag` (letters and digits, such as the start of the node's id) keeps the cookies of
    /// several nodes on one machine apart, because browsers do not tell ports apart.
    pub fn new(tag: &str, entropy: Box<dyn Entropy + Send>) -> Self {
        let tag: String = tag.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        let (codes, reading_codes, readers) = (Vec::new(), Vec::new(), BTreeMap::new());
        let state = State { entropy, codes, open: BTreeMap::new(), reading_codes, readers };
        let cookie = format!("__Host-freehold-{tag}");
        let (state, guesses) = (Mutex::new(state), Guesses::new());
        Self { cookie, letters: letters(), state, keeper: OnceLock::new(), guesses }
    }

    /// Takes back the sessions that were kept, and hands what is to be kept to `keeper` at every
    /// change from now on.
    pub fn keep(&self, kept: &[u8], keeper: impl Fn(Vec<u8>) + Send + Sync + 'static) {
        self.state().open.extend(kept::read(kept).take(SESSIONS_MAX));
        drop(self.keeper.set(Box::new(keeper)));
    }

    /// Under the lock, so that the keeper hears of changes in their order.
    fn changed(&self, state: &State) {
        if let Some(keeper) = self.keeper.get() {
            keeper(kept::write(&state.open));
        }
    }

    /// A new code, good for one sign-in within `lasts`.
    pub fn issue_code(&self, lasts: Duration) -> SetupCode {
        let mut state = self.state();
        let (code, made) = state.code(&self.letters, lasts);
        push(&mut state.codes, code);
        made
    }

    /// Takes a code for a session. Who types many wrong ones waits; the code of a link never does.
    ///
    /// # Errors
    /// [`Problem::refused`] if the code is wrong, used or lapsed, or too many of that source wait.
    pub async fn sign_in(&self, source: Source, typed: &TypedCode) -> Result<SessionCookie, Problem> {
        self.guessed(source, typed, || self.sign_in_at(typed, Now::read())).await
    }

    /// Lets a code be tried, when it is the turn of whoever typed it.
    async fn guessed<T>(
        &self,
        source: Source,
        typed: &TypedCode,
        tried: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        if canonical(&typed.code).len() == LINK_LETTERS {
            return tried();
        }
        if !self.guesses.turn(source).await {
            return Err(too_many_tries());
        }
        let opened = tried();
        if opened.is_err() {
            self.guesses.wrong(source);
        }
        opened
    }

    fn sign_in_at(&self, typed: &TypedCode, now: Now) -> Result<SessionCookie, Problem> {
        let mut state = self.state();
        if !take(&mut state.codes, typed, now.steady) {
            return Err(wrong_code());
        }
        let mut token = Zeroizing::new([0u8; 32]);
        state.entropy.fill(token.as_mut());
        state.open.retain(|_, until| now.is_open(*until));
        if state.open.len() >= SESSIONS_MAX {
            let oldest = state.open.iter().min_by_key(|(_, until)| **until).map(|(hash, _)| *hash);
            oldest.and_then(|hash| state.open.remove(&hash));
        }
        state.open.insert(*blake3::hash(token.as_ref()).as_bytes(), now.wall + SESSION_LASTS);
        self.changed(&state);
        let token = Zeroizing::new(data_encoding::HEXLOWER.encode(token.as_ref()));
        Ok(self.cookie_header(&token, SESSION_LASTS.as_secs()))
    }

    /// Ends the session that the request carries, and returns the header that forgets its cookie.
    pub fn sign_out(&self, headers: &HeaderMap) -> SessionCookie {
        if let Some(hash) = self.token(headers) {
            let mut state = self.state();
            state.readers.remove(&hash);
            if state.open.remove(&hash).is_some() {
                self.changed(&state);
            }
        }
        self.cookie_header("", 0)
    }

    /// Ends every session, and lets every open code lapse.
    pub fn sign_out_everywhere(&self) {
        let mut state = self.state();
        state.open.clear();
        state.codes.clear();
        state.readers.clear();
        state.reading_codes.clear();
        self.changed(&state);
    }

    /// Whether a request with these headers comes from somebody who has signed in.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        self.admits_at(headers, Now::read())
    }

    fn admits_at(&self, headers: &HeaderMap, now: Now) -> bool {
        let until = self.token(headers).and_then(|hash| self.state().open.get(&hash).copied());
        until.is_some_and(|until| now.is_open(until))
    }

    fn cookie_header(&self, token: &str, seconds: u64) -> SessionCookie {
        let name = &self.cookie;
        SessionCookie(format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Strict"))
    }

    /// The hash of the token that a request carries.
    fn token(&self, headers: &HeaderMap) -> Option<[u8; 32]> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == self.cookie)
            .and_then(|(_, token)| data_encoding::HEXLOWER.decode(token.as_bytes()).ok())
            .map(|token| *blake3::hash(&Zeroizing::new(token)).as_bytes())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Crockford's base 32: no I, L, O or U to misread.
fn letters() -> Encoding {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    spec.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
}

/// What a person typed, as the code is written.
fn canonical(typed: &str) -> Zeroizing<String> {
    let fix = |c: char| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        c => c,
    };
    Zeroizing::new(typed.chars().filter(char::is_ascii_alphanumeric).take(64).map(fix).collect())
}

fn wrong_code() -> Problem {
    Problem::refused(
        "this set-up code does not open the console",
        "it is mistyped, was used before, or has lapsed",
        Some("freehold console    (prints a new one)"),
    )
}

fn too_many_tries() -> Problem {
    Problem::refused(
        "this set-up code was not looked at",
        "too many are being typed at the same time where you are",
        Some("freehold console    (open the link that it prints)"),
    )
}
