//! Pages as a browser gets them, over a pretended node.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use freehold_api::{Client, PutOptions, Sessions, openapi_json};
use freehold_crypt::Entropy;
use futures::{StreamExt as _, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

#[path = "../../../api/testing/pretend.rs"]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a stand-in"
)]
mod pretend;

mod looking;

use pretend::{Pretend, World};

struct Sequence(u8);

impl Entropy for Sequence {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(77).wrapping_add(13);
            *byte = self.0;
        }
    }
}

/// A console, and a browser that may have signed in.
struct Browser {
    console: Router,
    node: Client,
    sessions: Arc<Sessions>,
    cookie: String,
}

#[expect(clippy::unwrap_used, reason = "a test")]
impl Browser {
    fn new(world: World) -> Self {
        let sessions = Arc::new(Sessions::new("7d1f0a93", Box::new(Sequence(1))));
        let api = freehold_api::router(Arc::new(Pretend::new(world)), Arc::clone(&sessions));
        let node = Client::in_process(api.clone());
        let console = freehold_console::router(api, Arc::clone(&sessions));
        Self { console, node, sessions, cookie: String::new() }
    }

    async fn signed_in(world: World) -> Self {
        let mut browser = Self::new(world);
        let code = browser.sessions.issue_code(Duration::from_hours(1)).code.clone();
        let answer = browser.post("/sign-in", &format!("code={code}&next=%2Fnodes")).await;
        assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, "/nodes"));
        let cookie = answer.headers().get(header::SET_COOKIE).unwrap().to_str().unwrap();
        cookie.split_once(';').unwrap().0.clone_into(&mut browser.cookie);
        browser
    }

    async fn send(&self, request: http::request::Builder, body: impl Into<Body>) -> Response<Body> {
        let request = request.header(header::COOKIE, &self.cookie).body(body.into()).unwrap();
        self.console.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.send(Request::get(path), Body::empty()).await
    }

    async fn post(&self, path: &str, form: &str) -> Response<Body> {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.header("sec-fetch-site", "same-origin"), form.to_owned()).await
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        text(answer).await
    }
}

fn location(answer: &Response<Body>) -> &str {
    answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default()
}

#[expect(clippy::unwrap_used, reason = "a test")]
async fn text(answer: Response<Body>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

const CELLAR: &str = "c04b88d1e72f396a5d1be4f09278ac63541fd0e9b78a2c6630f4cc9128ae5b70";

/// Every page there is.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = [
        "/",
        "/files",
        "/files/photos",
        "/files/photos?in=2026%2F",
        "/files/music",
        "/nodes",
        "/nodes/invite",
        "/network",
        "/network?from=pad&to=wiki&port=",
        "/network?from=pad&to=nobody&port=22",
        "/network/names",
        "/network/names?name=x.ads.example&who=pad",
        "/network/names?name=a+b&who=pad",
        "/buckets",
        "/buckets/photos",
        "/backups",
        "/backups/look",
        "/grants",
        "/health",
        "/realm",
        "/files/photos/view?key=autumn%20walk.svg",
    ]
    .map(str::to_owned)
    .to_vec();
    pages.push(format!("/nodes/{CELLAR}"));
    pages.extend(["90a1", "31fe", "c2d4", "77bc"].map(|id| format!("/grants/{}", id.repeat(16))));
    pages
}

#[tokio::test]
async fn every_page_says_where_it_is_and_comes_with_its_headers() {
    let browser = Browser::signed_in(World::family()).await;
    for path in pages() {
        let answer = browser.get(&path).await;
        let headers = answer.headers().clone();
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        for wanted in
            ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'self'"]
        {
            assert!(policy.contains(wanted), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        let page = text(answer).await;
        for wanted in
            ["<html lang=\"en\"", "<main id=\"content\"", "<nav class=\"main\"", "<h1", "· smith</title>"]
        {
            assert!(page.contains(wanted), "{path} lacks {wanted}");
        }
        assert_eq!(page.matches("<h1").count(), 1, "{path}");
    }
}

#[tokio::test]
async fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
    let browser = Browser::signed_in(World::family()).await;
    let mut all = pages();
    all.push("/sign-in".to_owned());
    for path in all {
        let page = browser.page(&path).await;
        // Where things are is said as text.
        let shown = page.replace("http://127.0.0.1:9000", "").replace("https://lists.example/", "");
        for banned in [
            "http://",
            "https://",
            "src=\"//",
            "href=\"//",
            " style=",
            "<style",
            " onclick",
            " onload",
            "javascript:",
        ] {
            assert!(!shown.contains(banned), "{path} has {banned}");
        }
        assert_eq!(page.matches("<script").count(), 1, "{path}: the one script comes from /assets/");
    }
    let front = browser.page("/").await;
    let assets: Vec<&str> = front.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert!(assets.len() >= 3);
    for asset in assets {
        let answer = browser.get(asset).await;
        assert!(answer.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"), "{asset}");
        let content = text(answer).await.replace("http://www.w3.org/2000/svg", "");
        for banned in ["http:", "https:", "url(", "@import", "eval("] {
            assert!(!content.contains(banned), "{asset} has {banned}");
        }
    }
    assert_eq!(browser.get("/assets/console.000000000000.css").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn strangers_see_the_sign_in_page_and_no_name() {
    let browser = Browser::new(World::family());
    for path in pages() {
        let answer = browser.get(&path).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert!(location(&answer).starts_with("/sign-in"), "{path}");
        assert!(answer.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    }
    for path in ["/api/v1/status", "/api/v1/buckets/photos/objects/autumn%20walk.svg", "/api/v1/realm/export"]
    {
        assert_eq!(browser.get(path).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/buckets", "/nodes/invite", "/files/photos/delete", "/realm/code", "/sign-out"] {
        assert!(location(&browser.post(path, "name=x").await).starts_with("/sign-in"), "{path}");
    }
    let page = browser.page("/sign-in?next=%2Fnodes").await;
    assert!(!page.contains("smith") && !page.contains("attic"));
    assert!(page.contains("value=\"/nodes\""));
    for elsewhere in ["//evil.example", "https://evil.example", "/\\evil.example"] {
        let page = browser.page(&format!("/sign-in?next={elsewhere}")).await;
        assert!(page.contains("name=\"next\" value=\"/\""), "{elsewhere}");
    }
    let wrong = browser.post("/sign-in", "code=0000-0000").await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    assert!(text(wrong).await.contains("role=\"alert\""));
}

#[tokio::test]
async fn what_another_site_sends_is_refused() {
    let browser = Browser::signed_in(World::family()).await;
    for path in ["/buckets", "/sign-out", "/theme", "/sign-in", "/api/v1/shutdown"] {
        let request = Request::post(path).header("sec-fetch-site", "cross-site");
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        assert_eq!(
            browser.send(request, "name=abc&copies=1").await.status(),
            StatusCode::FORBIDDEN,
            "{path}"
        );
    }
}

#[tokio::test]
async fn hostile_names_stay_text() {
    let browser = Browser::signed_in(World::family()).await;
    let hostile = "<script>alert(1)</script>\"'&.png";
    let body = stream::empty().boxed();
    let options = PutOptions { content_type: Some("\"><script>".to_owned()), ..PutOptions::default() };
    browser.node.put_object("photos", hostile, &options, body).await.unwrap();
    let body = stream::empty().boxed();
    browser.node.put_object("photos", &format!("{hostile}/x"), &PutOptions::default(), body).await.unwrap();
    let view = format!("/files/photos/view?key={}", freehold_api::encode_path(hostile));
    let form = format!("name={}", freehold_api::encode_path("<img src=x>"));
    browser.post(&format!("/nodes/{CELLAR}/rename"), &form).await;
    for path in
        ["/files/photos".to_owned(), view, "/".to_owned(), "/nodes".to_owned(), format!("/nodes/{CELLAR}")]
    {
        let page = browser.page(&path).await;
        assert!(!page.contains("<script>") && !page.contains("<img src=x"), "{path}");
        assert!(page.contains("&#60;"), "{path} shows the name");
    }
    let missing = browser.get("/files/%3Cscript%3E").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert!(!text(missing).await.contains("<script>"));
}

#[tokio::test]
async fn a_file_comes_in_by_a_plain_form_and_goes_again() {
    let browser = Browser::signed_in(World::family()).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"in\"\r\n\r\n2026/\r\n\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\\\x\\\\snow man.txt\"\r\n\
        Content-Type: text/plain\r\n\r\ncarrots\r\n--b--\r\n";
    let request =
        Request::post("/files/photos/send").header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
    let answer = browser.send(request, form).await;
    assert_eq!(location(&answer), "/files/photos?in=2026%2F&notice=sent");
    let page = browser.page("/files/photos?in=2026%2F&notice=sent").await;
    assert!(page.contains("snow man.txt") && page.contains("It is stored.") && page.contains("7 bytes"));
    let answer = browser.post("/files/photos/delete", "key=2026%2Fsnow%20man.txt").await;
    assert_eq!(location(&answer), "/files/photos?in=2026%2F&notice=deleted");
    assert!(!browser.page("/files/photos?in=2026%2F").await.contains("snow man"));
}

#[tokio::test]
async fn a_form_that_is_cut_stores_nothing() {
    let browser = Browser::signed_in(World::family()).await;
    let cut = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"half.txt\"\r\n\r\nhalf of";
    let request =
        Request::post("/files/photos/send").header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
    assert!(browser.send(request, cut).await.status().is_client_error());
    assert!(!browser.page("/files/photos").await.contains("half.txt"));
}

#[tokio::test]
async fn words_are_plain() {
    let family = Browser::signed_in(World::family()).await;
    let home = family.page("/").await;
    for wanted in [
        "Cellar has not been heard for 3 hours",
        "2 objects wait for another copy.",
        "Last heard 3 hours ago",
    ] {
        assert!(home.contains(wanted), "{wanted}");
    }
    assert!(home.find("Cellar has not been heard") < home.find("2 objects wait"), "alarms come first");
    assert!(
        family.page("/files").await.contains("Everything in papers is on 3 machines.")
            || home.contains("Everything in papers is on 3 machines.")
    );
    let calm = Browser::signed_in(World::calm()).await.page("/").await;
    assert!(calm.contains("Everything is on 2 machines or more."));
    let fresh = Browser::signed_in(World::fresh()).await;
    let home = fresh.page("/").await;
    assert!(home.contains("Your realm is ready.") && home.contains("Make a bucket for photos"));
    let made = fresh.post("/buckets", "name=photos&copies=2").await;
    assert_eq!(location(&made), "/files/photos?notice=bucket_made");
    let again = fresh.post("/buckets", "name=photos&copies=2").await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    let again = text(again).await;
    assert!(again.contains("role=\"alert\"") && again.contains("value=\"photos\""));
}

#[tokio::test]
async fn an_invitation_is_shown_with_its_code() {
    let browser = Browser::signed_in(World::family()).await;
    let page =
        text(browser.post("/nodes/invite", "role=storage&role=gateway&hours=24&device=yes").await).await;
    assert!(page.contains("freehold join freehold-join-1-") && page.contains("QR code of the invitation"));
    let list = browser.page("/nodes").await;
    assert!(list.contains("storage, gateway") && list.contains("as a device of yours"));
    for bad in ["hours=24", "role=king&hours=24", "role=storage&hours=0", "role=storage&hours=9999"] {
        let answer = browser.post("/nodes/invite", bad).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

#[tokio::test]
async fn verification_is_told_to_its_end() {
    let browser = Browser::signed_in(World::family()).await;
    let mended = text(browser.post("/buckets/photos/verify", "repair=yes").await).await;
    assert!(mended.contains("lake.svg") && mended.contains("has been mended") && mended.contains("</html>"));
    let told = text(browser.post("/buckets/photos/verify", "").await).await;
    assert!(told.contains("Something in photos is damaged.") && told.contains("not mended yet"));
}

#[tokio::test]
async fn the_theme_is_remembered() {
    let mut browser = Browser::signed_in(World::family()).await;
    let request = Request::post("/theme").header(header::REFERER, "https://nas.lan:8443/nodes?x=1");
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = browser.send(request, "theme=dark").await;
    assert_eq!(location(&answer), "/nodes?x=1");
    let theme = answer.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    browser.cookie = format!("{}; {theme}", browser.cookie);
    assert!(browser.page("/").await.contains("data-theme=\"dark\""));
}

#[tokio::test]
async fn signing_out_closes_the_door() {
    let browser = Browser::signed_in(World::family()).await;
    assert_eq!(location(&browser.post("/sign-out", "").await), "/sign-in");
    assert_eq!(browser.get("/api/v1/status").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_api_is_behind_the_console_as_it_is() {
    let browser = Browser::signed_in(World::family()).await;
    assert_eq!(browser.page("/api/v1/openapi.json").await, openapi_json());
    let picture = browser.get("/api/v1/buckets/photos/objects/autumn%20walk.svg").await;
    assert_eq!(picture.headers()[header::CONTENT_TYPE], "image/svg+xml");
    assert!(picture.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("sandbox"));
}

#[tokio::test]
async fn what_a_stranger_sends_is_not_gathered() {
    let browser = Browser::new(World::family());
    let long = "x".repeat(9 << 10);
    for (path, form) in [("/sign-in", "code="), ("/theme", "theme=")] {
        let answer = browser.post(path, &format!("{form}{long}")).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
    }
}

#[tokio::test]
async fn a_machine_that_may_not_decide_says_where_to() {
    let browser = Browser::signed_in(World::guest()).await;
    let attic = "on an admin&#39;s machine: attic.";
    for (path, not) in [
        ("/nodes".to_owned(), "Invite a machine"),
        ("/nodes/invite".to_owned(), "Make the invitation"),
        ("/realm".to_owned(), "Stop this recovery"),
        (
            format!("/nodes/{}", "7d1f0a93c25be8846e0b7f12a9d4c3580e6b21f7949c0d8355ab12cd77f01e64"),
            "Suspend it",
        ),
    ] {
        let page = browser.page(&path).await;
        assert!(page.contains(attic) && !page.contains(not), "{path}: {page}");
    }
    let home = browser.page("/").await;
    assert!(home.contains("Suspended: it gets nothing; last heard 1 hour ago"), "{home}");
    assert!(!home.contains("/nodes/invite"), "it offers what it may not do");
    let visitor = browser.page(&format!("/nodes/{}", "e5".repeat(32))).await;
    assert!(visitor.contains("Guardians are bringing it back") && !visitor.contains("Rename"), "{visitor}");
    let admin = Browser::signed_in(World::family()).await;
    assert!(admin.page("/nodes").await.contains("Invite a machine"));
    assert!(admin.page("/nodes/invite").await.contains("Make the invitation"));
}

#[tokio::test]
async fn a_machine_whose_recovery_was_stopped_says_so() {
    let browser = Browser::signed_in(World::stopped()).await;
    assert!(browser.page("/").await.contains("The recovery that was begun on this machine is stopped"));
    let realm = browser.page("/realm").await;
    assert!(realm.contains("A recovery by guardians was stopped"), "{realm}");
    assert!(!realm.contains("Guardians are giving the realm new admins"), "{realm}");
}

#[tokio::test]
async fn what_is_not_there_and_what_is_mistyped_is_told_for_this_page() {
    let browser = Browser::signed_in(World::family()).await;
    let gone = browser.get("/files/photos/view?key=zzz").await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    let gone = text(gone).await;
    assert!(gone.contains("There is no file zzz in photos") && !gone.contains("answered"), "{gone}");
    let wrong = text(browser.post("/realm/guardian", "phrase=abandon+about").await).await;
    assert!(wrong.contains("type it again below") && !wrong.contains("freehold guardians test"), "{wrong}");
}

#[tokio::test]
async fn the_page_of_names_tells_what_is_blocked_for_whom_and_why() {
    let browser = Browser::signed_in(World::family()).await;
    let page = browser.page("/network/names").await;
    for said in [
        "139483",
        "Not the newest",
        "sun,mon-thu from 20:30 to 07:00 in Europe/Berlin",
        "pauses for another",
        "tracker.example",
    ] {
        assert!(page.contains(said), "{said}");
    }
    let blocked = browser.page("/network/names?name=x.ads.example&who=pad").await;
    assert!(blocked.contains("Blocked") && blocked.contains("freehold net filter allow x.ads.example"));
    assert!(browser.page("/network/names?name=ok.example&who=").await.contains("Passes"));
    assert!(browser.page("/network/names?name=a+b&who=pad").await.contains("cannot be asked for"));
}

#[tokio::test]
async fn the_balance_of_a_pool_is_on_a_page() {
    let page = Browser::signed_in(World::family()).await.page("/grants").await;
    for wanted in [
        "elm",
        "Waits for you",
        "jones",
        "<span>Lends</span> <span>300 GB of 600 GB</span>",
        "<span>Borrows</span> <span>300 GB of 300 GB</span>",
        "Leaves, and is bound until",
        "lends jones",
        "250 GB: lent",
        "Keeps 120 GB for the others, and has 90 GB with them",
        "Keeps 200 GB for the others (the others say 90 GB), and has 140 GB with them",
        "300 GB: not lent: no machine of theirs answers",
        "miller comes in",
        "waits for 1 more of the others",
        "Papers go by hand to lee",
        "Type <code>freehold pool sign elm</code>",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    let fresh = Browser::signed_in(World::fresh()).await.page("/grants").await;
    assert!(!fresh.contains("Pools"), "{fresh}");
}

#[tokio::test]
async fn backups_tell_what_is_safe_and_what_to_type_where_it_is_not() {
    let browser = Browser::signed_in(World::family()).await;
    let page = browser.page("/backups").await;
    for wanted in [
        "The backup papers on disk does not come back as it was",
        "Type <code>freehold backup check disk --read</code>",
        "Set right what it says, then: <code>freehold backup now papers</code>",
        "/media/disk/freehold",
        "25 minutes ago",
        "61 GB in 48,211 files, 18 MB of it new in the last run",
        "in 35 minutes",
        "100 of 48,211 files, taken at random, came back as they were",
        "Waits for its target",
        "under way, 14 GB of 52 GB",
        "212 snapshots, the newest 20 minutes ago",
        "freehold backup restore PATH --to DIR",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    assert!(!page.contains("The backup home"), "a stick that is not plugged in is no alarm: {page}");
    assert!(!page.contains("Cellar has not been heard"), "what is not about backups: {page}");
    let home = browser.page("/").await;
    let (alarm, sentence) = (home.find("The backup papers on disk is old"), home.find("<h1"));
    assert!(alarm.is_some() && alarm < sentence, "alarms come first: {home}");
    assert!(
        home.contains("All backups") && browser.page("/health").await.contains("The backup papers on disk")
    );
    let fresh = Browser::signed_in(World::fresh()).await;
    let page = fresh.page("/backups").await;
    for wanted in
        ["Nothing of attic is backed up", "freehold backup target add disk", "freehold backup add home ~"]
    {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    assert!(!fresh.page("/").await.contains("All backups"));
}

#[tokio::test]
async fn the_story_of_a_grant_is_one_page() {
    let browser = Browser::signed_in(World::family()).await;
    let list = browser.page("/grants").await;
    for wanted in
        ["Lent to others", "Borrowed from others", "17 GB of 50 GB", "3.4 GB of 200 GB", "Ends soon", "Over"]
    {
        assert!(list.contains(wanted), "{wanted}: {list}");
    }
    let lent = browser.page(&format!("/grants/{}", "90a1".repeat(16))).await;
    for wanted in [
        "smith lends jones 50 GB of room",
        "jones may keep 50 GB there.",
        "jones may read 200 GB of it in a month.",
        "it can be read for 30 days, and is then deleted, with a signed receipt.",
        "smith offered it (ann on attic).",
        "to the byte 17,204,118,336 bytes.",
        "This machine’s share of the promise is 25 GB of its disk, on which 412 GB are free: about 5 %",
        "Both sides are told that it ends soon.",
        "<code>freehold grant revoke jones-room --dry-run</code>",
    ] {
        assert!(lent.contains(wanted), "{wanted}: {lent}");
    }
    let borrowed = browser.page(&format!("/grants/{}", "c2d4".repeat(16))).await;
    for wanted in [
        "lee lends smith 20 GB of room",
        "smith took it up (ann on attic).",
        "freehold backend drain lee --wait",
    ] {
        assert!(borrowed.contains(wanted), "{wanted}: {borrowed}");
    }
    let over = browser.page(&format!("/grants/{}", "77bc".repeat(16))).await;
    for wanted in
        ["smith ended it (ann on attic).", "signed that it deleted 812 sealed objects, 4,912,337,104 bytes."]
    {
        assert!(over.contains(wanted), "{wanted}: {over}");
    }
    assert!(!over.contains("grant revoke") && !over.contains("What comes next"), "{over}");
    assert!(browser.page(&format!("/grants/{}", "31fe".repeat(16))).await.contains("wiki.smith.internal"));
    assert_eq!(browser.get("/grants/nobody").await.status(), StatusCode::NOT_FOUND);
    let fresh = Browser::signed_in(World::fresh()).await.page("/grants").await;
    assert!(
        fresh.contains("Nothing is lent or borrowed yet") && fresh.contains("freehold grant card"),
        "{fresh}"
    );
}

#[tokio::test]
async fn the_network_page_tells_who_is_connected_how_and_why_something_is_open() {
    let browser = Browser::signed_in(World::family()).await;
    let page = browser.page("/network").await;
    let told = ["attic.smith.internal", "Through a relay, 18.4 ms there and back", "Last heard 3 hours ago"];
    for wanted in [&told[..], &["wiki.smith.internal", "leads to 192.168.1.0/24", "backups"]].concat() {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    for wanted in [
        "wiki.smith.internal: certified until",
        "wiki.example.org: no certificate yet; failed 2 times: the authority",
        "1,204 answers, 3 errors among them; 12 requests turned away",
        "Needs attention",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    for wanted in ["50 MB there, 3.2 GB back, 4 packets refused", "asked for cellar at tcp/5432"] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    assert!(page.contains("/network?from=pad&amp;to=cellar&amp;port=tcp/5432#ask"), "{page}");
    let open = browser.page("/network?from=pad&to=wiki&port=").await;
    assert!(open.contains("Allowed") && open.contains("said by ann at attic"), "{open}");
    let shut = browser.page("/network?from=pad&to=cellar&port=22").await;
    assert!(shut.contains("Shut") && shut.contains("freehold net rule add"), "{shut}");
    let wrong = browser.page("/network?from=%3Cb%3E&to=nobody&port=22").await;
    assert!(wrong.contains("Nothing is called nobody") && !wrong.contains("<b>"), "{wrong}");
    let alone = Browser::signed_in(World::fresh()).await;
    assert!(alone.page("/network").await.contains("Nothing is offered yet"));
}
