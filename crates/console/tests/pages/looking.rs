//! Looking into backups: who may, and what they get.

use std::time::Duration;

use freehold_api::TypedCode;
use http::{StatusCode, header};
use http_body_util::BodyExt as _;

use crate::pretend::World;
use crate::{Browser, location, text};

const HOUR: Duration = Duration::from_hours(1);

fn of(letter: char) -> String {
    format!("/backups/look/disk/{}", letter.to_string().repeat(64))
}

impl Browser {
    /// One in which the code of a terminal was typed.
    async fn looking() -> Self {
        let browser = Self::signed_in(World::family()).await;
        let code = browser.sessions.issue_reading_code(HOUR).code.clone();
        let answer = browser.post("/backups/look", &format!("code={code}")).await;
        assert_eq!((answer.status(), location(&answer)), (StatusCode::SEE_OTHER, "/backups/look"));
        browser
    }
}

#[tokio::test]
async fn who_has_signed_in_types_a_code_of_the_machine_first() {
    let browser = Browser::signed_in(World::family()).await;
    let file = format!("{}/file?path=/home/ann/site.html", of('a'));
    for path in ["/backups/look/disk", "/backups/look/disk/find?q=letter", &of('a'), &file] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert!(location(&answer).starts_with("/backups/look?next=/backups/look/disk"), "{path}");
        assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    let door = browser.page("/backups/look").await;
    for wanted in ["freehold console --backups", "every file of <strong>attic</strong>"] {
        assert!(door.contains(wanted), "{wanted}: {door}");
    }
    // What signs in does not open it, nor can a browser have the API make such a code.
    let code = browser.sessions.issue_code(HOUR).code.clone();
    let wrong = browser.post("/backups/look", &format!("code={code}")).await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    assert!(text(wrong).await.contains("does not open the backups"));
    for path in ["code", "looks", "mounts/1/nodes", "mounts/1/bytes"] {
        let answer = browser.post(&format!("/api/v1/backup/{path}"), "").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
    }
    // Where the code was wanted for, it leads; never elsewhere.
    for (next, leads) in [(file.as_str(), file.as_str()), ("//evil.example", "/backups/look")] {
        let code = browser.sessions.issue_reading_code(HOUR).code.clone();
        let form = format!("code={code}&next={}", next.replace('?', "%3F").replace('=', "%3D"));
        assert_eq!(location(&browser.post("/backups/look", &form).await), leads);
    }
    assert_eq!(browser.get(&file).await.status(), StatusCode::OK);
    let other = Browser::signed_in(World::family()).await;
    let stranger = TypedCode { code: other.sessions.issue_reading_code(HOUR).link.clone() };
    assert!(!stranger.code.is_empty() && other.get(&file).await.status() == StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn one_walks_from_a_date_to_a_file() {
    let browser = Browser::looking().await;
    let targets = browser.page("/backups/look").await;
    assert!(targets.contains("href=\"/backups/look/disk\"") && targets.contains("/media/stick/freehold"));
    let dates = browser.page("/backups/look/disk").await;
    let (newer, older) = (dates.find("2026-11-22"), dates.find("2026-11-21"));
    assert!(newer.is_some() && newer < older, "the newest first: {dates}");
    let first = format!("{}?path=/home/ann", of('a'));
    for wanted in [first.as_str(), "14:03 UTC", "48,211 files, 61 GB", "attic"] {
        assert!(dates.contains(wanted), "{wanted}: {dates}");
    }
    assert!(dates.contains(&format!("\"{}\"", of('b'))), "of several paths one begins at the top: {dates}");

    let folder = browser.page(&first).await;
    let march = format!("{}?path=/home/ann/Stra%C3%9Fe%20%26%20M%C3%A4rz", of('a'));
    let odd = format!("{}/view?path=/home/ann/b%FCcher.txt", of('a'));
    for wanted in [
        march.as_str(),
        odd.as_str(),
        "leads to autumn.png",
        "a pipe",
        "freehold backup restore /home/ann --from disk --snapshot aaaaaaaa --to DIR",
    ] {
        assert!(folder.contains(wanted), "{wanted}: {folder}");
    }
    assert!(browser.page(&march).await.contains("letter 100%.txt"));
    assert!(browser.page(&format!("{}?path=/home/ann/empty", of('a'))).await.contains("was empty"));
    let picture = browser.page(&format!("{}/view?path=/home/ann/autumn.png", of('a'))).await;
    assert!(
        picture.contains("<img") && picture.contains("/backups/look/disk/find?q=%2Fhome%2Fann%2Fautumn.png")
    );
    assert!(!browser.page(&odd).await.contains("<figure"));
    // A folder has a page of its own, and so has a file.
    let to_file = browser.get(&format!("{}?path=/home/ann/site.html", of('a'))).await;
    assert!(location(&to_file).ends_with("/view?path=/home/ann/site.html"));
    let to_folder = browser.get(&format!("{}/file?path=/home/ann", of('a'))).await;
    assert!(location(&to_folder).ends_with("?path=/home/ann"));
}

#[tokio::test]
async fn a_file_is_saved_as_it_was_and_one_that_is_damaged_is_cut_off() {
    let browser = Browser::looking().await;
    let get = async |path: &str| browser.get(&format!("{}/file?path=/home/ann/{path}", of('b'))).await;
    let letter = get("Stra%C3%9Fe%20%26%20M%C3%A4rz/letter%20100%25.txt").await;
    let heads = letter.headers().clone();
    assert_eq!(heads[header::CONTENT_LENGTH], "8");
    assert_eq!(heads[header::CONTENT_DISPOSITION], "attachment; filename*=UTF-8''letter%20100%25.txt");
    assert_eq!(text(letter).await, "Dear Ann");
    let page = get("site.html").await;
    assert_eq!(page.headers()[header::CONTENT_TYPE], "application/octet-stream", "nothing of it is run");
    assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(get("autumn.png").await.headers()[header::CONTENT_TYPE], "image/png");
    assert_eq!(text(get("b%FCcher.txt").await).await, "no text is its name");
    let broken = get("Stra%C3%9Fe%20%26%20M%C3%A4rz/broken.mov").await;
    assert_eq!(broken.status(), StatusCode::OK);
    assert!(broken.into_body().collect().await.is_err(), "whoever saves it sees that it is not whole");
    assert_eq!(get("pipe").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_words() {
    let browser = Browser::looking().await;
    for (path, said) in [
        (format!("{}?path=/home/ann/gone", of('a')), "there was no /home/ann/gone when it was made"),
        (format!("{}?path=/home/ann/pipe/x", of('a')), "Pipe was no directory"),
        (of('c'), "that snapshot was forgotten"),
    ] {
        let answer = browser.get(&path).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        let page = text(answer).await;
        assert!(page.to_lowercase().contains(&said.to_lowercase()), "{said}: {page}");
    }
    let away = browser.get("/backups/look/stick").await;
    assert!(!away.status().is_success() && text(away).await.contains("No disk is mounted there"));
}

#[tokio::test]
async fn a_part_of_a_name_is_enough() {
    let browser = Browser::looking().await;
    let found = browser.page("/backups/look/disk/find?q=letter+100").await;
    let path = "path=/home/ann/Stra%C3%9Fe%20%26%20M%C3%A4rz/letter%20100%25.txt";
    for wanted in [
        format!("{}/view?{path}", of('b')),
        format!("{}/file?{path}", of('b')),
        "2026-11-22 14:03 UTC, and in 1 snapshot before".to_owned(),
        "value=\"letter 100\"".to_owned(),
    ] {
        assert!(found.contains(&wanted), "{wanted}: {found}");
    }
    assert!(browser.page("/backups/look/disk/find?q=nothing").await.contains("Nothing of that name"));
    assert!(browser.page("/backups/look/disk/find?q=").await.contains("A part of the name"));
    let odd = browser.get("/backups/look/disk/find?q=%5Ba").await;
    assert_eq!(odd.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(odd).await.contains("is no pattern"));
}
