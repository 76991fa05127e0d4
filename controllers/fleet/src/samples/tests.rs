use super::measure::{Memory, df};
use crate::Fleet;
use crate::docker::{RunningContainer, Usage};
use otternauts_telemetry::Metrics;

fn container(id: &str, labels: &[(&str, &str)]) -> RunningContainer {
    let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    RunningContainer { id: id.to_owned(), name: format!("name-of-{id}"), labels }
}

fn usage(seconds: i64, cpu_nanos: u64) -> Usage {
    Usage { read_nanos: seconds * 1_000_000_000, cpu_nanos: Some(cpu_nanos), ..Usage::default() }
}

#[test]
fn a_share_of_a_core_needs_two_readings_of_one_life() {
    let mut memory = Memory::default();
    let mut share = |seconds, cpu| memory.sample(&container("a", &[]), &usage(seconds, cpu), Some(1)).cpu_percent;
    assert_eq!(share(100, 7_000_000_000), None, "nothing to compare with");
    assert_eq!(share(110, 12_000_000_000), Some(50.0), "half a core");
    assert_eq!(share(110, 12_000_000_000), None, "the same reading again");
    assert_eq!(share(120, 32_000_000_000), Some(200.0), "two cores");
    assert_eq!(share(130, 1_000_000_000), None, "it was started anew");
    assert_eq!(share(140, 1_000_000_000), Some(0.0), "idle is known, not unknown");
}

#[test]
fn a_container_says_whose_it_is_by_what_swarm_wrote_on_it() {
    type Row = (&'static [(&'static str, &'static str)], [Option<&'static str>; 3]);
    let rows: [Row; 4] = [
        (
            &[
                ("com.docker.stack.namespace", "shop-1a2b3c4d"),
                ("com.docker.swarm.service.name", "shop-1a2b3c4d_web"),
                ("com.docker.swarm.task.name", "shop-1a2b3c4d_web.2.xyz"),
            ],
            [Some("shop-1a2b3c4d"), Some("web"), Some("2")],
        ),
        (
            &[
                ("com.docker.stack.namespace", "s"),
                ("com.docker.swarm.service.name", "s_a.b"),
                ("com.docker.swarm.task.name", "s_a.b.nodeid.xyz"),
            ],
            [Some("s"), Some("a.b"), Some("nodeid")],
        ),
        (
            &[("com.docker.swarm.service.name", "lone"), ("com.docker.swarm.task.name", "lone.1.xyz")],
            [None, Some("lone"), Some("1")],
        ),
        (&[], [None, None, None]),
    ];
    for (labels, expected) in rows {
        let sample = Memory::default().sample(&container("a", labels), &usage(1, 1), None);
        let got = [sample.swarm_stack.as_deref(), sample.service.as_deref(), sample.slot.as_deref()];
        assert_eq!(got, expected, "{labels:?}");
    }
}

#[test]
fn the_disk_is_the_last_line_of_df() {
    let head = "Filesystem 1024-blocks Used Available Capacity Mounted on\n";
    let one = "overlay 100 40 60 40% /\n";
    assert_eq!(df(&format!("{head}{one}/dev/vdb 2000 500 1400 26% /var/lib/docker\n")), Some((1400 << 10, 2000 << 10)));
    assert_eq!(df(&format!("{head}{one}")), Some((60 << 10, 100 << 10)));
    for bad in ["", head, "x\ny", "x\n/dev/vdb - - - - /\n"] {
        assert_eq!(df(bad), None, "{bad:?}");
    }
}

#[tokio::test]
async fn all_who_ask_share_one_sampler_and_the_last_one_ends_it() {
    let fleet = Fleet::new(Metrics::new("test"));
    assert_eq!(fleet.samplers().running(), 0, "nobody asked");
    let mut first = fleet.samples("h1");
    let second = fleet.samples("h1");
    let _other = fleet.samples("h2");
    assert_eq!(fleet.samplers().running(), 2);
    let round = first.next().await;
    assert_eq!(round.error.as_deref(), Some("the server is not followed"));
    assert_eq!(second.latest(), Some(round.clone()), "the same round, not another one");
    let mut third = fleet.samples("h1");
    assert_eq!(third.next().await, round, "who comes later has the newest at once");
    drop((first, second));
    assert_eq!(fleet.samplers().running(), 2);
    drop(third);
    assert_eq!(fleet.samplers().running(), 1, "the last one let go");
    let again = fleet.samples("h1");
    assert_eq!(again.latest(), None, "measured anew, not what was then");
}
