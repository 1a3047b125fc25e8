//! Plans, and the language.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Store, document, scalar, small};
use crate::{Access, Compare, Cursor, Direction, Filter, IndexSpec, OrderBy, ParseError, Path, Query, parse};

fn path() -> impl Strategy<Value = Path> {
    prop::sample::select(vec!["a", "b", "n.c", "$id", "gone"]).prop_map(|text| text.parse().unwrap())
}

fn compare() -> impl Strategy<Value = Compare> {
    use Compare::{Above, AtLeast, AtMost, Below, Equal, Unequal};
    prop::sample::select(vec![Equal, Equal, Equal, Unequal, Below, AtMost, Above, AtLeast])
}

fn leaf(value: BoxedStrategy<Value>) -> impl Strategy<Value = Filter> {
    prop_oneof![
        5 => (path(), compare(), value.clone()).prop_map(|(p, c, v)| Filter::Field(p, c, v)),
        1 => (path(), prop::collection::vec(value.clone(), 1..4)).prop_map(|(p, v)| Filter::In(p, v)),
        1 => (path(), "[ab]{0,2}").prop_map(|(p, start)| Filter::Starts(p, start)),
        2 => (path(), value).prop_map(|(p, v)| Filter::Has(p, v)),
        1 => (path(), "[ab]{1,2}( [ab])?").prop_map(|(p, words)| Filter::Matches(p, words)),
        1 => path().prop_map(Filter::Exists),
    ]
}

fn filter(value: BoxedStrategy<Value>) -> impl Strategy<Value = Filter> {
    leaf(value).prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            1 => prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            1 => inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn order() -> impl Strategy<Value = Vec<OrderBy>> {
    let way = prop::sample::select(vec![Direction::Up, Direction::Up, Direction::Down]);
    let term = (path(), way).prop_map(|(path, direction)| OrderBy { path, direction });
    prop::collection::vec(term, 0..3)
}

fn query(value: BoxedStrategy<Value>) -> impl Strategy<Value = Query> {
    let filter = prop_oneof![1 => Just(Filter::All), 6 => filter(value)];
    let select = prop::collection::vec(path(), 0..2);
    (filter, order(), 1u32..5, select).prop_map(|(filter, order, limit, select)| Query {
        filter,
        order,
        limit,
        select,
    })
}

fn spec() -> impl Strategy<Value = IndexSpec> {
    let fields = prop::sample::subsequence(vec!["a", "b", "n.c"], 1..3).prop_shuffle();
    let kinds = (prop::bool::weighted(0.2), prop::bool::weighted(0.3), prop::bool::weighted(0.2));
    (fields, kinds).prop_map(|(fields, (unique, each, text))| {
        let fields = if text { &fields[..1] } else { &fields };
        let spec = IndexSpec {
            name: fields.join("-").replace('.', "_"),
            fields: fields.iter().map(|path| path.parse().unwrap()).collect(),
            unique: unique && !text,
            each: each && !text,
            text,
        };
        spec.check().unwrap();
        spec
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_is_the_same_with_indexes_as_without(
        documents in prop::collection::vec(document(), 0..40),
        indexes in prop::collection::vec(spec(), 0..3),
        query in query(small().boxed()),
    ) {
        let store = Store::new(documents, indexes);
        let (answer, naive) = (store.answer(&query), store.naive(&query));
        prop_assert_eq!(answer, naive, "{} by: {}", query, store.plan(&query, None));
    }

    #[test]
    fn a_query_is_read_back_from_its_text(query in query(scalar().boxed())) {
        let text = query.to_string();
        let again = parse(&text).unwrap();
        prop_assert_eq!(again.to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(where|order by|limit|select|[a-c]|and|or|not|[(),=<>]|\"a\"|1|.| ){0,24}") {
        if let Ok(query) = parse(&text) {
            prop_assert_eq!(parse(&query.to_string()).map(|again| again.to_string()), Ok(query.to_string()));
        }
    }

    #[test]
    fn any_cursor_is_read_or_refused(text in "[0-9a-f]{0,40}") {
        if let Ok(cursor) = text.parse::<Cursor>() {
            prop_assert_eq!(cursor.to_string(), text);
        }
    }
}

fn index(name: &str, fields: &[&str], unique: bool, each: bool) -> IndexSpec {
    let fields = fields.iter().map(|path| path.parse().unwrap()).collect();
    IndexSpec { name: name.to_owned(), fields, unique, each, text: false }
}

#[test]
fn the_planner_takes_what_fits() {
    let indexes = vec![
        index("age", &["age"], false, false),
        index("city-age", &["city", "age"], false, false),
        index("mail", &["mail"], true, false),
        index("tag", &["tags"], false, true),
    ];
    let indexes =
        [indexes, vec![IndexSpec { text: true, ..index("words", &["body"], false, false) }]].concat();
    let store = Store::new(vec![json!({"age": 3})], indexes);
    let cases = [
        ("", "reads every document; stops when the page is full"),
        ("where $id = \"a\"", "reads documents by $id; stops when the page is full"),
        ("where age > 3 order by age", "reads the index age by age; stops when the page is full"),
        ("where age > 3", "reads the index age by age; sorts what it finds"),
        ("order by age desc", "reads the whole index age backwards; stops when the page is full"),
        (
            "where city = \"Rome\" and age < 9 order by age",
            "reads the index city-age by city, age; stops when the page is full",
        ),
        ("where city = \"Rome\" order by name", "reads the index city-age by city; sorts what it finds"),
        ("where mail = \"x\"", "reads the index mail by mail; stops when the page is full"),
        ("where tags has \"red\"", "reads the index tag by tags; stops when the page is full"),
        ("where tags = \"red\" or age = 3", "reads every document; stops when the page is full"),
        (
            "where body matches \"Oak lamp\"",
            "reads the words of the index words by body; sorts what it finds",
        ),
        (
            "where age = 3 and body matches \"oak\" order by $score desc",
            "reads the words of the index words by body; ranks them; stops when the page is full",
        ),
        ("where not body matches \"oak\"", "reads every document; stops when the page is full"),
        ("where age in (1, 2) and name starts \"a\"", "reads the index age by age; sorts what it finds"),
    ];
    for (text, wanted) in cases {
        assert_eq!(store.plan(&parse(text).unwrap(), None).to_string(), wanted, "{text}");
    }
}

#[test]
fn words_are_the_same_however_they_are_written() {
    let of = |text: &str| crate::words(text).collect::<Vec<_>>();
    assert_eq!(of("Café CAFÉ, cafe\u{301}!"), ["cafe", "cafe", "cafe"]);
    assert_eq!(of("Straße über 3.14 don't"), ["straße", "uber", "3.14", "don't"]);
    assert_eq!(of(&"x".repeat(65)), Vec::<String>::new());
    let filter = parse("where a matches \"oak LAMP\"").unwrap().filter;
    assert!(filter.holds(&json!({"a": "A lamp of oak"})) && filter.holds(&json!({"a": ["oak", 3, "lamp"]})));
    assert!(!filter.holds(&json!({"a": "oaks lamp"})) && !filter.holds(&json!({"a": 3})));
    assert!(!parse("where a matches \"?!\"").unwrap().filter.holds(&json!({"a": "?!"})));
}

#[test]
fn rare_words_and_short_texts_count_more() {
    let posting = |times, of| crate::Posting { times, of };
    let corpus = crate::Corpus { documents: 100, words: 1000 };
    let oak = [("a", posting(1, 10)), ("b", posting(3, 10)), ("c", posting(1, 40)), ("d", posting(1, 10))];
    let lamp = [("a", posting(1, 10)), ("b", posting(1, 10)), ("c", posting(1, 40))];
    let named = |all: &[(&str, crate::Posting)]| all.iter().map(|(id, p)| ((*id).to_owned(), *p)).collect();
    let both = crate::rank(corpus, vec![named(&oak), named(&lamp)]);
    let order: Vec<&str> = both.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(order, ["b", "a", "c"]);
    let one = crate::rank(corpus, vec![named(&oak)]);
    assert_eq!(one.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["b", "d", "a", "c"]);
    // By hand: ln(1 + (100 - 4 + 0.5) / (4 + 0.5)) for a word that is there once in a text of mean length.
    assert!((one[1].0 - (1.0_f64 + 96.5 / 4.5).ln()).abs() < 1e-12, "{one:?}");
}

#[test]
fn mistakes_are_told_where_they_are() {
    let told = |text: &str| parse(text).unwrap_err().to_string();
    assert_eq!(
        told("where age = "),
        "at character 13: a number, text in double quotes, true, false or null is expected, not the end"
    );
    assert_eq!(told("where (a = 1"), "at character 13: ) is expected, not the end");
    assert_eq!(told("limit 5000"), "a limit is 1 to 1000");
    assert_eq!(told("age = 3"), "at character 1: the end of the query is expected, not \"age = 3\"");
    assert_eq!(parse(&format!("where {}a = 1", "not ".repeat(40))), Err(ParseError::Deep));
}

#[test]
fn only_what_is_selected_comes() {
    let store = Store::new(vec![json!({"a": 1, "n": {"c": 2, "d": 3}, "b": 4})], Vec::new());
    let query = parse("select n.c, b").unwrap();
    assert_eq!(store.answer(&query), [json!({"$id": "a", "n": {"c": 2}, "b": 4})]);
    assert!(matches!(store.plan(&query, None).access, Access::Documents));
}
