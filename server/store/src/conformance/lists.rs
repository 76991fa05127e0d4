//! Lists: order, pages, states of the past.

use super::factory::*;
use crate::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test]
async fn a_list_is_in_the_order_of_the_bytes_of_namespace_and_name() {
    let order = ["/z", "Z/a", "a/b", "a/b-c", "a/b.c", "a/bb", "a-b/a", "ab/a", "\u{e9}/a"];
    for lab in Lab::all() {
        let store = lab.open();
        for place in order.iter().rev() {
            let (namespace, name) = place.split_once('/').unwrap();
            set(&store, &key(namespace, name), "x").await;
        }
        set(&store, &Key::new("other.otternauts.dev", "a", "b"), "x").await;
        let page = store.list(list_of(everything())).await.unwrap();
        assert_eq!(places(&page.records), order);
        assert_eq!((page.revision, page.more, page.remaining), (order.len() as u64 + 1, false, None));
        let page = store.list(list_of(Range::namespace(STACKS, "a"))).await.unwrap();
        assert_eq!(places(&page.records), ["a/b", "a/b-c", "a/b.c", "a/bb"]);
        let one = Range { name: Some("a".into()), ..everything() };
        assert_eq!(places(&store.list(list_of(one)).await.unwrap().records), ["Z/a", "a-b/a", "ab/a", "\u{e9}/a"]);
        let one = Range { name: Some("b".into()), ..Range::namespace(STACKS, "a") };
        assert_eq!(places(&store.list(list_of(one)).await.unwrap().records), ["a/b"]);
        let none = store.list(list_of(Range::resource("nothing"))).await.unwrap();
        assert_eq!((none.records.len(), none.revision), (0, page.revision));
    }
}

/// The bodies of a range, gathered page by page; `None`: only a list says what there is.
async fn gathered(store: &Store, limit: usize, at: Option<Revision>, schema: u64) -> Option<(Vec<String>, Revision)> {
    let mut list = List { range: everything(), at, after: None, limit };
    let mut bodies = Vec::new();
    loop {
        let put = |into: &mut Vec<String>, body: &[u8]| into.push(String::from_utf8(body.to_vec()).unwrap());
        let page = store.gather(list.clone(), schema, Vec::new(), put).await.unwrap()?;
        assert!(limit == 0 || page.into.len() <= limit);
        bodies.extend(page.into);
        list.at = Some(page.revision);
        list.after = page.last;
        if !page.more {
            return Some((bodies, page.revision));
        }
    }
}

#[tokio::test]
async fn the_bodies_that_are_gathered_are_those_of_the_list() {
    for lab in Lab::all() {
        let mut store = lab.open();
        for batch in 0..7 {
            let writes =
                |n| put(&key(&format!("n{}", n % 3), &format!("o{n:03}")), Precondition::None, &format!("t{n}"));
            store.commit((batch * 100..batch * 100 + 100).map(writes).collect()).await.unwrap();
        }
        // Now from the cache, then from the log, then some from here and some from there.
        for cached in [true, false, false] {
            if lab.is_durable() && !cached {
                store.close().await.unwrap();
                store = lab.open();
                store.get(&key("n1", "o100")).await.unwrap();
            }
            let page = store.list(list_of(everything())).await.unwrap();
            let whole: Vec<String> = page.records.iter().map(|r| String::from_utf8(r.body.to_vec()).unwrap()).collect();
            for limit in [0, 1, 64, 699, 700, 701] {
                assert_eq!(
                    gathered(&store, limit, None, 7).await,
                    Some((whole.clone(), page.revision)),
                    "limit {limit}"
                );
            }
            assert_eq!(gathered(&store, 64, None, 8).await, None, "another schema");
        }
        let before = store.revision();
        set(&store, &Key::new("other.otternauts.dev", "a", "b"), "x").await;
        assert_eq!(gathered(&store, 64, Some(before), 7).await.map(|found| found.1), Some(before));
        set(&store, &key("n0", "o000"), "x").await;
        assert_eq!(gathered(&store, 64, Some(before), 7).await, None, "something has changed since");
        assert_eq!(gathered(&store, 64, Some(before + 9), 7).await, None, "nobody knows yet");
        assert_eq!(gathered(&store, 64, None, 7).await.map(|found| found.0.len()), Some(700));
    }
}

#[tokio::test]
async fn a_page_of_bodies_stays_within_its_bytes() {
    let lab = Lab::of("sqlite");
    let store = lab.open();
    let large = "x".repeat(1 << 20);
    for number in 0..20 {
        set(&store, &key("n", &format!("o{number:02}")), &large).await;
    }
    assert_eq!(gathered(&store, 18, None, 7).await, None, "more than a page may have in the end");
    let put = |into: &mut usize, body: &[u8]| *into += body.len();
    let list = List { limit: 5, ..list_of(everything()) };
    let page = store.gather(list, 7, 0, put).await.unwrap().expect("so many fit");
    assert!(page.more && page.into > 5 << 20, "{page:?}");
}

/// P7: however many objects are asked for, and in whatever order large and small ones come.
#[tokio::test]
async fn a_page_stays_within_its_bytes_and_the_pages_are_the_whole() {
    for lab in Lab::all() {
        let store = lab.open();
        for number in 0..100 {
            let size = if number % 10 < 3 { 300_000 } else { 10 };
            set(&store, &key("n", &format!("o{number:03}")), &"x".repeat(size)).await;
        }
        let whole = store.list(list_of(everything())).await.unwrap();
        for bytes in [1, 400_000, 1 << 20] {
            let mut list = List { limit: 90, ..list_of(everything()) };
            let mut found = Vec::new();
            loop {
                let page = store.list_within(list.clone(), bytes).await.unwrap();
                let held: usize = page.records.iter().map(|record| record.body.len()).sum();
                assert!(held <= bytes || page.records.len() == 1, "{} of {held} bytes", page.records.len());
                list.at = Some(page.revision);
                list.after = page.records.last().map(|last| (last.key.namespace.clone(), last.key.name.clone()));
                found.extend(places(&page.records));
                if !page.more {
                    break;
                }
            }
            assert_eq!(found, places(&whole.records), "{bytes}");
        }
    }
}

/// All pages of a list, the first at the newest revision, with something done between pages.
async fn pages(store: &Store, range: Range, limit: usize, mut between: impl AsyncFnMut(usize)) -> Vec<Page> {
    let mut list = List { range, at: None, after: None, limit };
    let mut pages = Vec::new();
    loop {
        let page = store.list(list.clone()).await.unwrap();
        let more = page.more;
        list.at = Some(page.revision);
        list.after = page.records.last().map(|last| (last.key.namespace.clone(), last.key.name.clone()));
        pages.push(page);
        if !more {
            return pages;
        }
        between(pages.len()).await;
    }
}

#[tokio::test]
async fn pages_are_of_one_state_whatever_is_written_meanwhile() {
    for lab in Lab::all() {
        let store = lab.open();
        for number in 0..95 {
            set(&store, &key(&format!("n{}", number % 3), &format!("o{number:03}")), "x").await;
        }
        let whole = store.list(list_of(everything())).await.unwrap();
        let all = pages(&store, everything(), 10, async |page| {
            for number in 0..20 {
                let (namespace, name) = (format!("n{}", number % 3), format!("o{:03}", (number * 7 + page) % 95));
                let key = key(&namespace, &name);
                match store.get(&key).await.unwrap() {
                    Some(_) if number % 2 == 0 => drop(remove(&store, &key, "gone").await),
                    _ => drop(set(&store, &key, "later").await),
                }
            }
        })
        .await;
        assert!(all.iter().all(|page| page.revision == whole.revision));
        assert_eq!(
            all.iter().map(|page| page.records.len()).collect::<Vec<_>>(),
            [10, 10, 10, 10, 10, 10, 10, 10, 10, 5]
        );
        let joined: Vec<Record> = all.into_iter().flat_map(|page| page.records).collect();
        assert_eq!(places(&joined), places(&whole.records));
        assert!(joined.iter().zip(&whole.records).all(|(a, b)| a.body == b.body && a.revision == b.revision));
    }
}

#[tokio::test]
async fn a_page_says_how_many_follow() {
    for lab in Lab::all() {
        let store = lab.open();
        for number in 0..25 {
            set(&store, &key(&format!("n{}", number % 2), &format!("o{number:03}")), "x").await;
        }
        let all = pages(&store, everything(), 10, async |_| ()).await;
        assert_eq!(all.iter().map(|page| page.remaining).collect::<Vec<_>>(), [Some(15), Some(5), None]);
        let all = pages(&store, Range::namespace(STACKS, "n1"), 12, async |_| ()).await;
        assert_eq!(all.iter().map(|page| page.remaining).collect::<Vec<_>>(), [None]);
    }
}

#[tokio::test]
async fn every_retained_state_can_be_listed_and_compacted_ones_say_so() {
    for lab in Lab::all() {
        let lab = lab.keeping(20);
        let store = lab.open();
        let mut states = vec![Vec::new()];
        for step in 0..120_u64 {
            let key = key(&format!("n{}", step % 2), &format!("o{}", step * 31 % 11));
            match store.get(&key).await.unwrap() {
                Some(_) if step % 3 == 0 => drop(remove(&store, &key, "gone").await),
                _ => drop(set(&store, &key, &format!("step {step}")).await),
            }
            let now = store.list(list_of(everything())).await.unwrap();
            states.push(now.records.iter().map(|record| record.body.clone()).collect::<Vec<_>>());
            if step < 60 {
                continue;
            }
            lab.pass(Duration::from_secs(1));
            settle(&store).await;
            for at in 0..=store.revision() {
                let result = store.list(List { at: Some(at), ..list_of(everything()) }).await;
                if at < store.oldest() {
                    assert!(matches!(result, Err(Error::Compacted { asked, .. }) if asked == at), "{at}: {result:?}");
                    continue;
                }
                let page = result.unwrap();
                let bodies: Vec<_> = page.records.iter().map(|record| record.body.clone()).collect();
                assert_eq!(bodies, states[at as usize], "at {at} of {}", store.revision());
            }
        }
        assert!(store.oldest() >= 90, "{}", store.oldest());
        let future = store.list(List { at: Some(121), ..list_of(everything()) }).await;
        assert!(matches!(future, Err(Error::Future { asked: 121, current: 120 })));
    }
}

/// Waits until the writer has done what was due: it answers small values in turn.
async fn settle(store: &Store) {
    for _ in 0..2 {
        store.set_meta("settle", bytes::Bytes::new()).await.unwrap();
    }
}

/// A state: `namespace/name` to body, in the order of a list.
type State = BTreeMap<(String, String), String>;

/// Puts (or, where `false`, deletes) objects, and remembers each state.
async fn states(store: &Store, steps: &[(u8, u8, bool)]) -> Vec<State> {
    let mut states = vec![State::new()];
    for (namespace, name, is_put) in steps {
        let place = (format!("n{namespace}"), format!("o{name}"));
        let key = key(&place.0, &place.1);
        let mut state = states[states.len() - 1].clone();
        if *is_put {
            let revision = set(store, &key, "x").await;
            state.insert(place, text("x", revision));
        } else if state.remove(&place).is_some() {
            remove(store, &key, "gone").await;
        } else {
            continue;
        }
        states.push(state);
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_page_of_any_state_is_what_a_sorted_map_says(
        steps in prop::collection::vec((0..3_u8, 0..6_u8, prop::bool::weighted(0.7)), 1..60),
        at in any::<prop::sample::Index>(),
        namespace in prop::option::of(0..3_u8),
        name in prop::option::weighted(0.2, 0..6_u8),
        after in prop::option::of((0..3_u8, 0..6_u8)),
        limit in 0..8_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Store::memory();
            let states = states(&store, &steps).await;
            let at = at.index(states.len());
            let namespace = namespace.map(|number| format!("n{number}"));
            let name = name.map(|number| format!("o{number}"));
            let after = after.map(|(namespace, name)| (format!("n{namespace}"), format!("o{name}")));
            let wanted: Vec<bytes::Bytes> = states[at]
                .iter()
                .filter(|(place, _)| namespace.as_ref().is_none_or(|wanted| *wanted == place.0))
                .filter(|(place, _)| name.as_ref().is_none_or(|wanted| *wanted == place.1))
                .filter(|(place, _)| after.as_ref().is_none_or(|after| *place > after))
                .map(|(_, body)| body.clone().into())
                .collect();
            let range = Range {
                resource: STACKS.into(),
                namespace: namespace.map(Into::into),
                name: name.map(Into::into),
            };
            let after = after.map(|(namespace, name)| (namespace.into(), name.into()));
            let page = store.list(List { range, at: Some(at as u64), after, limit }).await.unwrap();
            let shown = if limit == 0 { wanted.len() } else { limit.min(wanted.len()) };
            let bodies: Vec<_> = page.records.iter().map(|record| record.body.clone()).collect();
            assert_eq!(bodies, wanted[..shown]);
            assert_eq!(page.more, shown < wanted.len());
            if let Some(remaining) = page.remaining {
                assert_eq!(remaining as usize, wanted.len() - shown);
            }
        });
    }
}
