//! `vci-apiserver render`: what an instance would get from a template, for its author.

use apiserver_server::logging;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use vci_controller::template::command::{RenderOptions, render_command};
use vci_controller::template::values::InstanceFacts;

/// The flags of `render`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Render {
    /// A YAML file with a VirtualClusterTemplate.
    #[arg(short, long, env = "VCI_FILE", value_name = "FILE")]
    file: PathBuf,
    /// A parameter of the template; may be repeated. Wins over the file of parameters.
    #[arg(long, env = "VCI_SET", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A YAML file with parameters, as an instance has them in spec.parameters.
    #[arg(long, env = "VCI_PARAMETERS", value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// The version of the template, such as 1.2.x; the highest one when left out.
    #[arg(long, env = "VCI_VERSION", value_name = "VERSION", default_value = "")]
    version: String,
    /// The name of the instance.
    #[arg(long, env = "VCI_NAME", value_name = "NAME", default_value = "my-virtual-cluster")]
    name: String,
    /// The project of the instance.
    #[arg(long, env = "VCI_PROJECT", value_name = "NAME", default_value = "my-project")]
    project: String,
    /// The user who owns the instance.
    #[arg(long, env = "VCI_USER", value_name = "NAME", default_value = "")]
    user: String,
    /// The team that owns the instance.
    #[arg(long, env = "VCI_TEAM", value_name = "NAME", default_value = "")]
    team: String,
    /// The host cluster.
    #[arg(long, env = "VCI_CLUSTER", value_name = "NAME", default_value = "loft-cluster")]
    cluster: String,
    /// The helm program, version 3.
    #[arg(long, env = "VCI_HELM", value_name = "PATH", default_value = "helm")]
    helm: PathBuf,
}

impl Render {
    fn options(&self) -> RenderOptions {
        let facts = InstanceFacts {
            name: self.name.clone(),
            project: self.project.clone(),
            space: format!("loft-p-{}", self.project),
            cluster: self.cluster.clone(),
            virtual_cluster_name: self.name.clone(),
            virtual_cluster_namespace: format!("loft-{}-v-{}", self.project, self.name),
            user: self.user.clone(),
            team: self.team.clone(),
            ..InstanceFacts::default()
        };
        RenderOptions {
            template: self.file.clone(),
            version: self.version.clone(),
            parameters: self.parameters.clone(),
            set: self.set.clone(),
            facts,
            helm: self.helm.clone(),
        }
    }
}

/// Prints what was rendered, and tells of mistakes that did not prevent it.
pub(crate) fn run(args: &Render) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return crate::refuse(&error.to_string()),
    };
    match runtime.block_on(render_command(&args.options())) {
        Ok(rendered) => {
            for warning in &rendered.warnings {
                logging::complain(logging::Format::Text, &format!("warning: {warning}"));
            }
            crate::say(&rendered.yaml)
        }
        Err(line) => crate::refuse(&line),
    }
}
