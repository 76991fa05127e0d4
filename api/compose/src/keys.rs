//! Every key a compose file may have, the shape of its value and what Swarm makes of it.
//!
//! Facts of `docker stack deploy` (26 to 28): what it converts is `Keep`; what it drops is never dropped silently here.

/// The shape of a value.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A string; numbers and booleans are taken as they are written.
    Text,
    Bool,
    Int,
    /// A number with decimals, rendered as a string (`cpus: "0.5"`).
    Decimal,
    Ratio,
    /// `1m30s`
    Duration,
    /// `512m`, rendered as a string.
    Bytes,
    Word(&'static [&'static str]),
    /// One string, or a list of strings.
    Texts,
    /// As `Texts`, rendered as a list.
    TextList,
    /// A mapping of scalars or a list of `key=value`, rendered as a mapping.
    Pairs,
    List(&'static Shape),
    MapOf(&'static Shape),
    Object(&'static [Key]),
    /// `ulimits`: a number, or soft and hard.
    Ulimit,
    /// Checked nowhere: it is not rendered.
    Any,
}

/// What becomes of a key.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    /// Swarm does what it says.
    Keep,
    /// Our own code reads it (ports, volumes, `x-otternauts` and so on).
    Own,
    /// Known, without meaning in Swarm: a warning with this advice.
    Idle(&'static str),
    /// Reaches out of the container: only in a `privileged` namespace. `true`: Swarm honours it, else it is ignored even there.
    Privileged(bool),
    /// Cannot be accepted at all, with the reason.
    Refuse(&'static str),
}

#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub fate: Fate,
}

const fn keep(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, fate: Fate::Keep }
}

const fn own(name: &'static str) -> Key {
    Key { name, shape: Shape::Any, fate: Fate::Own }
}

const fn idle(name: &'static str, advice: &'static str) -> Key {
    Key { name, shape: Shape::Any, fate: Fate::Idle(advice) }
}

const fn privileged(name: &'static str) -> Key {
    Key { name, shape: Shape::Any, fate: Fate::Privileged(false) }
}

const fn refuse(name: &'static str, why: &'static str) -> Key {
    Key { name, shape: Shape::Any, fate: Fate::Refuse(why) }
}

const IGNORED: &str = "Swarm ignores it";
const USE_LIMITS: &str = "Swarm ignores it; use deploy.resources";
const NO_PATHS: &str =
    "a path means nothing on the server; deploy with `otter deploy FILE`, which reads the file and sends what is in it";
const PATH_IN_FILE: &str = "a path means nothing on the server; write one complete file";

pub(crate) const TOP: &[Key] = &[
    Key { name: "version", shape: Shape::Text, fate: Fate::Own },
    idle("name", "the Stack's own name decides"),
    own("services"),
    own("networks"),
    own("volumes"),
    own("configs"),
    own("secrets"),
    refuse("include", PATH_IN_FILE),
    idle("models", IGNORED),
];

pub(crate) const SERVICE: &[Key] = &[
    idle("annotations", IGNORED),
    idle("attach", IGNORED),
    idle("blkio_config", IGNORED),
    own("build"),
    Key { name: "cap_add", shape: Shape::List(&Shape::Text), fate: Fate::Privileged(true) },
    keep("cap_drop", Shape::List(&Shape::Text)),
    idle("cgroup", IGNORED),
    idle("cgroup_parent", IGNORED),
    idle("cgroupns_mode", IGNORED),
    keep("command", Shape::Texts),
    own("configs"),
    idle("container_name", "Swarm names its containers itself"),
    idle("cpu_count", USE_LIMITS),
    idle("cpu_percent", USE_LIMITS),
    idle("cpu_period", USE_LIMITS),
    idle("cpu_quota", USE_LIMITS),
    idle("cpu_rt_period", USE_LIMITS),
    idle("cpu_rt_runtime", USE_LIMITS),
    idle("cpu_shares", USE_LIMITS),
    idle("cpus", USE_LIMITS),
    idle("cpuset", USE_LIMITS),
    keep(
        "credential_spec",
        Shape::Object(&[keep("config", Shape::Text), keep("file", Shape::Text), keep("registry", Shape::Text)]),
    ),
    own("depends_on"),
    keep("deploy", Shape::Object(DEPLOY)),
    idle("develop", IGNORED),
    privileged("device_cgroup_rules"),
    privileged("devices"),
    keep("dns", Shape::TextList),
    idle("dns_opt", IGNORED),
    keep("dns_search", Shape::TextList),
    idle("domainname", IGNORED),
    keep("entrypoint", Shape::Texts),
    refuse("env_file", NO_PATHS),
    own("environment"),
    own("expose"),
    refuse("extends", PATH_IN_FILE),
    idle("external_links", IGNORED),
    own("extra_hosts"),
    idle("gpus", "Swarm ignores it; use deploy.resources.reservations.generic_resources"),
    idle("group_add", IGNORED),
    keep("healthcheck", Shape::Object(HEALTHCHECK)),
    keep("hostname", Shape::Text),
    own("image"),
    keep("init", Shape::Bool),
    privileged("ipc"),
    keep("isolation", Shape::Text),
    refuse("label_file", NO_PATHS),
    keep("labels", Shape::Pairs),
    idle("links", "Swarm ignores it; services of one network find one another by name"),
    keep("logging", Shape::Object(&[keep("driver", Shape::Text), keep("options", Shape::Pairs)])),
    idle("mac_address", IGNORED),
    idle("mem_limit", USE_LIMITS),
    idle("mem_reservation", USE_LIMITS),
    idle("mem_swappiness", USE_LIMITS),
    idle("memswap_limit", USE_LIMITS),
    idle("models", IGNORED),
    privileged("network_mode"),
    own("networks"),
    idle("oom_kill_disable", IGNORED),
    idle("oom_score_adj", IGNORED),
    privileged("pid"),
    idle("pids_limit", "Swarm ignores it; use deploy.resources.limits.pids"),
    idle("platform", "Swarm ignores it; use deploy.placement.constraints"),
    own("ports"),
    idle("post_start", IGNORED),
    idle("pre_stop", IGNORED),
    privileged("privileged"),
    idle("profiles", "Swarm ignores it: the service always runs"),
    idle("provider", IGNORED),
    idle("pull_policy", IGNORED),
    keep("read_only", Shape::Bool),
    idle("restart", "Swarm ignores it; use deploy.restart_policy"),
    privileged("runtime"),
    idle("scale", "Swarm ignores it; use deploy.replicas"),
    own("secrets"),
    privileged("security_opt"),
    idle("shm_size", "Swarm ignores it; mount a tmpfs at /dev/shm"),
    keep("stdin_open", Shape::Bool),
    keep("stop_grace_period", Shape::Duration),
    keep("stop_signal", Shape::Text),
    idle("storage_opt", IGNORED),
    keep("sysctls", Shape::Pairs),
    keep("tmpfs", Shape::TextList),
    keep("tty", Shape::Bool),
    keep("ulimits", Shape::MapOf(&Shape::Ulimit)),
    privileged("use_api_socket"),
    keep("user", Shape::Text),
    privileged("userns_mode"),
    privileged("uts"),
    own("volumes"),
    idle("volumes_from", IGNORED),
    keep("working_dir", Shape::Text),
    own("x-otternauts"),
];

const HEALTHCHECK: &[Key] = &[
    keep("disable", Shape::Bool),
    keep("interval", Shape::Duration),
    keep("retries", Shape::Int),
    keep("start_interval", Shape::Duration),
    keep("start_period", Shape::Duration),
    keep("test", Shape::Texts),
    keep("timeout", Shape::Duration),
];

const UPDATE: &[Key] = &[
    keep("delay", Shape::Duration),
    keep("failure_action", Shape::Word(&["continue", "pause", "rollback"])),
    keep("max_failure_ratio", Shape::Ratio),
    keep("monitor", Shape::Duration),
    keep("order", Shape::Word(&["start-first", "stop-first"])),
    keep("parallelism", Shape::Int),
];

const ROLLBACK: &[Key] = &[
    keep("delay", Shape::Duration),
    keep("failure_action", Shape::Word(&["continue", "pause"])),
    keep("max_failure_ratio", Shape::Ratio),
    keep("monitor", Shape::Duration),
    keep("order", Shape::Word(&["start-first", "stop-first"])),
    keep("parallelism", Shape::Int),
];

const GENERIC: Shape = Shape::List(&Shape::Object(&[keep(
    "discrete_resource_spec",
    Shape::Object(&[keep("kind", Shape::Text), keep("value", Shape::Int)]),
)]));

const DEPLOY: &[Key] = &[
    keep("endpoint_mode", Shape::Word(&["vip", "dnsrr"])),
    keep("labels", Shape::Pairs),
    keep("mode", Shape::Word(&["replicated", "global", "replicated-job", "global-job"])),
    keep(
        "placement",
        Shape::Object(&[
            keep("constraints", Shape::List(&Shape::Text)),
            keep("max_replicas_per_node", Shape::Int),
            keep("preferences", Shape::List(&Shape::Object(&[keep("spread", Shape::Text)]))),
        ]),
    ),
    keep("replicas", Shape::Int),
    keep(
        "resources",
        Shape::Object(&[
            keep(
                "limits",
                Shape::Object(&[keep("cpus", Shape::Decimal), keep("memory", Shape::Bytes), keep("pids", Shape::Int)]),
            ),
            keep(
                "reservations",
                Shape::Object(&[
                    keep("cpus", Shape::Decimal),
                    idle("devices", "Swarm ignores it; use generic_resources"),
                    keep("generic_resources", GENERIC),
                    keep("memory", Shape::Bytes),
                ]),
            ),
        ]),
    ),
    keep(
        "restart_policy",
        Shape::Object(&[
            keep("condition", Shape::Word(&["none", "on-failure", "any"])),
            keep("delay", Shape::Duration),
            keep("max_attempts", Shape::Int),
            keep("window", Shape::Duration),
        ]),
    ),
    keep("rollback_config", Shape::Object(ROLLBACK)),
    keep("update_config", Shape::Object(UPDATE)),
];

pub(crate) const NETWORK: &[Key] = &[
    keep("attachable", Shape::Bool),
    own("driver"),
    keep("driver_opts", Shape::Pairs),
    idle("enable_ipv4", IGNORED),
    idle("enable_ipv6", IGNORED),
    own("external"),
    keep("internal", Shape::Bool),
    keep(
        "ipam",
        Shape::Object(&[
            keep("config", Shape::List(&Shape::Object(IPAM_CONFIG))),
            keep("driver", Shape::Text),
            idle("options", IGNORED),
        ]),
    ),
    keep("labels", Shape::Pairs),
    own("name"),
];

const IPAM_CONFIG: &[Key] =
    &[idle("aux_addresses", IGNORED), idle("gateway", IGNORED), idle("ip_range", IGNORED), keep("subnet", Shape::Text)];

pub(crate) const VOLUME: &[Key] =
    &[keep("driver", Shape::Text), own("driver_opts"), own("external"), keep("labels", Shape::Pairs), own("name")];

/// Top-level configs and secrets.
pub(crate) const FILE: &[Key] = &[
    own("content"),
    own("environment"),
    own("external"),
    own("file"),
    keep("labels", Shape::Pairs),
    own("name"),
    keep("template_driver", Shape::Text),
];

pub(crate) const PORT: &[Key] = &[
    idle("app_protocol", IGNORED),
    own("host_ip"),
    own("mode"),
    idle("name", IGNORED),
    own("protocol"),
    own("published"),
    own("target"),
];

pub(crate) const MOUNT: &[Key] = &[
    keep(
        "bind",
        Shape::Object(&[
            idle("create_host_path", "Swarm never creates the path"),
            keep("propagation", Shape::Text),
            idle("recursive", IGNORED),
            idle("selinux", IGNORED),
        ]),
    ),
    keep("consistency", Shape::Text),
    idle("image", IGNORED),
    keep("read_only", Shape::Bool),
    own("source"),
    own("target"),
    keep("tmpfs", Shape::Object(&[idle("mode", IGNORED), keep("size", Shape::Int)])),
    own("type"),
    keep(
        "volume",
        Shape::Object(&[idle("labels", IGNORED), keep("nocopy", Shape::Bool), keep("subpath", Shape::Text)]),
    ),
];

pub(crate) const ATTACHMENT: &[Key] = &[
    keep("aliases", Shape::List(&Shape::Text)),
    idle("driver_opts", IGNORED),
    idle("gw_priority", IGNORED),
    idle("interface_name", IGNORED),
    idle("ipv4_address", IGNORED),
    idle("ipv6_address", IGNORED),
    idle("link_local_ips", IGNORED),
    idle("mac_address", IGNORED),
    idle("priority", IGNORED),
];

/// A service's use of a config or secret.
pub(crate) const GRANT: &[Key] =
    &[keep("gid", Shape::Text), own("mode"), own("source"), keep("target", Shape::Text), keep("uid", Shape::Text)];

pub(crate) const OTTERNAUTS: &[Key] = &[own("domains"), own("health"), own("port")];
pub(crate) const DOMAIN: &[Key] = &[own("host"), own("path"), own("port")];
pub(crate) const HEALTH: &[Key] = &[
    keep("command", Shape::Texts),
    keep("http", Shape::Text),
    keep("interval", Shape::Duration),
    keep("retries", Shape::Int),
    keep("tcp", Shape::Int),
    keep("timeout", Shape::Duration),
];
