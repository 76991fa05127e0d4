//! What `otter serve` is told: flags first, then the file, then the defaults.

use crate::scheduled::BackupSettings;
use anyhow::{Context as _, bail};
use otternauts_store::DiskGuard;
use otternauts_telemetry::LogFormat;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7443);

/// Run the control plane: API server, store and controllers
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[command(args_override_self = true)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServeArgs {
    /// Where everything is kept [default: /var/lib/otternauts for root, else ~/.otternauts]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address and port of the API; port 0 takes a free one [default: 127.0.0.1:7443]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where objects are stored [default: sqlite]
    #[arg(long, value_enum)]
    pub store: Option<StoreKind>,
    /// etcd's addresses, with --store etcd
    #[arg(long, value_delimiter = ',', value_name = "URL")]
    pub etcd_endpoints: Vec<String>,
    /// Who signed etcd's certificates (PEM), for https
    #[arg(long, value_name = "FILE")]
    pub etcd_cafile: Option<PathBuf>,
    /// Our certificate for etcd (PEM)
    #[arg(long, value_name = "FILE")]
    pub etcd_certfile: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE")]
    pub etcd_keyfile: Option<PathBuf>,
    /// Where our keys are in etcd; the same for all replicas [default: /otternauts]
    #[arg(long, value_name = "PREFIX")]
    pub etcd_prefix: Option<String>,
    /// Which controllers run in this process: all, none, or names [default: all]
    #[arg(long, value_delimiter = ',', value_name = "all|none|NAME,...")]
    pub controllers: Vec<String>,
    /// A YAML file with the same settings (dataDir, listen, ...); flags win
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// text or json [default: text]
    #[arg(long, value_name = "text|json")]
    #[serde(deserialize_with = "log_format")]
    pub log_format: Option<LogFormat>,
    /// Users by token, as kube-apiserver reads them: token,user,uid,"group1,group2"
    #[arg(long, value_name = "FILE")]
    pub token_auth_file: Option<PathBuf>,
    /// More names and addresses for the server's certificate
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub tls_san: Vec<String>,
    /// The age identity that seals secrets [default: $OTTERNAUTS_SECRET_KEY, else secret.key in the data directory]
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// With less free on the disk of the data directory, only deletions are taken [default: 268435456]
    #[arg(long, value_name = "N")]
    pub min_free_bytes: Option<u64>,
    /// The same in percent of the disk; the larger of the two counts [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub min_free_percent: Option<u8>,
    /// How much is kept to be given back when the disk is full, at most 5 percent of the disk [default: 67108864]
    #[arg(long, value_name = "N")]
    pub ballast_bytes: Option<u64>,
    /// Where the newest revision that was answered is noted, on a disk that is not put back together with the data directory: a whole directory
    /// from before, as a snapshot of a machine is, is refused then [default: otternauts.db.head in the data directory]
    #[arg(long, value_name = "FILE")]
    pub high_water_mark: Option<PathBuf>,
    /// Another key that can open the sealed secrets when the root key is lost; may be given more than once [default: as before]
    #[arg(long = "recovery-recipient", value_delimiter = ',', value_name = "age1...")]
    pub recovery_recipients: Vec<String>,
    #[command(flatten)]
    #[serde(rename = "backup")]
    pub backups: BackupSettings,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    #[default]
    Sqlite,
    Etcd,
}

/// Where objects are, with what it takes to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    Sqlite,
    Etcd(EtcdConfig),
}

/// How etcd is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdConfig {
    pub endpoints: Vec<String>,
    pub prefix: String,
    pub ca_file: Option<PathBuf>,
    pub certificate_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
}

/// What is said of etcd must fit together, before anything is opened.
fn store_config(kind: StoreKind, etcd: EtcdConfig) -> anyhow::Result<StoreConfig> {
    match kind {
        StoreKind::Sqlite if etcd != EtcdConfig::default() => bail!("--etcd-... is for --store etcd"),
        StoreKind::Sqlite => Ok(StoreConfig::Sqlite),
        StoreKind::Etcd if !cfg!(feature = "etcd") => bail!("the etcd store is not in this build: use --store sqlite"),
        StoreKind::Etcd if etcd.endpoints.is_empty() => bail!("--store etcd needs --etcd-endpoints"),
        StoreKind::Etcd => {
            let prefix = if etcd.prefix.is_empty() { "/otternauts".to_owned() } else { etcd.prefix };
            Ok(StoreConfig::Etcd(EtcdConfig { prefix, ..etcd }))
        }
    }
}

fn log_format<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<LogFormat>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// Every setting with its value.
#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub store: StoreConfig,
    pub listen: SocketAddr,
    pub controllers: Controllers,
    pub log_format: LogFormat,
    pub token_auth_file: Option<PathBuf>,
    pub tls_san: Vec<String>,
    pub secret_key_file: Option<PathBuf>,
    pub disk: DiskGuard,
    pub high_water_mark: Option<PathBuf>,
    pub recovery_recipients: Vec<String>,
    pub backups: BackupSettings,
}

impl Config {
    pub fn resolve(flags: ServeArgs) -> anyhow::Result<Self> {
        let file = match &flags.config {
            Some(path) => read(path)?,
            None => ServeArgs::default(),
        };
        let list = |flag: Vec<String>, file: Vec<String>| if flag.is_empty() { file } else { flag };
        let etcd = EtcdConfig {
            endpoints: list(flags.etcd_endpoints, file.etcd_endpoints),
            prefix: flags.etcd_prefix.or(file.etcd_prefix).unwrap_or_default(),
            ca_file: flags.etcd_cafile.or(file.etcd_cafile),
            certificate_file: flags.etcd_certfile.or(file.etcd_certfile),
            key_file: flags.etcd_keyfile.or(file.etcd_keyfile),
        };
        let store = store_config(flags.store.or(file.store).unwrap_or_default(), etcd)?;
        let high_water_mark = flags.high_water_mark.or(file.high_water_mark);
        if high_water_mark.is_some() && store != StoreConfig::Sqlite {
            bail!(
                "--high-water-mark is for --store sqlite: with etcd each replica remembers for itself what it has seen"
            );
        }
        let usual = DiskGuard::default();
        Ok(Self {
            data_dir: match flags.data_dir.or(file.data_dir) {
                Some(path) => path,
                None => default_data_dir()?,
            },
            store,
            listen: flags.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN),
            controllers: Controllers::parse(&list(flags.controllers, file.controllers))?,
            log_format: flags.log_format.or(file.log_format).unwrap_or_default(),
            token_auth_file: flags.token_auth_file.or(file.token_auth_file),
            tls_san: list(flags.tls_san, file.tls_san),
            secret_key_file: flags.secret_key_file.or(file.secret_key_file),
            disk: DiskGuard {
                free_bytes: flags.min_free_bytes.or(file.min_free_bytes).unwrap_or(usual.free_bytes),
                free_percent: flags.min_free_percent.or(file.min_free_percent).unwrap_or(usual.free_percent),
                ballast_bytes: flags.ballast_bytes.or(file.ballast_bytes).unwrap_or(usual.ballast_bytes),
                // Clients hold leases to say that they live: on a full disk too.
                always: vec!["leases.coordination.k8s.io".into()],
            },
            high_water_mark,
            recovery_recipients: list(flags.recovery_recipients, file.recovery_recipients),
            backups: BackupSettings {
                schedule: flags.backups.schedule.or(file.backups.schedule),
                to: flags.backups.to.or(file.backups.to),
                keep: flags.backups.keep.or(file.backups.keep),
                recipients: list(flags.backups.recipients, file.backups.recipients),
            },
        })
    }
}

fn read(path: &Path) -> anyhow::Result<ServeArgs> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    if text.trim().is_empty() {
        return Ok(ServeArgs::default());
    }
    serde_saphyr::from_str(&text).with_context(|| format!("{} is not a valid configuration", path.display()))
}

/// `/var/lib/otternauts` for root, else `~/.otternauts`.
pub fn default_data_dir() -> anyhow::Result<PathBuf> {
    if crate::process::is_root() {
        return Ok(PathBuf::from("/var/lib/otternauts"));
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).context("HOME is not set: use --data-dir")?;
    Ok(PathBuf::from(home).join(".otternauts"))
}

/// The controllers of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Controller {
    Onboarding,
    Deploy,
    Health,
    Ingress,
    Healing,
    Notify,
}

impl Controller {
    pub const ALL: [Self; 6] =
        [Self::Onboarding, Self::Deploy, Self::Health, Self::Ingress, Self::Healing, Self::Notify];

    /// The name of its ServiceAccount in `otternauts-system`, and in `--controllers`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Onboarding => "onboarding",
            Self::Deploy => "deploy",
            Self::Health => "health",
            Self::Ingress => "ingress",
            Self::Healing => "healing",
            Self::Notify => "notify",
        }
    }
}

/// Which of them run in this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controllers(pub Vec<Controller>);

impl Controllers {
    pub fn has(&self, controller: Controller) -> bool {
        self.0.contains(&controller)
    }

    /// `all` (also an empty list), `none`, or names.
    pub fn parse(words: &[String]) -> anyhow::Result<Self> {
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] | ["all"] => Ok(Self(Controller::ALL.to_vec())),
            ["none"] => Ok(Self(Vec::new())),
            names => names.iter().map(|name| named(name)).collect::<anyhow::Result<_>>().map(Self),
        }
    }
}

fn named(name: &str) -> anyhow::Result<Controller> {
    let found = Controller::ALL.into_iter().find(|controller| controller.name() == name);
    found.with_context(|| {
        let known: Vec<&str> = Controller::ALL.iter().map(|controller| controller.name()).collect();
        format!("there is no controller {name:?}: use all, none, or some of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.yaml");
        let text = "listen: 0.0.0.0:8443\ncontrollers: [deploy]\ntlsSan: [otter.example]\nlogFormat: json\n";
        std::fs::write(&path, text).expect("written");
        let flags = ServeArgs {
            config: Some(path),
            data_dir: Some(dir.path().join("data")),
            tls_san: vec!["10.0.0.1".to_owned()],
            ..ServeArgs::default()
        };
        let config = Config::resolve(flags).expect("valid");
        assert_eq!(config.listen.to_string(), "0.0.0.0:8443");
        assert_eq!(config.controllers, Controllers(vec![Controller::Deploy]));
        assert_eq!(config.tls_san, ["10.0.0.1"]);
        assert_eq!(config.log_format, LogFormat::Json);
        let defaults = Config::resolve(ServeArgs { data_dir: Some(PathBuf::from("d")), ..ServeArgs::default() });
        let defaults = defaults.expect("valid");
        assert_eq!(defaults.listen.to_string(), "127.0.0.1:7443");
        assert_eq!(defaults.controllers, Controllers(Controller::ALL.to_vec()));
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_reason() {
        let check = |flags: ServeArgs, expected: &str| {
            let error = Config::resolve(ServeArgs { data_dir: Some(PathBuf::from("d")), ..flags }).expect_err(expected);
            let error = format!("{error:#}");
            assert!(error.contains(expected), "{error}");
        };
        let etcd = ServeArgs { store: Some(StoreKind::Etcd), ..ServeArgs::default() };
        check(etcd, if cfg!(feature = "etcd") { "--store etcd needs --etcd-endpoints" } else { "not in this build" });
        let endpoints = ServeArgs { etcd_endpoints: vec!["http://127.0.0.1:2379".to_owned()], ..ServeArgs::default() };
        check(endpoints, "--etcd-... is for --store etcd");
        if cfg!(feature = "etcd") {
            let mark = ServeArgs {
                store: Some(StoreKind::Etcd),
                etcd_endpoints: vec!["http://127.0.0.1:2379".to_owned()],
                high_water_mark: Some(PathBuf::from("/mnt/mark")),
                ..ServeArgs::default()
            };
            check(mark, "--high-water-mark is for --store sqlite");
        }
        let unknown = ServeArgs { controllers: vec!["cooking".to_owned()], ..ServeArgs::default() };
        check(
            unknown,
            "there is no controller \"cooking\": use all, none, or some of onboarding, deploy, health, ingress, healing, \
             notify",
        );
        let missing = ServeArgs { config: Some(PathBuf::from("/does/not/exist")), ..ServeArgs::default() };
        check(missing, "cannot read /does/not/exist");
    }
}
