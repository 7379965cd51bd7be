"""The answers to the client's queries; a query that is not known is an error that names it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.wandb_server import artifacts
from tests.wandb_server.cloud import ENTITY, NOW, Cloud, Json, Run, Sweep, Unknown

OWNER = {"id": ENTITY, "name": ENTITY}
VIEWER = {"id": "u", "entity": ENTITY, "username": ENTITY, "name": ENTITY, "email": "", "flags": "{}",
          "teams": {"edges": []}, "apiKeys": {"edges": []}}  # fmt: skip


def answer(cloud: Cloud, query: str, given: Json) -> Json:
    """The data of one query."""
    for part, reply in REPLIES.items():
        if part in query:
            return reply(cloud, given)
    if "viewer" in query or "serverInfo" in query or "organization" in query:
        return {"viewer": VIEWER, "entity": None, "serverInfo": None}
    raise Unknown(400, f"this loopback server does not know the query {query.split('(')[0].strip()!r}")


# Logging a run


def upsert_bucket(cloud: Cloud, given: Json) -> Json:
    if given["name"] in cloud.deleted:
        raise Unknown(409, f"run {given['name']} was previously created and deleted; try a new run name")
    known = given["name"] in cloud.runs
    run = cloud.runs.setdefault(given["name"], Run(given["name"], given.get("project") or ""))
    run.fields |= {key: value for key, value in given.items() if value is not None}
    run.fields.setdefault("createdAt", NOW)
    if run.exit_code is not None:  # it is resumed
        run.should_stop = False
    run.started, run.exit_code = True, None
    project = {"id": "p", "name": run.project, "entity": OWNER}
    bucket = {"id": run.id, "name": run.id, "displayName": run.fields.get("displayName"), "description": "",
              "config": run.fields.get("config"), "sweepName": run.fields.get("sweep"), "project": project,
              "historyLineCount": len(run.history)}  # fmt: skip
    return {"upsertBucket": {"bucket": bucket, "inserted": not known}}


def alert(cloud: Cloud, given: Json) -> Json:
    cloud.runs[given["runName"]].alerts.append((given["title"], given["text"]))
    return {"notifyScriptableRunAlert": {"success": True}}


def resume_status(cloud: Cloud, given: Json) -> Json:
    run = cloud.runs.get(given["name"])
    return {"model": {"id": "p", "name": given["project"], "entity": OWNER, "bucket": run and _resume(run)}}


def _resume(run: Run) -> Json:
    counts = {"historyLineCount": len(run.history), "eventsLineCount": len(run.events), "logLineCount": 0}
    tails = {"historyTail": json.dumps(run.history[-1:]), "eventsTail": json.dumps(run.events[-1:])}
    own = json.loads(run.fields.get("config") or "{}").get("_wandb", {}).get("value", {})
    kept = {name: run.fields.get(name) for name in ("displayName", "config", "tags")}
    about = {"id": run.id, "name": run.id, "notes": run.fields.get("notes"), "summaryMetrics": run.summary}
    begun = {"t": own["t"]} if "t" in own else {}  # a run that a sweep made but nobody began has none
    return {**about, **kept, **counts, **tails, "wandbConfig": json.dumps(begun)}


def create_run_files(cloud: Cloud, given: Json) -> Json:
    uploads = [{"name": name, "uploadUrl": _url(cloud, given["run"], name)} for name in given["files"]]
    return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": uploads}}


# Sweeps and agents


def upsert_sweep(cloud: Cloud, given: Json) -> Json:
    if given.get("state"):
        cloud.sweeps[given["id"]].state = given["state"]
        return {"upsertSweep": {"sweep": {"name": given["id"]}}}
    sweep = cloud.add_sweep(given["config"], given.get("projectName") or "uncategorized")
    about = {"name": sweep.id, "project": {"id": "p", "name": sweep.project, "entity": OWNER}}
    return {"upsertSweep": {"sweep": about, "configValidationWarnings": []}}


def sweep_with_runs(cloud: Cloud, given: Json) -> Json:
    sweep = cloud.sweeps.get(given.get("sweep") or given.get("name") or "")
    return {"project": {"sweep": sweep and _sweep(sweep)}}


def _sweep(sweep: Sweep) -> Json:
    edges = [{"node": _stop(run) | {"state": run.state, "config": run.fields.get("config")}} for run in sweep.runs]
    about = {"id": sweep.id, "name": sweep.id, "method": "grid", "state": sweep.state, "config": sweep.config}
    return about | {"runs": {"edges": edges}, "createdAt": NOW, "description": "", "displayName": sweep.id}


def _stop(run: Run) -> Json:
    is_over = run.state not in ("pending", "running")
    return {"name": run.id, "shouldStop": run.should_stop, "stopped": run.should_stop and is_over}


def stop_run(cloud: Cloud, given: Json) -> Json:
    cloud.runs[given["id"]].should_stop = True
    return {"stopRun": {"success": True}}


def run_stop(cloud: Cloud, given: Json) -> Json:
    return {"project": {"run": _stop(cloud.runs[given["run"]])}}


def create_agent(cloud: Cloud, given: Json) -> Json:
    agent = f"agent{len(cloud.agents)}"
    cloud.agents[agent] = cloud.sweeps[given["sweep"]]
    return {"createAgent": {"agent": {"id": agent}}}


def heartbeat(cloud: Cloud, given: Json) -> Json:
    commands = cloud.heartbeat(given["id"], json.loads(given["runState"]))
    return {"agentHeartbeat": {"agent": {"id": given["id"]}, "commands": json.dumps(commands)}}


# Reading runs back


def runs(cloud: Cloud, given: Json) -> Json:
    found = [run for run in cloud.runs.values() if run.project == given["project"]]
    first, size = int(given.get("cursor") or 0), given.get("perPage") or 50
    edges = [{"node": _run(run), "cursor": str(first + i + 1)} for i, run in enumerate(found[first : first + size])]
    page = {"endCursor": str(first + len(edges)), "hasNextPage": first + len(edges) < len(found)}
    project = {"internalId": 1, "runCount": len(found), "readOnly": False, "runs": {"edges": edges, "pageInfo": page}}
    return {"project": project if found or any(s.project == given["project"] for s in cloud.sweeps.values()) else None}


def run(cloud: Cloud, given: Json) -> Json:
    found = cloud.runs.get(given["name"])
    return {"project": {"internalId": 1, "run": found and _run(found)}}


def _run(run: Run) -> Json:
    last = max((row.get("_step", 0) for row in run.rows[-1:]), default=-1)
    fields = {name: run.fields.get(name) for name in ("displayName", "tags", "config", "jobType", "createdAt")}
    about = {"id": run.id, "name": run.id, "projectId": 1, "sweepName": run.fields.get("sweep"), "state": run.state}
    counted = {"historyLineCount": len(run.history), "historyKeys": {"lastStep": last, "keys": {}, "sets": []}}
    unused = {"commit": None, "readOnly": False, "description": "", "systemMetrics": "{}"}
    unused |= {"notes": run.fields.get("notes")}
    who = {"user": {"name": ENTITY, "username": ENTITY}, "group": run.fields.get("groupName")}
    return about | fields | counted | unused | who | {"summaryMetrics": run.summary, "heartbeatAt": None}


def history_keys(cloud: Cloud, given: Json) -> Json:
    return {"project": {"run": {"historyKeys": _run(cloud.runs[given["name"]])["historyKeys"]}}}


def parquet_history(cloud: Cloud, given: Json) -> Json:
    return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}


def history_page(cloud: Cloud, given: Json) -> Json:
    if given["run"] in cloud.forbidden:
        raise Unknown(403, "permission denied")
    found = cloud.runs[given["run"]]
    lines = [line for line in found.history if given["minStep"] <= json.loads(line)["_step"] < given["maxStep"]]
    return {"project": {"run": {"history": lines[:-1] if given["run"] in cloud.truncated else lines}}}


def run_files(cloud: Cloud, given: Json) -> Json:
    files = cloud.runs[given["name"]].files
    wanted = {name.removeprefix("./") for name in given.get("fileNames") or files}
    edges = [
        {"node": _file(_url(cloud, given["name"], name), name, files[name]), "cursor": name}
        for name in files
        if name in wanted
    ]
    page = {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}
    return {"project": {"internalId": 1, "run": {"fileCount": len(edges), "files": page}}}


def _url(cloud: Cloud, run: str, name: str) -> str:
    return f"{cloud.address}/upload/{run}/{name}"


def _file(url: str, name: str, content: bytes) -> Json:
    about = {"id": name, "name": name, "url": url, "directUrl": url, "sizeBytes": len(content)}
    return about | {"mimetype": "", "updatedAt": NOW, "md5": ""}


# Saved views: workspaces and reports


def upsert_view(cloud: Cloud, given: Json) -> Json:
    known = given.get("id") or base64.b64encode(f"View:{len(cloud.views):04}".encode()).decode()
    inserted = known not in cloud.views
    cloud.views[known] = cloud.views.get(known, {}) | given | {"id": known}
    return {"upsertView": {"view": _view(cloud.views[known]), "inserted": inserted}}


def views(cloud: Cloud, given: Json) -> Json:
    wanted = [("type", given.get("viewType")), ("name", given.get("viewName"))]
    found = [
        view for view in cloud.views.values() if all(value is None or view.get(key) == value for key, value in wanted)
    ]
    nodes = [{"node": _view(view), "cursor": view["id"]} for view in found]
    return {"project": {"allViews": {"edges": nodes, "pageInfo": {"endCursor": None, "hasNextPage": False}}}}


def _view(view: Json) -> Json:
    about = {key: view.get(key) for key in ("id", "type", "name", "displayName", "description", "spec")}
    about["project"] = {"id": "p", "name": view["projectName"], "entityName": view["entityName"]}
    return about | {"updatedAt": NOW, "createdAt": NOW, "user": {"name": ENTITY, "username": ENTITY}}


def view(cloud: Cloud, given: Json) -> Json:
    return {"view": _view(cloud.views[given["reportId"]])}


def projects(cloud: Cloud, given: Json) -> Json:
    names = {run.project for run in cloud.runs.values()}
    about = {"entityName": ENTITY, "createdAt": NOW, "isBenchmark": False, "user": None}
    edges = [{"node": about | {"id": name, "name": name}} for name in sorted(names)]
    page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
    return {"models": {"pageInfo": page, "edges": edges}}


def project(cloud: Cloud, given: Json) -> Json:
    return {"project": {"id": "p", "internalId": 1, "name": given.get("projectName") or given.get("name")}}


REPLIES: dict[str, Callable[[Cloud, Json], Any]] = {
    "upsertBucket(": upsert_bucket,
    "query RunResumeStatus": resume_status,
    "createRunFiles(": create_run_files,
    "notifyScriptableRunAlert(": alert,
    "upsertSweep(": upsert_sweep,
    "mutation StopRun": stop_run,
    "query StudyRun(": run_stop,
    "sweep(sweepName": sweep_with_runs,
    "createAgent(": create_agent,
    "agentHeartbeat(": heartbeat,
    "query RunHistoryKeys": history_keys,
    "query RunParquetHistory": parquet_history,
    "query HistoryPage": history_page,
    "query RunFiles": run_files,
    "query Runs(": runs,
    "query Run(": run,
    "upsertView(": upsert_view,
    "allViews(": views,
    "query SpecificReport": view,
    "query GetProjects": projects,
    "query ProjectInternalId": project,
    **artifacts.REPLIES,
}
