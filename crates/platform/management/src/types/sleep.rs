//! Sleep mode: how an unused virtual cluster is put to sleep and deleted.

use super::{is_false, is_zero};
use apiserver_meta::types::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The sleep mode of a virtual cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.SleepModeConfig"))]
pub struct SleepModeConfig {
    /// Standard metadata.
    pub metadata: ObjectMeta,
    /// The settings.
    pub spec: SleepModeConfigSpec,
    /// What is known.
    pub status: SleepModeConfigStatus,
}

/// The settings of sleep mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.SleepModeConfigSpec"))]
pub struct SleepModeConfigSpec {
    /// Whether the virtual cluster sleeps whatever happens, until this is taken back.
    #[serde(skip_serializing_if = "is_false")]
    pub force_sleep: bool,
    /// For how many seconds the virtual cluster sleeps whatever happens; 0: until it is woken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_sleep_duration: Option<i64>,
    /// After how many seconds without activity the virtual cluster is deleted.
    #[serde(skip_serializing_if = "is_zero")]
    pub delete_after: i64,
    /// After how many seconds without activity the virtual cluster is put to sleep.
    #[serde(skip_serializing_if = "is_zero")]
    pub sleep_after: i64,
    /// When the virtual cluster is put to sleep, as a cron expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sleep_schedule: String,
    /// When the virtual cluster is woken, as a cron expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wakeup_schedule: String,
    /// The time zone of the schedules.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timezone: String,
    /// Whether connections that stay open count as no activity.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_active_connections: bool,
    /// Whether nothing counts as activity.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_all: bool,
    /// Whether requests through ingresses count as no activity.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_ingresses: bool,
    /// Whether requests to virtual clusters count as no activity.
    #[serde(rename = "ignoreVClusters", skip_serializing_if = "is_false")]
    pub ignore_vclusters: bool,
    /// Groups whose requests count as no activity, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ignore_groups: String,
    /// Verbs that count as no activity, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ignore_verbs: String,
    /// Resources that requests to count as no activity, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ignore_resources: String,
    /// Verbs on resources that count as no activity, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ignore_resource_verbs: String,
    /// Names of resources that requests to count as no activity, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ignore_resource_names: String,
    /// User agents whose requests count as no activity, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ignore_user_agents: String,
}

/// What is known of sleep mode. Times are Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.SleepModeConfigStatus"))]
pub struct SleepModeConfigStatus {
    /// When the virtual cluster was last used.
    #[serde(skip_serializing_if = "is_zero")]
    pub last_activity: i64,
    /// The request that last used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_activity_info: Option<LastActivityInfo>,
    /// Since when it sleeps; absent while it is awake.
    #[serde(skip_serializing_if = "is_zero")]
    pub sleeping_since: i64,
    /// The present span of time over which sleep is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_epoch: Option<Epoch>,
    /// The span of time before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_epoch: Option<Epoch>,
    /// How much of the last thirty days it slept, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slept_last_thirty_days: Option<f64>,
    /// How much of the last seven days it slept, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slept_last_seven_days: Option<f64>,
    /// When it will be put to sleep by its schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_sleep: Option<i64>,
    /// When it will be woken by its schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_wakeup: Option<i64>,
    /// Why it sleeps: `inactivitySleep`, `forcedSleep`, `forcedDurationSleep` or `scheduledSleep`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sleep_type: String,
}

/// The request that last used a virtual cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.LastActivityInfo"))]
pub struct LastActivityInfo {
    /// Who sent it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The host that it was sent to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Its verb.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verb: String,
    /// The API group of the resource that it was for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    /// The resource that it was for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// The subresource that it was for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// The name of the object that it was for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The virtual cluster that it was for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub virtual_cluster: String,
    /// How often metrics are read, in seconds, where activity is learned from them.
    #[serde(skip_serializing_if = "is_zero")]
    pub metrics_refresh_interval: i64,
}

/// A span of time, and how much of it was slept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "sh.loft.management.v1.EpochInfo"))]
pub struct Epoch {
    /// When the span began, in Unix seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub start: i64,
    /// How many seconds of it were slept.
    #[serde(skip_serializing_if = "is_zero")]
    pub slept: i64,
}
