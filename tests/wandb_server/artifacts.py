"""Artifacts: collections of versions, each a set of files behind a manifest, as the client logs and fetches them.

A file that is uploaded is held under ``/artifact/ID/NAME``, the manifest of a version as ``manifest``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.wandb_server.cloud import ENTITY, NOW, Cloud, Json, Unknown

MANIFEST = "wandb_manifest.json"


@dataclass
class Artifact:
    """One version of a collection; it counts once it is committed."""

    id: str
    project: str
    collection: str
    type: str
    digest: str
    aliases: list[str]
    metadata: str | None
    version: int
    run: str
    files: dict[str, bytes] = field(default_factory=dict)
    manifest: bytes = b""
    is_committed: bool = False

    @property
    def state(self) -> str:
        return "COMMITTED" if self.is_committed else "PENDING"


def create_artifact(cloud: Cloud, given: Json) -> Json:
    """A version of a collection, its aliases taken from the others; the same content is the same version."""
    if cloud.is_full:
        raise Unknown(403, "storage limit exceeded")
    asked = given["input"]
    collection = asked["artifactCollectionName"]
    others = [one for one in cloud.artifacts.values() if one.collection == collection]
    aliases = [alias["alias"] for alias in asked["aliases"]]
    same = next((one for one in others if one.digest == asked["digest"] and one.is_committed), None)
    made = same or Artifact(
        f"artifact{len(cloud.artifacts)}", asked["projectName"], collection, asked["artifactTypeName"],
        asked["digest"], [], asked.get("metadata"), len(others), asked["runName"],
    )  # fmt: skip
    for other in others:
        other.aliases = [alias for alias in other.aliases if alias not in aliases]
    made.aliases = [*{*made.aliases, *aliases}]
    cloud.artifacts[made.id] = made
    sequence = {"latestArtifact": {"id": others[-1].id} if others else None}
    return {"createArtifact": {"artifact": {"id": made.id, "state": made.state, "artifactSequence": sequence}}}


def create_manifest(cloud: Cloud, given: Json) -> Json:
    return {"createArtifactManifest": {"artifactManifest": _manifest(cloud, given["artifactID"])}}


def update_manifest(cloud: Cloud, given: Json) -> Json:
    return {"updateArtifactManifest": {"artifactManifest": _manifest(cloud, given["artifactManifestID"])}}


def _manifest(cloud: Cloud, artifact: str) -> Json:
    """A manifest has the id of its artifact."""
    file = {"id": artifact, "uploadUrl": _url(cloud, artifact, MANIFEST), "uploadHeaders": []}
    return {"id": artifact, "file": file}


def create_files(cloud: Cloud, given: Json) -> Json:
    edges = []
    for file in given["input"]["artifactFiles"]:
        about = {"storagePath": file["name"], "uploadHeaders": [], "uploadMultipartUrls": None}
        about["uploadUrl"] = _url(cloud, file["artifactID"], file["name"])
        edges.append({"node": about | {"artifact": {"id": file["artifactID"]}}})
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def commit(cloud: Cloud, given: Json) -> Json:
    """Only a version whose files have all arrived can be committed."""
    made = cloud.artifacts[given["artifactID"]]
    assert set(json.loads(made.manifest)["contents"]) == set(made.files)
    made.is_committed = True
    return {"commitArtifact": {"artifact": {"id": made.id, "digest": made.digest}}}


def by_id(cloud: Cloud, given: Json) -> Json:
    return {"artifact": _artifact(cloud.artifacts[given["id"]])}


def by_name(cloud: Cloud, given: Json) -> Json:
    """``COLLECTION:ALIAS`` or ``COLLECTION:v0``."""
    collection, _, alias = given["name"].partition(":")
    found = _find(cloud, given["project"], collection, alias)
    known = any(run.project == given["project"] for run in cloud.runs.values())
    return {"project": {"artifactCollectionMembership": found and _membership(found)} if known else None}


def _find(cloud: Cloud, project: str, collection: str, alias: str) -> Artifact | None:
    held = (one for one in cloud.artifacts.values() if (one.project, one.collection) == (project, collection))
    return next((one for one in held if one.is_committed and alias in (*one.aliases, f"v{one.version}")), None)


def _membership(found: Artifact) -> Json:
    kind = {"__typename": "ArtifactCollectionMembership", "id": f"m{found.id}", "versionIndex": found.version}
    held = {"artifactCollection": _collection(found), "artifact": _artifact(found)}
    return kind | held | {"createdAt": NOW, "aliases": _aliases(found)}


def _collection(found: Artifact) -> Json:
    project = {"id": "p", "internalId": "1", "name": found.project, "entity": {"name": ENTITY}}
    return {"__typename": "ArtifactSequence", "name": found.collection, "project": project}


def _aliases(found: Artifact) -> list[Json]:
    held = {"__typename": "ArtifactAlias", "artifactCollection": _collection(found)}
    return [held | {"id": alias, "alias": alias} for alias in found.aliases]


def _artifact(found: Artifact) -> Json:
    size = sum(map(len, found.files.values()))
    about = {"id": found.id, "state": found.state, "size": size, "digest": found.digest, "metadata": found.metadata}
    held = {"artifactSequence": _collection(found), "artifactType": {"name": found.type}}
    counted = {"fileCount": len(found.files), "versionIndex": found.version, "historyStep": None, "commitHash": ""}
    unused = {"description": None, "ttlDurationSeconds": -2, "ttlIsInherited": False, "tags": []}
    dates = {"createdAt": NOW, "updatedAt": NOW, "digestAlgorithm": "MANIFEST_MD5", "aliases": _aliases(found)}
    return {"__typename": "Artifact"} | about | held | counted | unused | dates


def manifest(cloud: Cloud, given: Json) -> Json:
    """Where the manifest is."""
    address = _url(cloud, given.get("id") or given["artifact_id"], MANIFEST)
    return {"artifact": {"currentManifest": {"file": {"directUrl": address}}}}


def file_urls(cloud: Cloud, given: Json) -> Json:
    """Where the files of a version are."""
    found = _find(cloud, given["project"], given["collection"], given["alias"])
    assert found is not None
    files = [{"__typename": "File", "name": name, "directUrl": _url(cloud, found.id, name)} for name in found.files]
    edges = [{"node": file} for file in files]
    page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
    held = {"__typename": "ArtifactSequence", "artifactMembership": {"files": {"edges": edges, "pageInfo": page}}}
    return {"project": {"artifactCollection": held}}


def no_digest_algorithm(cloud: Cloud, given: Json) -> Json:
    """The client asks before it logs; none is the answer of a collection that is not there yet."""
    return {"project": {"artifactType": None}}


def type_of(cloud: Cloud, given: Json) -> Json:
    """The type of ``COLLECTION:ALIAS``."""
    found = _find(cloud, given["project"], *given["name"].split(":"))
    return {"project": {"artifact": found and {"artifactType": {"name": found.type}}}}


def take(cloud: Cloud, artifact: str, name: str, content: bytes) -> None:
    """Hold an uploaded file."""
    if name == MANIFEST:
        cloud.artifacts[artifact].manifest = content
    else:
        cloud.artifacts[artifact].files[name] = content


def give(cloud: Cloud, artifact: str, name: str) -> bytes:
    """Return a file."""
    found = cloud.artifacts[artifact]
    return found.manifest if name == MANIFEST else found.files[name]


def _url(cloud: Cloud, artifact: str, name: str) -> str:
    return f"{cloud.address}/artifact/{artifact}/{name}"


REPLIES: dict[str, Callable[[Cloud, Json], Any]] = {
    "createArtifact(": create_artifact,
    "createArtifactManifest(": create_manifest,
    "updateArtifactManifest(": update_manifest,
    "createArtifactFiles(": create_files,
    "commitArtifact(": commit,
    "query FetchArtifactDigestAlgorithm": no_digest_algorithm,
    "query ArtifactType(": type_of,
    "query ArtifactByID": by_id,
    "query ArtifactMembershipByName": by_name,
    "query FetchArtifactManifest": manifest,
    "query ArtifactManifest": manifest,
    "query GetArtifactMembershipFileUrls": file_urls,
}
