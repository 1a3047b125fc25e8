//! Lists that come, change, are bad, and are there after a restart.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use freehold_names::lists::Unfit;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::house::{House, Other, address, everyone, ok, until, v4, zone};
use crate::{List, ListError, ListState, Setting, Source};

/// What a website says.
#[derive(Default)]
struct Site {
    status: u16,
    body: String,
    etag: String,
    /// Conditions that were met by saying nothing new.
    unchanged: usize,
    asked: usize,
}

struct Website {
    url: String,
    site: Arc<Mutex<Site>>,
    _tasks: JoinSet<()>,
}

impl Website {
    async fn start(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/list.txt", listener.local_addr().unwrap());
        let site = Site { status: 200, body: body.to_owned(), etag: "\"1\"".to_owned(), ..Site::default() };
        let site = Arc::new(Mutex::new(site));
        let (mut tasks, desk) = (JoinSet::new(), Arc::clone(&site));
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let answer = desk.lock().unwrap().answer(&String::from_utf8_lossy(&head).to_lowercase());
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        Self { url, site, _tasks: tasks }
    }

    fn say(&self, status: u16, body: &str, etag: &str) {
        let mut site = self.site.lock().unwrap();
        (site.status, site.body, site.etag) = (status, body.to_owned(), etag.to_owned());
    }

    fn unchanged(&self) -> usize {
        self.site.lock().unwrap().unchanged
    }

    fn list(&self) -> List {
        List::daily("test", Source::Url(self.url.clone()))
    }
}

impl Site {
    fn answer(&mut self, head: &str) -> String {
        self.asked += 1;
        let Self { status, body, etag, .. } = &*self;
        if head.contains(&format!("if-none-match: {etag}")) {
            self.unchanged += 1;
            return "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_owned();
        }
        let len = body.len();
        format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {len}\r\nETag: {etag}\r\nConnection: close\r\n\r\n{body}"
        )
    }
}

fn state(house: &House) -> ListState {
    house.handle.lists().borrow().first().cloned().unwrap()
}

fn hosts(count: usize) -> String {
    let lines: Vec<String> = (0..count).map(|number| format!("0.0.0.0 ad{number}.example")).collect();
    lines.join("\n") + "\n"
}

async fn other() -> Other {
    let names = ["ad0.example", "ad9.example", "fine.example", "x.ad0.example"];
    let rows: Vec<_> =
        std::iter::once(zone("example")).chain(names.map(|name| v4(name, [192, 0, 2, 1]))).collect();
    Other::start(&rows).await
}

fn with(other: &Other, list: List) -> Setting {
    let everyone = freehold_names::Group { lists: 1, ..everyone() };
    Setting {
        groups: vec![everyone],
        upstreams: vec![other.upstream()],
        lists: vec![list],
        ..Setting::default()
    }
}

const NOWHERE: [u8; 4] = [0, 0, 0, 0];

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_changes_and_is_there_after_a_restart() {
    let (other, site) = (other().await, Website::start(&hosts(4)).await);
    let house = House::with(with(&other, site.list())).await;
    until("it blocks", async || address(house.plain, "ad0.example").await.pair() == ok(NOWHERE)).await;
    assert_eq!(address(house.plain, "ad9.example").await.pair(), ok([192, 0, 2, 1]));
    assert_eq!(address(house.plain, "x.ad0.example").await.pair(), ok([192, 0, 2, 1]), "these names alone");
    assert_eq!(state(&house).kept.unwrap().0.rules, 4);

    house.handle.renew_lists().await;
    until("it is asked by what it is called", async || site.unchanged() == 1).await;
    site.say(200, &hosts(12), "\"2\"");
    house.handle.renew_lists().await;
    until("the new one blocks", async || address(house.plain, "ad9.example").await.pair() == ok(NOWHERE))
        .await;
    let folder = Arc::clone(&house.folder);
    house.end().await;
    let files = || std::fs::read_dir(folder.path().join("lists")).unwrap().count();
    assert_eq!(files(), 2, "a text and its paper");

    // The website is gone, and it blocks from the first question on.
    site.say(500, "", "");
    let house = House::again(with(&other, site.list()), Arc::clone(&folder)).await;
    assert_eq!(address(house.plain, "ad9.example").await.pair(), ok(NOWHERE));
    assert_eq!(state(&house).kept.unwrap().0.rules, 12);
    house.handle.change(Setting { lists: Vec::new(), ..with(&other, site.list()) }).await.unwrap();
    assert_eq!(address(house.plain, "ad9.example").await.pair(), ok([192, 0, 2, 1]));
    assert_eq!(files(), 0, "what nobody wants is not kept");
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_list_is_told_and_the_one_before_stays() {
    let (other, site) = (other().await, Website::start(&hosts(8)).await);
    let house = House::with(with(&other, List { most: 4096, ..site.list() })).await;
    until("it blocks", async || address(house.plain, "ad0.example").await.pair() == ok(NOWHERE)).await;
    let page = "<html>not found</html>\n";
    for (status, body, problem) in [
        (500, String::new(), ListError::Status(500)),
        (200, page.to_owned(), ListError::Unfit(Unfit::Empty)),
        (200, hosts(3), ListError::Unfit(Unfit::Shrunk { before: 8, now: 3 })),
        (200, hosts(400), ListError::Unfit(Unfit::TooLong(4096))),
    ] {
        site.say(status, &body, "\"bad\"");
        house.handle.renew_lists().await;
        until("it is told", async || state(&house).problem.as_ref() == Some(&problem)).await;
        assert_eq!(address(house.plain, "ad0.example").await.pair(), ok(NOWHERE), "{problem}");
    }
    site.say(200, &hosts(8), "\"good\"");
    house.handle.renew_lists().await;
    until("all is well", async || state(&house).problem.is_none()).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_list_is_that_one_or_none() {
    use sha2::Digest as _;
    let (other, site) = (other().await, Website::start(&hosts(8)).await);
    let sha256: [u8; 32] = sha2::Sha256::digest(hosts(8)).into();
    let list = List { sha256: Some(sha256), ..site.list() };
    let house = House::with(with(&other, list)).await;
    until("it blocks", async || address(house.plain, "ad0.example").await.pair() == ok(NOWHERE)).await;
    site.say(200, &hosts(9), "\"2\"");
    house.handle.renew_lists().await;
    until("it is told", async || matches!(state(&house).problem, Some(ListError::Sum { .. }))).await;
    assert_eq!(state(&house).kept.unwrap().0.rules, 8);
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_on_disk_is_not_used() {
    let (other, site) = (other().await, Website::start(&hosts(4)).await);
    let house = House::with(with(&other, site.list())).await;
    until("it blocks", async || address(house.plain, "ad0.example").await.pair() == ok(NOWHERE)).await;
    let folder = Arc::clone(&house.folder);
    house.end().await;
    let mut text = std::fs::read_dir(folder.path().join("lists")).unwrap().map(|file| file.unwrap().path());
    let text = text.find(|path| path.extension().is_some_and(|end| end == "list")).unwrap();
    freehold_disk::replace(&text, b"0.0.0.0 fine.example\n", 0o600).unwrap();
    site.say(200, &hosts(5), "\"2\"");
    let house = House::again(with(&other, site.list()), folder).await;
    assert_eq!(address(house.plain, "fine.example").await.pair(), ok([192, 0, 2, 1]));
    until("it is fetched anew", async || state(&house).kept.is_some()).await;
    until("it blocks", async || address(house.plain, "ad0.example").await.pair() == ok(NOWHERE)).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_a_list_and_which_list_counts_is_by_its_place() {
    let (other, dir) = (other().await, tempfile::tempdir().unwrap());
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    freehold_disk::replace(&one, b"||ad0.example^\n", 0o600).unwrap();
    freehold_disk::replace(&two, b"||ad9.example^\n", 0o600).unwrap();
    let list = |path: &std::path::Path| List::daily("file", Source::File(path.to_owned()));
    let mut setting = with(&other, list(&one));
    setting.lists.push(List { period: Duration::from_hours(1), ..list(&two) });
    let house = House::with(setting.clone()).await;
    until("it blocks", async || address(house.plain, "x.ad0.example").await.pair() == ok(NOWHERE)).await;
    assert_eq!(
        address(house.plain, "ad9.example").await.pair(),
        ok([192, 0, 2, 1]),
        "the second does not count"
    );
    until("both are there", async || house.handle.size().0 == 2).await;
    setting.lists.swap(0, 1);
    house.handle.change(setting).await.unwrap();
    assert_eq!(address(house.plain, "ad0.example").await.pair(), ok([192, 0, 2, 1]));
    assert_eq!(address(house.plain, "ad9.example").await.pair(), ok(NOWHERE), "now it does");
    house.end().await;
}
