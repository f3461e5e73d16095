//! The command line. Every flag has an environment variable of the same name: `--data-dir` is `VCI_DATA_DIR`.

mod audit;
mod life;
mod tls;

use crate::certificate::Certificate;
use crate::controller;
use crate::render::Render;
use apiserver_server::{Config, FrontProxyTrust, RequestHeaderConfig, Source, StoreUse, Trust, logging};
use audit::Audit;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use life::Life;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;
use tls::Tls;

/// An aggregated Kubernetes API server for virtual clusters.
// Of a flag that is given more than once the last one counts, as with every Kubernetes program: overlays add to a base. What
// takes a list takes all of them.
#[derive(Debug, Parser)]
#[command(name = "vci-apiserver", version, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve management.loft.sh/v1 until SIGTERM.
    Serve(Box<Serve>),
    /// Bring virtual clusters to life on a host cluster until SIGTERM.
    Controller(Box<controller::Controller>),
    /// Look after a certificate in a Secret: made when missing, renewed in time.
    Certificate(Box<Certificate>),
    /// Print what a virtual cluster would be made from with a template and its parameters.
    Render(Box<Render>),
}

/// The flags of `serve`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Serve {
    /// Where the server keeps its store, certificates and the administrator's kubeconfig.
    #[arg(long, env = "VCI_DATA_DIR", value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
    /// The address to listen on.
    #[arg(long, env = "VCI_BIND_ADDRESS", value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind_address: IpAddr,
    /// The port to listen on; 0 is any free one.
    #[arg(long, env = "VCI_SECURE_PORT", value_name = "PORT", default_value_t = 8443)]
    secure_port: u16,
    #[command(flatten)]
    etcd: Etcd,
    #[command(flatten)]
    encryption: Encryption,
    #[command(flatten)]
    tls: Tls,
    #[command(flatten)]
    clients: Clients,
    #[command(flatten)]
    audit: Audit,
    /// Send traces of requests to an OpenTelemetry collector: a TracingConfiguration of apiserver.config.k8s.io/v1.
    #[arg(long, env = "VCI_TRACING_CONFIG_FILE", value_name = "FILE")]
    tracing_config_file: Option<PathBuf>,
    #[command(flatten)]
    life: Life,
    /// A YAML file of Users, Teams, Projects, VirtualClusterTemplates and OwnedAccessKeys to create when missing; may be repeated.
    #[arg(long, env = "VCI_BOOTSTRAP", value_name = "FILE", value_delimiter = ',')]
    bootstrap: Vec<PathBuf>,
    /// The longest life of access keys made from now on, such as 720h. Without it people may make keys that never end.
    #[arg(long, env = "VCI_ACCESS_KEY_MAX_TTL", value_name = "DURATION", value_parser = life::seconds)]
    access_key_max_ttl: Option<Duration>,
    /// The namespace of project P is this followed by P.
    #[arg(long, env = "VCI_PROJECT_NAMESPACE_PREFIX", value_name = "PREFIX", default_value = "loft-p-", value_parser = namespace_prefix)]
    project_namespace_prefix: String,
    /// Bring virtual clusters to life from this process; needs --kubeconfig.
    #[arg(long = "controller", env = "VCI_CONTROLLER", requires = "kubeconfig")]
    pub(crate) runs_controller: bool,
    #[command(flatten)]
    pub(crate) controller: controller::Flags,
    #[command(flatten)]
    pub(crate) log: LogFlags,
}

/// What is logged, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogFlags {
    /// How lines on standard error look.
    #[arg(long, env = "VCI_LOGGING_FORMAT", value_enum, value_name = "FORMAT", default_value_t = LoggingFormat::Text)]
    logging_format: LoggingFormat,
    /// Log this and what is worse: error, warn, info, debug.
    #[arg(long, env = "VCI_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: tracing::level_filters::LevelFilter,
}

#[derive(Args, Clone, Debug)]
struct Etcd {
    /// Store in etcd at these URLs instead of in the data directory.
    #[arg(long, env = "VCI_ETCD_SERVERS", value_name = "URL", value_delimiter = ',')]
    etcd_servers: Vec<String>,
    /// The keys in etcd begin with this.
    #[arg(long, env = "VCI_ETCD_PREFIX", value_name = "PREFIX", default_value = "/registry")]
    etcd_prefix: String,
    /// Certificate authorities that sign etcd's certificates, PEM.
    #[arg(long, env = "VCI_ETCD_CAFILE", value_name = "FILE", requires = "etcd_servers")]
    etcd_cafile: Option<PathBuf>,
    /// The certificate to show to etcd, PEM.
    #[arg(long, env = "VCI_ETCD_CERTFILE", value_name = "FILE", requires = "etcd_servers", requires = "etcd_keyfile")]
    etcd_certfile: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "VCI_ETCD_KEYFILE", value_name = "FILE", requires = "etcd_servers", requires = "etcd_certfile")]
    etcd_keyfile: Option<PathBuf>,
    /// How often etcd's history is forgotten, up to what was current at the time before, in turn with all servers that use it; 0s: never.
    #[arg(long, env = "VCI_ETCD_COMPACTION_INTERVAL", value_name = "DURATION", default_value = "5m", value_parser = life::time)]
    etcd_compaction_interval: Duration,
}

#[derive(Args, Clone, Debug)]
struct Encryption {
    /// Which objects are stored encrypted, and with which keys: an EncryptionConfiguration of apiserver.config.k8s.io/v1 with
    /// providers aesgcm, aescbc, secretbox and identity.
    #[arg(long, env = "VCI_ENCRYPTION_PROVIDER_CONFIG", value_name = "FILE")]
    encryption_provider_config: Option<PathBuf>,
    /// Read that file again when it changes; one that is of no use is passed over.
    #[arg(long, env = "VCI_ENCRYPTION_PROVIDER_CONFIG_AUTOMATIC_RELOAD", requires = "encryption_provider_config")]
    encryption_provider_config_automatic_reload: bool,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Clients by certificate and by front proxy")]
struct Clients {
    /// Certificate authorities that sign the certificates of clients, PEM: the common name is the user, organizations are groups.
    #[arg(long, env = "VCI_CLIENT_CA_FILE", value_name = "FILE")]
    client_ca_file: Option<PathBuf>,
    /// Certificate authorities that sign the front proxy's certificate, PEM. Without it no header says who is calling.
    #[arg(long, env = "VCI_REQUESTHEADER_CLIENT_CA_FILE", value_name = "FILE")]
    requestheader_client_ca_file: Option<PathBuf>,
    /// The front proxy's names; any when empty.
    #[arg(
        long,
        env = "VCI_REQUESTHEADER_ALLOWED_NAMES",
        value_name = "NAME",
        value_delimiter = ',',
        requires = "requestheader_client_ca_file"
    )]
    requestheader_allowed_names: Vec<String>,
    /// Headers that carry the user's name [default: X-Remote-User].
    #[arg(
        long,
        env = "VCI_REQUESTHEADER_USERNAME_HEADERS",
        value_name = "HEADER",
        value_delimiter = ',',
        requires = "requestheader_client_ca_file"
    )]
    requestheader_username_headers: Vec<String>,
    /// Headers that carry the user's UID [default: X-Remote-Uid].
    #[arg(
        long,
        env = "VCI_REQUESTHEADER_UID_HEADERS",
        value_name = "HEADER",
        value_delimiter = ',',
        requires = "requestheader_client_ca_file"
    )]
    requestheader_uid_headers: Vec<String>,
    /// Headers that carry groups [default: X-Remote-Group].
    #[arg(
        long,
        env = "VCI_REQUESTHEADER_GROUP_HEADERS",
        value_name = "HEADER",
        value_delimiter = ',',
        requires = "requestheader_client_ca_file"
    )]
    requestheader_group_headers: Vec<String>,
    /// Prefixes of headers that carry more [default: X-Remote-Extra-].
    #[arg(
        long,
        env = "VCI_REQUESTHEADER_EXTRA_HEADERS_PREFIX",
        value_name = "PREFIX",
        value_delimiter = ',',
        requires = "requestheader_client_ca_file"
    )]
    requestheader_extra_headers_prefix: Vec<String>,
    /// The kubeconfig of the cluster whose API this one joins, or `in-cluster`: it says whom to trust and to know, what
    /// they may do, and what its admission makes of a write.
    #[arg(long, env = "VCI_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<Source>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LoggingFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

/// Where objects are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreConfig {
    /// In a file below this directory.
    Embedded(PathBuf),
    /// In etcd.
    Etcd {
        /// URLs.
        servers: Vec<String>,
        /// What keys begin with.
        prefix: String,
        /// Certificate authorities, PEM.
        ca: Option<PathBuf>,
        /// Certificate and private key to show, PEM.
        identity: Option<(PathBuf, PathBuf)>,
        /// How often history is forgotten; zero: never.
        compaction_interval: Duration,
    },
}

/// How stored objects are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncryptionConfig {
    /// An `EncryptionConfiguration`.
    pub(crate) file: PathBuf,
    pub(crate) reload: Reload,
}

/// Whether a changed file is taken up while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reload {
    Never,
    Automatic,
}

/// What is not served: help that was asked for, or a command line that cannot be followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    /// For standard output; the program has done what was asked.
    Help(String),
    /// One line for standard error.
    Error(String),
}

/// Reads the command line.
///
/// # Errors
/// Help, or the first thing that is wrong with it.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, ParseError> {
    let Cli { command } = Cli::try_parse_from(args).map_err(|error| declined(&error))?;
    Ok(command)
}

impl Serve {
    /// What the server is to do.
    pub(crate) fn config(&self) -> Config {
        let config = Config {
            bind_address: self.bind_address,
            secure_port: self.secure_port,
            trust: self.clients.trust(),
            host_cluster: self.clients.kubeconfig.clone(),
            audit: self.audit.config(),
            tracing: self.tracing_config_file.clone(),
            store_use: if self.etcd.etcd_servers.is_empty() { StoreUse::Alone } else { StoreUse::Shared },
            path_prefix: "/kubernetes/management".into(),
            product_version: Some(vci_management::PLATFORM_VERSION),
            ..Config::standard(&self.data_dir, env!("CARGO_PKG_VERSION"))
        };
        self.life.apply(self.tls.apply(config))
    }

    /// What the server is to do about users and projects.
    pub(crate) fn tenancy(&self) -> vci_tenancy::Config {
        vci_tenancy::Config {
            bootstrap: self.bootstrap.clone(),
            access_key_max_ttl: self.access_key_max_ttl,
            namespace_prefix: self.project_namespace_prefix.clone(),
        }
    }

    /// What the server is to do about virtual clusters.
    pub(crate) fn gateway(&self) -> vci_gateway::Config {
        vci_gateway::Config { namespace_prefix: self.project_namespace_prefix.clone(), host_cluster: self.clients.kubeconfig.clone() }
    }

    /// Where objects are stored.
    pub(crate) fn store(&self) -> StoreConfig {
        let Etcd { etcd_servers, etcd_prefix, etcd_cafile, etcd_certfile, etcd_keyfile, etcd_compaction_interval } = self.etcd.clone();
        if etcd_servers.is_empty() {
            return StoreConfig::Embedded(self.data_dir.clone());
        }
        StoreConfig::Etcd {
            servers: etcd_servers,
            prefix: etcd_prefix,
            ca: etcd_cafile,
            identity: etcd_certfile.zip(etcd_keyfile),
            compaction_interval: etcd_compaction_interval,
        }
    }

    /// How stored objects are encrypted; `None`: not at all.
    pub(crate) fn encryption(&self) -> Option<EncryptionConfig> {
        let Encryption { encryption_provider_config, encryption_provider_config_automatic_reload } = self.encryption.clone();
        let reload = if encryption_provider_config_automatic_reload { Reload::Automatic } else { Reload::Never };
        encryption_provider_config.map(|file| EncryptionConfig { file, reload })
    }

    /// Where the host cluster is, if the server joins one.
    pub(crate) fn host_cluster(&self) -> Option<&Source> {
        self.clients.kubeconfig.as_ref()
    }

    /// With what the name of a project becomes that of its namespace.
    pub(crate) fn project_namespace_prefix(&self) -> &str {
        &self.project_namespace_prefix
    }
}

impl LogFlags {
    /// How lines on standard error look.
    pub(crate) fn format(&self) -> logging::Format {
        match self.logging_format {
            LoggingFormat::Text => logging::Format::Text,
            LoggingFormat::Json => logging::Format::Json,
        }
    }
}

impl Clients {
    fn trust(&self) -> Trust {
        let standard = RequestHeaderConfig::default();
        let given_or = |given: &Vec<String>, standard| if given.is_empty() { standard } else { given.clone() };
        let config = RequestHeaderConfig {
            allowed_names: self.requestheader_allowed_names.clone(),
            username_headers: given_or(&self.requestheader_username_headers, standard.username_headers),
            uid_headers: given_or(&self.requestheader_uid_headers, standard.uid_headers),
            group_headers: given_or(&self.requestheader_group_headers, standard.group_headers),
            extra_header_prefixes: given_or(&self.requestheader_extra_headers_prefix, standard.extra_header_prefixes),
        };
        let front_proxy = self.requestheader_client_ca_file.clone().map(|authorities| FrontProxyTrust { authorities, config });
        Trust { clients: self.client_ca_file.clone(), front_proxy }
    }
}

/// A prefix with which the name of a project becomes the name of a namespace.
pub(crate) fn namespace_prefix(text: &str) -> Result<String, &'static str> {
    let sane = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
    if text.len() > 32 || text.starts_with('-') || !text.chars().all(sane) {
        return Err("must be at most 32 lower-case letters, digits and '-', and not begin with '-'");
    }
    Ok(text.to_owned())
}

/// clap writes a paragraph; an operator's log wants a line.
fn declined(error: &clap::Error) -> ParseError {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ParseError::Help(text),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            ParseError::Error("nothing to do; try: vci-apiserver serve --help".into())
        }
        _ => {
            let paragraph = text.split("\n\n").next().unwrap_or_default();
            let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            ParseError::Error(format!("{}; see vci-apiserver serve --help", line.strip_prefix("error: ").unwrap_or(&line)))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use apiserver_server::ServingCertificate;

    pub(super) fn parse_serve(args: &[&str]) -> Result<Serve, ParseError> {
        match parse(["vci-apiserver", "serve"].into_iter().chain(args.iter().copied()).map(OsString::from))? {
            Command::Serve(serve) => Ok(*serve),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_flags_everything_has_its_standard() {
        let serve = parse_serve(&[]).unwrap();
        let config = serve.config();
        assert_eq!((config.bind_address, config.secure_port), (IpAddr::from([127, 0, 0, 1]), 8443));
        assert_eq!(config.serving_certificate, ServingCertificate::SelfMade);
        assert_eq!(config.store_use, StoreUse::Alone);
        assert_eq!(serve.tenancy().namespace_prefix, "loft-p-");
        assert_eq!(serve.store(), StoreConfig::Embedded("./data".into()));
    }

    #[test]
    fn flags_reach_the_configuration() {
        let args = "--data-dir /d --bind-address ::1 --secure-port 0 --bootstrap a.yaml --bootstrap b.yaml --project-namespace-prefix p-";
        let serve = parse_serve(&args.split(' ').collect::<Vec<_>>()).unwrap();
        let (config, tenancy) = (serve.config(), serve.tenancy());
        assert_eq!((config.bind_address, config.secure_port), ("::1".parse().unwrap(), 0));
        assert_eq!(tenancy.bootstrap, [PathBuf::from("a.yaml"), "b.yaml".into()]);
        assert_eq!(tenancy.namespace_prefix, "p-");

        let args = "--tls-cert-file c --tls-private-key-file k --etcd-servers https://a:1,https://b:2 --etcd-prefix /x --etcd-cafile ca --etcd-certfile ec --etcd-keyfile ek";
        let serve = parse_serve(&args.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(serve.config().serving_certificate, ServingCertificate::Files { certificate: "c".into(), key: "k".into() });
        assert_eq!(serve.config().store_use, StoreUse::Shared);
        let want = StoreConfig::Etcd {
            servers: vec!["https://a:1".into(), "https://b:2".into()],
            prefix: "/x".into(),
            ca: Some("ca".into()),
            identity: Some(("ec".into(), "ek".into())),
            compaction_interval: Duration::from_secs(300),
        };
        assert_eq!(serve.store(), want);
    }

    #[test]
    fn of_a_flag_given_twice_the_last_one_counts() {
        let args = "--secure-port 1 --shutdown-send-retry-after --shutdown-delay-duration=15s --bootstrap a.yaml --etcd-servers http://a \
            --secure-port=2 --shutdown-send-retry-after --shutdown-delay-duration=10s --bootstrap b.yaml --etcd-servers http://b";
        let serve = parse_serve(&args.split_whitespace().collect::<Vec<_>>()).unwrap();
        let (config, tenancy) = (serve.config(), serve.tenancy());
        assert_eq!((config.secure_port, config.shutdown.delay), (2, Duration::from_secs(10)));
        // A list is as long as what is said of it.
        assert_eq!(tenancy.bootstrap, [PathBuf::from("a.yaml"), "b.yaml".into()]);
        assert!(matches!(serve.store(), StoreConfig::Etcd { servers, .. } if servers == ["http://a", "http://b"]));
    }

    #[test]
    fn no_flag_of_any_command_is_refused_for_being_given_twice() {
        use clap::CommandFactory as _;
        use clap::error::ErrorKind;
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments().filter(|argument| argument.get_long() != Some("help")) {
                let flag = format!("--{}", argument.get_long().unwrap());
                let words = if argument.get_action().takes_values() { vec![format!("{flag}=1")] } else { vec![flag] };
                let line = ["vci-apiserver", command.get_name()].into_iter().map(str::to_owned).chain(words.clone()).chain(words);
                let refused = Cli::command().try_get_matches_from(line).err().map(|error| error.kind());
                assert_ne!(refused, Some(ErrorKind::ArgumentConflict), "{argument}");
            }
        }
    }

    #[test]
    fn objects_are_encrypted_when_a_file_says_how() {
        assert_eq!(parse_serve(&[]).unwrap().encryption(), None);
        for (flags, reload) in [(&[][..], Reload::Never), (&["--encryption-provider-config-automatic-reload"], Reload::Automatic)] {
            let args = [&["--encryption-provider-config", "f"], flags].concat();
            assert_eq!(parse_serve(&args).unwrap().encryption(), Some(EncryptionConfig { file: "f".into(), reload }));
        }
    }

    #[test]
    fn whom_to_trust_is_nobody_unless_said() {
        assert_eq!(parse_serve(&[]).unwrap().config().trust, Trust::default());
        let args =
            "--client-ca-file c --requestheader-client-ca-file p --requestheader-allowed-names a,b --requestheader-username-headers X-U";
        let trust = parse_serve(&args.split(' ').collect::<Vec<_>>()).unwrap().config().trust;
        let config = RequestHeaderConfig {
            allowed_names: vec!["a".into(), "b".into()],
            username_headers: vec!["X-U".into()],
            ..RequestHeaderConfig::default()
        };
        let front_proxy = FrontProxyTrust { authorities: "p".into(), config };
        assert_eq!(trust, Trust { clients: Some("c".into()), front_proxy: Some(front_proxy) });
    }

    #[test]
    fn what_cannot_be_followed_is_one_line_that_names_it() {
        let cases: &[(&[&str], &str)] = &[
            (&["--nonsense"], "--nonsense"),
            (&["--secure-port", "70000"], "70000"),
            (&["--secure-port"], "--secure-port"),
            (&["--bind-address", "everywhere"], "everywhere"),
            (&["--tls-cert-file", "c"], "--tls-private-key-file"),
            (&["--etcd-cafile", "c"], "--etcd-servers"),
            (&["--etcd-servers", "http://a", "--etcd-certfile", "c"], "--etcd-keyfile"),
            (&["--encryption-provider-config-automatic-reload"], "--encryption-provider-config"),
            (&["--logging-format", "xml"], "xml"),
            (&["--log-level", "loud"], "loud"),
            (&["--project-namespace-prefix", "Not Valid/"], "lower-case letters"),
            (&["--project-namespace-prefix=-p"], "lower-case letters"),
            (&["surplus"], "surplus"),
            (&["--requestheader-allowed-names", "n"], "--requestheader-client-ca-file"),
            (&["--requestheader-extra-headers-prefix", "X-"], "--requestheader-client-ca-file"),
            (&["--audit-log-path", "-"], "--audit-policy-file"),
            (&["--audit-policy-file", "p"], "--audit-log-path"),
            (&["--audit-log-mode", "never"], "never"),
            (&["--kubeconfig"], "--kubeconfig"),
        ];
        for (args, named) in cases {
            let Err(ParseError::Error(line)) = parse_serve(args) else { panic!("{args:?} is followed") };
            assert!(line.contains(named) && !line.contains('\n'), "{args:?}: {line}");
        }
        assert!(matches!(parse(["vci-apiserver".into()]), Err(ParseError::Error(line)) if line.contains("serve --help")));
        assert!(matches!(parse_serve(&["--help"]), Err(ParseError::Help(text)) if text.contains("VCI_DATA_DIR")));
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        use clap::CommandFactory as _;
        let cli = Cli::command();
        let arguments = cli.get_subcommands().flat_map(clap::Command::get_arguments);
        for flag in arguments.filter_map(|arg| Some((arg.get_long()?, arg.get_env()))) {
            let want = format!("VCI_{}", flag.0.to_uppercase().replace('-', "_"));
            assert_eq!(flag.1.and_then(|env| env.to_str()), Some(want.as_str()), "--{}", flag.0);
        }
    }
}
