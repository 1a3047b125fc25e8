use super::*;

#[test]
fn keys_are_folders_and_files() {
    assert_eq!(["a", "a/b", "a/b/", "/"].map(folder_of), ["", "a/", "a/b/", "/"]);
    let names: Vec<String> =
        crumbs("photos", "2026/ä b/").into_iter().map(|c| format!("{}={}", c.name, c.href)).collect();
    assert_eq!(
        names,
        [
            "photos=/files/photos",
            "2026=/files/photos?in=2026%2F",
            "ä b=/files/photos?in=2026%2F%C3%A4%20b%2F"
        ]
    );
}

#[test]
fn hostile_names_stay_in_their_address() {
    let object = ObjectInfo { key: "a/\"><script>&?#".to_owned(), ..ObjectInfo::default() };
    let item = Item::new("photos", &object, 0);
    for address in [&item.href, &item.source, &item.download] {
        assert!(!address.contains(['"', '<', '>', '#', ' ']), "{address}");
        assert!(!address.split_once('?').map_or("", |(_, query)| query).contains('&'), "{address}");
    }
}

#[test]
fn pictures_are_known_by_type_or_name() {
    assert_eq!(family(Some("image/png"), "x"), "image");
    assert_eq!(family(None, "x.JPG"), "image");
    assert_eq!(family(Some("application/octet-stream"), "x.mp4"), "video");
    assert_eq!(family(Some("text/html"), "x.png"), "text");
}
