//! Services and tasks: what runs, and what belongs to the present version.

use super::types::{PublishedPort, Service, ServiceMode, Task, TaskState};
use super::{Docker, explain};
use crate::bareword::{StackName, path_segment};
use crate::error::Result;
use bollard::models;
use bollard::query_parameters::{ListServicesOptions, ListTasksOptions};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

impl Docker {
    /// The services of one stack, or of the whole swarm, with the numbers of their tasks.
    pub async fn services(&self, stack: Option<&StackName>) -> Result<Vec<Service>> {
        let options = ListServicesOptions { filters: stack_filter(stack), status: Some(true) };
        let services = self.api.list_services(Some(options)).await.map_err(explain)?;
        Ok(services.into_iter().map(Service::from).collect())
    }

    /// The tasks of one stack, or of the whole swarm, the finished ones that the swarm still remembers included.
    pub async fn tasks(&self, stack: Option<&StackName>) -> Result<Vec<Task>> {
        let options = ListTasksOptions { filters: stack_filter(stack) };
        let tasks = self.api.list_tasks(Some(options)).await.map_err(explain)?;
        Ok(tasks.into_iter().map(Task::from).collect())
    }

    pub async fn service_remove(&self, id: &str) -> Result<()> {
        path_segment("the service id", id)?;
        match self.api.delete_service(id).await.map_err(explain) {
            Err(crate::Error::Docker { status: 404, .. }) => Ok(()),
            other => other,
        }
    }
}

pub(super) fn stack_filter(stack: Option<&StackName>) -> Option<HashMap<String, Vec<String>>> {
    stack.map(|name| HashMap::from([("label".to_owned(), vec![format!("com.docker.stack.namespace={name}")])]))
}

/// The same for a service's template and for a task made from it, whatever the order of their maps.
fn digest(spec: Option<&models::TaskSpec>) -> String {
    fn sorted(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => {
                let mut entries: Vec<_> = map.into_iter().filter(|(_, v)| !v.is_null()).collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.into_iter().map(|(k, v)| (k, sorted(v))).collect()
            }
            serde_json::Value::Array(list) => list.into_iter().map(sorted).collect(),
            other => other,
        }
    }
    // Only a service's template says which runtime it is for. A task on a node that still fits stays when nothing but the
    // placement changes (a repeated deploy leaves out the platforms that the registry told the first one), so it belongs.
    let spec = spec.map(|s| models::TaskSpec { runtime: None, placement: None, ..s.clone() });
    let value = serde_json::to_value(spec).map(sorted).unwrap_or_default();
    hex::encode(Sha256::digest(value.to_string()))
}

fn image_of(spec: Option<&models::TaskSpec>) -> String {
    spec.and_then(|s| s.container_spec.as_ref()).and_then(|c| c.image.clone()).unwrap_or_default()
}

impl From<models::Service> for Service {
    fn from(s: models::Service) -> Self {
        let spec = s.spec.unwrap_or_default();
        let template = spec.task_template.as_ref();
        let status = s.service_status.unwrap_or_default();
        let count = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        let mode = match spec.mode.unwrap_or_default() {
            models::ServiceSpecMode { global: Some(_), .. } => ServiceMode::Global,
            models::ServiceSpecMode { global_job: Some(_), .. } => ServiceMode::GlobalJob,
            models::ServiceSpecMode { replicated_job: Some(job), .. } => {
                ServiceMode::ReplicatedJob(count(job.total_completions))
            }
            models::ServiceSpecMode { replicated, .. } => {
                ServiceMode::Replicated(count(replicated.and_then(|r| r.replicas)))
            }
        };
        Self {
            id: s.id.unwrap_or_default(),
            name: spec.name.unwrap_or_default(),
            version: s.version.and_then(|v| v.index).unwrap_or_default(),
            labels: spec.labels.unwrap_or_default().into_iter().collect(),
            image: image_of(template),
            mode,
            constraints: template
                .and_then(|t| t.placement.as_ref())
                .and_then(|p| p.constraints.clone())
                .unwrap_or_default(),
            ports: ports(spec.endpoint_spec),
            template_digest: digest(template),
            update_state: s.update_status.as_ref().and_then(|u| u.state.as_ref()).map(ToString::to_string),
            update_message: s.update_status.and_then(|u| u.message),
            running_tasks: status.running_tasks.unwrap_or_default(),
            desired_tasks: status.desired_tasks.unwrap_or_default(),
            completed_tasks: status.completed_tasks.unwrap_or_default(),
        }
    }
}

fn ports(spec: Option<models::EndpointSpec>) -> Vec<PublishedPort> {
    let port = |n: Option<i64>| n.and_then(|n| u16::try_from(n).ok()).unwrap_or_default();
    spec.and_then(|s| s.ports)
        .unwrap_or_default()
        .into_iter()
        .map(|p| PublishedPort {
            protocol: p.protocol.map(|p| p.to_string()).unwrap_or_default(),
            target: port(p.target_port),
            published: port(p.published_port),
            mode: p.publish_mode.map(|m| m.to_string()).unwrap_or_default(),
        })
        .collect()
}

impl From<models::Task> for Task {
    fn from(t: models::Task) -> Self {
        let status = t.status.unwrap_or_default();
        let container = status.container_status.unwrap_or_default();
        Self {
            id: t.id.unwrap_or_default(),
            service_id: t.service_id.unwrap_or_default(),
            slot: t.slot.filter(|s| *s != 0),
            node_id: t.node_id.unwrap_or_default(),
            state: status.state.map_or(TaskState::New, TaskState::from),
            desired_state: t.desired_state.map_or(TaskState::New, TaskState::from),
            message: status.message.unwrap_or_default(),
            error: status.err.unwrap_or_default(),
            exit_code: container.exit_code,
            container_id: container.container_id.filter(|id| !id.is_empty()),
            image: image_of(t.spec.as_ref()),
            spec_digest: digest(t.spec.as_ref()),
            created_at: t.created_at.unwrap_or_default(),
            state_since: status.timestamp.unwrap_or_default(),
        }
    }
}

impl From<models::TaskState> for TaskState {
    fn from(s: models::TaskState) -> Self {
        use models::TaskState as S;
        match s {
            S::NEW => Self::New,
            S::ALLOCATED => Self::Allocated,
            S::PENDING => Self::Pending,
            S::ASSIGNED => Self::Assigned,
            S::ACCEPTED => Self::Accepted,
            S::PREPARING => Self::Preparing,
            S::READY => Self::Ready,
            S::STARTING => Self::Starting,
            S::RUNNING => Self::Running,
            S::COMPLETE => Self::Complete,
            S::SHUTDOWN => Self::Shutdown,
            S::FAILED => Self::Failed,
            S::REJECTED => Self::Rejected,
            S::REMOVE => Self::Remove,
            S::ORPHANED => Self::Orphaned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_and_its_service_have_the_same_digest_whatever_the_order_of_maps() {
        let spec = |text: &str| serde_json::from_str::<models::TaskSpec>(text).expect("a task spec");
        let a = spec(
            r#"{"ContainerSpec":{"Image":"web:v1","Labels":{"a":"1","b":"2","c":"3"}},"ForceUpdate":0,"Runtime":"container"}"#,
        );
        let b = spec(r#"{"ForceUpdate":0,"ContainerSpec":{"Labels":{"c":"3","a":"1","b":"2"},"Image":"web:v1"}}"#);
        let other = spec(r#"{"ContainerSpec":{"Image":"web:v2"},"ForceUpdate":0}"#);
        assert_eq!(digest(Some(&a)), digest(Some(&b)));
        assert_ne!(digest(Some(&a)), digest(Some(&other)));
    }

    #[test]
    fn a_service_as_the_engine_sends_it_is_read() {
        let service: models::Service = serde_json::from_str(
            r#"{"ID":"s1","Version":{"Index":42},"Spec":{"Name":"shop_web","Labels":{"com.docker.stack.namespace":"shop"},
            "TaskTemplate":{"ContainerSpec":{"Image":"web:v1"},"Placement":{"Constraints":["node.role==worker"]}},
            "Mode":{"Replicated":{"Replicas":3}},
            "EndpointSpec":{"Mode":"dnsrr","Ports":[{"Protocol":"tcp","TargetPort":80,"PublishedPort":8080,"PublishMode":"host"}]}},
            "UpdateStatus":{"State":"rollback_completed","Message":"rollback completed"},
            "ServiceStatus":{"RunningTasks":2,"DesiredTasks":3,"CompletedTasks":0}}"#,
        )
        .expect("a service");
        let service = Service::from(service);
        assert_eq!((service.version, service.mode), (42, ServiceMode::Replicated(3)));
        assert_eq!(service.update_state.as_deref(), Some("rollback_completed"));
        assert_eq!(service.constraints, ["node.role==worker"]);
        assert_eq!((service.ports[0].published, service.ports[0].mode.as_str()), (8080, "host"));
        assert_eq!((service.running_tasks, service.desired_tasks), (2, 3));
    }

    #[test]
    fn a_failed_task_says_why() {
        let task: models::Task = serde_json::from_str(
            r#"{"ID":"t1","ServiceID":"s1","Slot":2,"NodeID":"n1","DesiredState":"shutdown","Status":{"State":"failed",
            "Message":"started","Err":"task: non-zero exit (3)","ContainerStatus":{"ContainerID":"c1","PID":0,"ExitCode":3}}}"#,
        )
        .expect("a task");
        let task = Task::from(task);
        assert!(task.state.is_over() && task.desired_state.is_over());
        assert_eq!((task.exit_code, task.error.as_str()), (Some(3), "task: non-zero exit (3)"));
        assert_eq!(task.slot, Some(2));
    }
}
