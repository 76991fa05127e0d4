//! Section 1.14.

use super::*;

async fn five(world: &World) {
    world.widgets().await;
    for (i, name) in ["e", "a", "c", "b", "d"].into_iter().enumerate() {
        let mut object = widget(name);
        object["metadata"]["labels"] = json!({"n": i.to_string(), "odd": (i % 2 == 1).to_string()});
        object["spec"]["color"] = if i % 2 == 0 { "red" } else { "blue" }.into();
        world.create("widgets@default", object).await.expect("created");
    }
}

fn labels(text: &str) -> ListOptions {
    ListOptions { labels: LabelSelector::parse(text).expect(text), ..ListOptions::default() }
}

fn fields(text: &str) -> ListOptions {
    ListOptions { fields: FieldSelector::parse(text).expect(text), ..ListOptions::default() }
}

#[tokio::test]
async fn lists_are_in_order_and_selected_rows_l12_to_l18() {
    let world = world().await;
    five(&world).await;
    let cases = [
        (ListOptions::default(), "a b c d e"),
        (labels("odd=true"), "a b"),
        (labels("n in (0,1),odd"), "a e"),
        (labels("!odd"), ""),
        (fields("metadata.name=c"), "c"),
        (fields("metadata.name!=c"), "a b d e"),
        (fields("spec.color=red"), "c d e"),
        (fields("metadata.namespace=other"), ""),
    ];
    for (options, expected) in cases {
        let list = world.list("widgets@default", &options).await.expect("a list");
        assert_eq!(names(&list).join(" "), expected, "{options:?}");
    }
    assert_eq!(names(&world.list("widgets", &ListOptions::default()).await.expect("everywhere")).len(), 5);
    assert!(names(&world.list("widgets@nowhere", &ListOptions::default()).await.expect("empty")).is_empty());
    let status = world.list("widgets@default", &fields("spec.foo=x")).await.expect_err("unknown");
    assert_eq!((status.code, status.message.as_str()), (400, "field label not supported: spec.foo"));
    let status = world.list("configmaps@default", &fields("data=x")).await.expect_err("unknown");
    assert_eq!(
        status.message,
        "\"data\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    );
    let list = world.list("namespaces", &fields("status.phase=Active")).await.expect("a list");
    assert!(names(&list).contains(&"default".to_owned()));
}

/// The names in a list, read as it is sent.
async fn in_parts(list: ServedList) -> Vec<String> {
    let mut text = list.items.iter().map(|item| String::from_utf8_lossy(item)).collect::<Vec<_>>().join(",");
    let mut rest = list.rest;
    while let Some(mut next) = rest.take() {
        let (parts, more) = next.parts(0).await.expect("the rest");
        assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= 64 << 10));
        parts.iter().for_each(|part| text.push_str(&String::from_utf8_lossy(part)));
        rest = more.then_some(next);
    }
    let items: Vec<serde_json::Value> = serde_json::from_str(&format!("[{text}]")).expect("one list");
    items.iter().map(|item| item["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_long_list_is_read_bit_by_bit_and_all_of_one_moment() {
    let world = world().await;
    world.widgets().await;
    for i in 0..600 {
        world.create("widgets@default", widget(&format!("w{i:03}"))).await.expect("created");
    }
    let mut list = world.list("widgets@default", &ListOptions::default()).await.expect("a list");
    let sent = world.list("widgets@default", &ListOptions::default()).await.expect("a list");
    let unchanged = world.list("widgets@default", &ListOptions::default()).await.expect("a list");
    assert_eq!(in_parts(unchanged).await.len(), 600);
    let first = list.items.len();
    assert!(first < 600 && list.rest.is_some(), "{first}");
    // What happens meanwhile, in the part that is not read yet and in the one that is, is not in it.
    world.delete("widgets@default w599").await.expect("deleted");
    world.delete("widgets@default w000").await.expect("deleted");
    world.create("widgets@default", widget("w5990")).await.expect("created");
    list.read_all().await.expect("the rest");
    let expected: Vec<String> = (0..600).map(|i| format!("w{i:03}")).collect();
    assert_eq!(names(&list), expected);
    // As it is sent, too: from where it was read on, each object in the state of that moment.
    assert_eq!(in_parts(sent).await, expected);
    assert!(list.rest.is_none() && list.continue_token.is_empty() && list.remaining.is_none());
}

#[tokio::test]
async fn pages_are_of_one_snapshot_rows_l8_l9_l11() {
    let world = world().await;
    five(&world).await;
    let first =
        world.list("widgets@default", &ListOptions { limit: 2, ..ListOptions::default() }).await.expect("a page");
    assert_eq!((names(&first).join(" ").as_str(), first.remaining), ("a b", Some(3)));
    world.delete("widgets@default c").await.expect("deleted");
    world.create("widgets@default", widget("bb")).await.expect("created");
    let next = |token: &str, limit| ListOptions { limit, continue_token: token.to_owned(), ..ListOptions::default() };
    let second = world.list("widgets@default", &next(&first.continue_token, 2)).await.expect("a page");
    assert_eq!((names(&second).join(" ").as_str(), &second.resource_version), ("c d", &first.resource_version));
    let third = world.list("widgets@default", &next(&second.continue_token, 2)).await.expect("a page");
    assert_eq!((names(&third).join(" ").as_str(), third.continue_token.as_str(), third.remaining), ("e", "", None));
    let status = world.list("configmaps@default", &next(&first.continue_token, 2)).await.expect_err("another list");
    assert!(status.message.starts_with("invalid continue token: continue key is not valid: "), "{status}");
    let mut both = next(&first.continue_token, 2);
    both.resource_version = "5".into();
    let status = world.list("widgets@default", &both).await.expect_err("both");
    assert_eq!(status.message, "specifying resource version is not allowed when using continue");
    let mut chosen = labels("odd=false");
    chosen.limit = 1;
    let mut seen = Vec::new();
    loop {
        let page = world.list("widgets@default", &chosen).await.expect("a page");
        assert_eq!(page.remaining, None);
        seen.extend(names(&page));
        if page.continue_token.is_empty() {
            break;
        }
        chosen.continue_token = page.continue_token;
    }
    assert_eq!(seen, ["d", "e"]);
}

#[tokio::test]
async fn a_version_is_any_at_least_or_exactly_rows_l3_to_l7_c16() {
    let world = world().await;
    five(&world).await;
    let newest = world.registry.store().revision();
    let at = |version: &str, matching: &str, limit| ListOptions {
        resource_version: version.to_owned(),
        resource_version_match: matching.to_owned(),
        limit,
        ..ListOptions::default()
    };
    let old = (newest - 2).to_string();
    for (options, expected) in [
        (at("0", "", 0), "a b c d e"),
        (at(&old, "", 0), "a b c d e"),
        (at(&old, "NotOlderThan", 2), "a b"),
        (at(&old, "Exact", 0), "a c e"),
        (at(&old, "", 2), "a c"),
    ] {
        let list = world.list("widgets@default", &options).await.expect("a list");
        assert_eq!(names(&list).join(" "), expected, "{options:?}");
    }
    for (options, code, text) in [
        (
            at("abc", "", 0),
            400,
            "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
        ),
        (
            at("", "Exact", 0),
            422,
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (at("0", "Exact", 0), 422, "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: "),
        (
            at("5", "Foo", 0),
            422,
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Unsupported value: \"Foo\"",
        ),
    ] {
        let status = world.list("widgets@default", &options).await.expect_err(text);
        assert_eq!(status.code, code);
        assert!(status.message.starts_with(text), "{status}");
    }
    let future = (newest + 100).to_string();
    let status = world.list("widgets@default", &at(&future, "", 0)).await.expect_err("the future");
    assert_eq!(
        (status.code, status.message),
        (504, format!("Timeout: Too large resource version: {future}, current: {newest}"))
    );
    let status =
        world.registry.get(&world.caller, &world.target("widgets@default a"), &future).await.expect_err("the future");
    assert_eq!(status.code, 504);
}

#[tokio::test]
async fn an_expired_token_can_go_on_at_the_newest_version_row_l10() {
    use otternauts_store::{MemoryOptions, Retention};
    let retention = Retention { age: Duration::ZERO, bytes: 0, revisions: 0 };
    let world = world_on(Store::memory_with(&MemoryOptions { retention, ..MemoryOptions::default() })).await;
    five(&world).await;
    let first =
        world.list("widgets@default", &ListOptions { limit: 2, ..ListOptions::default() }).await.expect("a page");
    let mut status = None;
    for i in 0..20_000 {
        world.merge("widgets@default e", json!({"metadata": {"labels": {"i": i.to_string()}}})).await.expect("patched");
        let next = ListOptions { limit: 2, continue_token: first.continue_token.clone(), ..ListOptions::default() };
        if let Err(error) = world.list("widgets@default", &next).await {
            status = Some(error);
            break;
        }
    }
    let status = status.expect("history is not kept for ever");
    assert_eq!((status.code, status.reason), (410, "Expired"));
    let token = status.continue_token.expect("a token to go on with");
    let next = ListOptions { continue_token: token, ..ListOptions::default() };
    assert_eq!(names(&world.list("widgets@default", &next).await.expect("goes on")).join(" "), "c d e");
}
