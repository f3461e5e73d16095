"""Runs the Kubernetes client for Python against a server, for the tests.

    client.py crud KUBECONFIG NAMESPACE      every verb and patch type, a watch and its resumption; says "good"
    client.py inform KUBECONFIG NAMESPACE    list and watch, for ever; says "ready", then answers each line on
                                             standard input with a line of JSON: names with resourceVersions
"""

import json
import sys
import threading
import time

import kubernetes
from kubernetes import client, dynamic, watch
from kubernetes.client.exceptions import ApiException

GROUP, VERSION, PLURAL = "management.loft.sh", "v1", "virtualclusterinstances"


def instance(name):
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "VirtualClusterInstance",
        "metadata": {"name": name},
        "spec": {"displayName": name, "templateRef": {"name": "t"}},
    }


def refused(code, call):
    try:
        call()
    except ApiException as error:
        assert error.status == code, error
        return json.loads(error.body)
    raise AssertionError(f"want {code}")


def crud(namespace):
    api = client.CustomObjectsApi()
    where = (GROUP, VERSION, namespace, PLURAL)

    made = api.create_namespaced_custom_object(*where, instance("py"))
    assert made["metadata"]["uid"]
    refused(409, lambda: api.create_namespaced_custom_object(*where, instance("py")))
    assert api.get_namespaced_custom_object(*where, "py") == made

    api.patch_namespaced_custom_object(*where, "py", {"spec": {"description": "merged"}})
    operations = [{"op": "add", "path": "/metadata/annotations/a", "value": "b"}]
    patched = api.patch_namespaced_custom_object(*where, "py", operations, _content_type="application/json-patch+json")
    assert (patched["spec"]["description"], patched["metadata"]["annotations"]) == ("merged", {"a": "b"})
    stale = made | {"spec": made["spec"] | {"description": "stale"}}
    assert refused(409, lambda: api.replace_namespaced_custom_object(*where, "py", stale))["reason"] == "Conflict"
    patched["spec"]["description"] = "replaced"
    replaced = api.replace_namespaced_custom_object(*where, "py", patched)
    assert (replaced["spec"]["description"], replaced["metadata"]["generation"]) == ("replaced", 3)
    status = api.patch_namespaced_custom_object_status(*where, "py", {"status": {"phase": "Ready"}})
    assert (status["status"], status["metadata"]["generation"]) == ({"phase": "Ready"}, 3)

    by_discovery(namespace)
    follow(api, where)
    pages(api, where)
    gone = api.delete_collection_namespaced_custom_object(*where)
    assert gone["kind"] == "VirtualClusterInstanceList", gone
    assert api.list_namespaced_custom_object(*where)["items"] == []
    refused(404, lambda: api.get_namespaced_custom_object(*where, "py"))


def by_discovery(namespace):
    """The dynamic client: finds the kind by discovery and applies on the server's side."""
    found = dynamic.DynamicClient(client.ApiClient())
    instances = found.resources.get(api_version=f"{GROUP}/{VERSION}", kind="VirtualClusterInstance")
    assert instances.namespaced and "patch" in instances.verbs
    applied = instances.server_side_apply(body=instance("applied"), namespace=namespace, field_manager="py")
    assert applied.metadata.managedFields[0].operation == "Apply"
    for content_type in ["application/strategic-merge-patch+json", "application/merge-patch+json"]:
        body = {"metadata": {"labels": {"type": content_type.split("-")[0].split("/")[1]}}}
        instances.patch(name="applied", namespace=namespace, body=body, content_type=content_type)
    assert instances.get(name="applied", namespace=namespace, label_selector="type=merge").metadata.labels.type == "merge"
    instances.delete(name="applied", namespace=namespace)
    projects = found.resources.get(api_version=f"{GROUP}/{VERSION}", kind="Project")
    assert "my-project" in [project.metadata.name for project in projects.get().items]


def follow(api, where):
    """A watch, ended by its client, goes on where it was."""
    version = api.list_namespaced_custom_object(*where)["metadata"]["resourceVersion"]
    for name in ["w1", "w2", "w3"]:
        api.create_namespaced_custom_object(*where, instance(name))
    told = []
    for count in [1, 2]:
        stream = watch.Watch()
        for event in stream.stream(api.list_namespaced_custom_object, *where, resource_version=version, timeout_seconds=20):
            told.append((event["type"], event["object"]["metadata"]["name"]))
            version = event["object"]["metadata"]["resourceVersion"]
            count -= 1
            if count == 0:
                break
        stream.stop()
    assert told == [("ADDED", "w1"), ("ADDED", "w2"), ("ADDED", "w3")], told


def pages(api, where):
    names, token = [], None
    while token != "":
        page = api.list_namespaced_custom_object(*where, limit=3, _continue=token)
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
    assert names == ["py", "w1", "w2", "w3"], names


class Informer(threading.Thread):
    """List, watch, and list again when the server has forgotten where the watch was."""

    def __init__(self, namespace):
        super().__init__(daemon=True)
        self.where = (GROUP, VERSION, namespace, PLURAL)
        self.known, self.reached, self.lists, self.synced = {}, None, 0, threading.Event()

    def run(self):
        while True:
            try:
                if self.reached is None:
                    self.list()
                self.watch()
            except ApiException as error:
                if error.status == 410:
                    self.reached = None
            except Exception:  # The connection broke, in one of the many ways that this client has for it.
                pass
            time.sleep(0.05)

    def list(self):
        answer = client.CustomObjectsApi().list_namespaced_custom_object(*self.where)
        self.known = {name(item): item["metadata"]["resourceVersion"] for item in answer["items"]}
        self.lists += 1
        self.synced.set()
        self.reached = answer["metadata"]["resourceVersion"]

    def watch(self):
        answer = client.CustomObjectsApi().list_namespaced_custom_object(
            *self.where, resource_version=self.reached, watch=True, allow_watch_bookmarks=True, _preload_content=False
        )
        for line in watch.watch.iter_resp_lines(answer):
            event = json.loads(line)
            item = event["object"]
            if event["type"] == "ERROR":
                raise ApiException(status=item["code"])
            self.reached = item["metadata"]["resourceVersion"]
            if event["type"] == "DELETED":
                self.known.pop(name(item), None)
            elif event["type"] != "BOOKMARK":
                self.known[name(item)] = item["metadata"]["resourceVersion"]


def name(item):
    return item["metadata"]["name"]


def inform(namespace):
    informer = Informer(namespace)
    informer.start()
    assert informer.synced.wait(30), "not synced"
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps({"python": {"objects": dict(informer.known), "lists": informer.lists}}), flush=True)


if __name__ == "__main__":
    command, kubeconfig, namespace = sys.argv[1:]
    kubernetes.config.load_kube_config(kubeconfig)
    if command == "crud":
        crud(namespace)
        print("good")
    else:
        inform(namespace)
