"""The Prometheus Operator's kinds as far as the chart uses them, every object closed.

Written by hand from the published fields (prometheus-operator.dev, API reference, monitoring.coreos.com/v1).
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
DURATION: Schema = {"type": "string", "pattern": "^(0|(?=.)(\\d+y)?(\\d+w)?(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?)$"}


def closed(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object with these fields and no others."""
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def listed(items: Schema) -> Schema:
    return {"type": "array", "items": items}


SECRET_KEY = closed(("key",), name=TEXT, key=TEXT, optional={"type": "boolean"})
CONFIG_KEY = SECRET_KEY
SECRET_OR_CONFIG = closed(secret=SECRET_KEY, configMap=CONFIG_KEY)
TLS = closed(
    ca=SECRET_OR_CONFIG, cert=SECRET_OR_CONFIG, keySecret=SECRET_KEY, serverName=TEXT, insecureSkipVerify={"type": "boolean"},
    minVersion=TEXT, maxVersion=TEXT,
)  # fmt: skip
RELABEL = closed(
    sourceLabels=listed({"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}), separator=TEXT, targetLabel=TEXT, regex=TEXT,
    modulus={"type": "integer"}, replacement=TEXT,
    action={"enum": ["replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase",
                     "keepequal", "dropequal"]},
)  # fmt: skip
ENDPOINT = closed(
    port=TEXT, path=TEXT, scheme={"enum": ["http", "https"]}, interval=DURATION, scrapeTimeout=DURATION,
    honorLabels={"type": "boolean"}, basicAuth=closed(username=SECRET_KEY, password=SECRET_KEY), tlsConfig=TLS,
    relabelings=listed(RELABEL), metricRelabelings=listed(RELABEL),
)  # fmt: skip
SELECTOR = closed(matchLabels=TEXTS)
NAMESPACES = closed(any={"type": "boolean"}, matchNames=listed(TEXT))
META = closed(("name",), name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)
RULE = closed(
    ("expr",), record={"type": "string", "pattern": "^[a-zA-Z_:][a-zA-Z0-9_:]*$"}, alert=TEXT,
    expr={"type": ["string", "integer"]}, labels=TEXTS, annotations=TEXTS, keep_firing_for=DURATION, **{"for": DURATION},
)  # fmt: skip
GROUP = closed(
    ("name",), name=TEXT, interval=DURATION, limit={"type": "integer"}, query_offset=DURATION, partial_response_strategy=TEXT,
    rules=listed({**RULE, "oneOf": [{"required": ["record"]}, {"required": ["alert"]}]}),
)  # fmt: skip


def _kind(kind: str, spec: Schema) -> Schema:
    return closed(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion={"const": "monitoring.coreos.com/v1"}, kind={"const": kind}, metadata=META, spec=spec,
    )  # fmt: skip


SCHEMAS: dict[str, Schema] = {
    "ServiceMonitor": _kind(
        "ServiceMonitor",
        closed(("endpoints",), jobLabel=TEXT, namespaceSelector=NAMESPACES, selector=SELECTOR, endpoints=listed(ENDPOINT)),
    ),
    "PodMonitor": _kind(
        "PodMonitor",
        closed(("selector",), jobLabel=TEXT, namespaceSelector=NAMESPACES, selector=SELECTOR, podMetricsEndpoints=listed(ENDPOINT)),
    ),
    "PrometheusRule": _kind("PrometheusRule", closed(groups=listed(GROUP))),
}
