"""Runs under a Python that has ``helm_sdkpy`` (Helm 4 as a library) and nothing of ours: one JSON request a line, one answer.

``{"do": "render", "chart", "values", "release", "namespace"}`` gives ``{"manifest", "notes"}``, ``"lint"`` and ``"package"``
(``"into"``) an empty answer, and any of them ``{"error"}``.  The library has no ``template``: it installs, and KUBECONFIG must
lead to somebody who takes that (``kube_api``).
"""

import asyncio
import importlib
import json
import sys
from typing import Any

helm: Any = importlib.import_module("helm_sdkpy")


async def done(request: dict[str, Any]) -> dict[str, Any]:
    configuration = helm.Configuration(namespace=request.get("namespace", "default"))
    match request["do"]:
        case "lint":
            await helm.Lint(configuration).run(request["chart"])
        case "package":
            await helm.Package(configuration).run(request["chart"], request["into"])
        case "render":
            install = helm.Install(configuration)
            release = await install.run(request["release"], request["chart"], values=request["values"], wait=False)
            return {"manifest": release["manifest"], "notes": release["info"].get("notes", "")}
    return {}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return asyncio.run(done(request))
    except helm.HelmError as failure:
        return {"error": str(failure)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
