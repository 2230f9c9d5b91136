# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml as the tests read it.

    DOCUMENT     the description
    Operation    a method on a path: its examples, where it is answered
    OPERATIONS   all of them
    EXAMPLES     every example of an answer: (operation, status, type, name)
    SNAPSHOT     the schema of what a server-sent event has
    Schema       a schema of the description, by its place; says what is wrong with a value
    unlike       where an answer is not its example

Needs the packages of test/openapi.txt.
"""
import json
import re

import jsonschema
import referencing
import yaml
from harness import ROOT
from referencing.jsonschema import DRAFT202012

PATH = ROOT / "docs" / "openapi.yaml"
DOCUMENT = yaml.safe_load(PATH.read_text("utf-8"))
REGISTRY = referencing.Registry().with_resource(
    "urn:coupond", DRAFT202012.create_resource(DOCUMENT))
# Of HTTP itself; and of the admin listener, described at its page.
COMMON = {"Date", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection"}
PAGE_FIELDS = set(DOCUMENT["paths"]["/"]["get"]["responses"]["200"]["headers"]) - {"X-Request-Id"}
METHODS = ("get", "post", "put", "delete", "patch", "head", "options")

# What differs from one run to the next: of these only the kind is compared.
FREE = {"coupon_id", "issued_at", "created_at", "key_id", "uptime_s", "room_bytes", "free_bytes",
        "claims_waiting", "applied_seq", "records_behind", "connections", "version"}
FREE_TEXT = [r"\b[0-9A-Z]{17}\b", r"\d{4}-\d\d-\d\dT[\d:.]+Z"]


def pointer(*words):
    return "#/" + "/".join(str(word).replace("~", "~0").replace("/", "~1") for word in words)


def node_at(place):
    node = DOCUMENT
    for word in place:
        node = node[word]
    return node


def resolve(place):
    """(place, node) behind the references of the node at `place`."""
    while "$ref" in node_at(place):
        place = tuple(node_at(place)["$ref"].removeprefix("#/").split("/"))
    return place, node_at(place)


class Schema:
    def __init__(self, place):
        self.rule = {"$ref": "urn:coupond" + pointer(*place), "unevaluatedProperties": False}

    def complaints(self, value):
        validator = jsonschema.Draft202012Validator(
            self.rule, registry=REGISTRY, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


class Operation:
    def __init__(self, path, method):
        self.path, self.method = path, method.upper()
        self.node = DOCUMENT["paths"][path][method]
        self.id = self.node["operationId"]
        servers = DOCUMENT["paths"][path].get("servers", DOCUMENT["servers"])
        self.is_public = servers == DOCUMENT["servers"]
        self.needs_token = any("adminToken" in way for way in self.node.get("security", []))
        self.is_endless = "text/event-stream" in str(self.node["responses"])
        self.place = ("paths", path, method)

    def target(self):
        """Its path, with the examples of its parameters."""
        target = self.path
        for base in (self.place[:2], self.place):
            for n in range(len(node_at(base).get("parameters", []))):
                _, parameter = resolve((*base, "parameters", n))
                if parameter["in"] == "path":
                    target = target.replace("{%s}" % parameter["name"], parameter["example"])
        return target

    def bodies(self):
        """The examples of its request, by their names."""
        content = self.node.get("requestBody", {}).get("content", {})
        examples = content.get("application/json", {}).get("examples", {})
        return {name: example["value"] for name, example in examples.items()}

    def body(self):
        return next(iter(self.bodies().values()), None)

    def response(self, status):
        """(place, node) of the answer with this status, None when it has none."""
        if str(status) not in self.node["responses"]:
            return None
        return resolve((*self.place, "responses", str(status)))

    def complaints(self, response):
        """What the description does not say of this answer."""
        found = self.response(response.status)
        if found is None:
            return [f"{self.id} has no {response.status}"]
        place, node = found
        return (header_complaints(place, node, response) + self.undescribed(node, response) +
                body_complaints(place, node, response))

    def undescribed(self, node, response):
        """Header fields that are neither said to be there nor of every answer."""
        known = {*COMMON, *node.get("headers", {})} | (set() if self.is_public else PAGE_FIELDS)
        return [f"{name} is not described" for name, _ in response.fields if name not in known]

    def __repr__(self):
        return self.id


def header_complaints(place, node, response):
    complaints = []
    for name in node.get("headers", {}):
        _, header = resolve((*place, "headers", name))
        value = response.header(name)
        if value is None:
            complaints += [f"{name} is missing"] if header.get("required") else []
        else:
            header_place, _ = resolve((*place, "headers", name))
            complaints += Schema((*header_place, "schema")).complaints(value)
    return complaints


def body_complaints(place, node, response):
    if "content" not in node:
        return [f"a body: {response.body}"] if response.body else []
    kind = response.header("Content-Type").split(";")[0]
    if kind not in node["content"]:
        return [f"{kind} is not described"]
    is_json = kind.endswith("json") and not kind.endswith("ndjson")
    value = response.json if is_json else response.body.decode()
    return Schema((*place, "content", kind, "schema")).complaints(value)


SNAPSHOT = Schema(("components", "schemas", "Snapshot"))
OPERATIONS = [Operation(path, method) for path, node in DOCUMENT["paths"].items()
              for method in node if method in METHODS]


def examples_of(operation):
    for status in operation.node["responses"]:
        _, node = operation.response(status)
        for kind, content in node.get("content", {}).items():
            for name, example in content.get("examples", {}).items():
                yield operation, int(status), kind, name, example["value"]


EXAMPLES = [example for operation in OPERATIONS for example in examples_of(operation)]


# ---- comparing ----

def unlike(example, answer, free=(), path="$"):
    """Where `answer` is not what `example` says, but for what differs and the members `free`."""
    name = re.sub(r".*\.", "", path)
    if type(example) is not type(answer):
        return [f"{path}: {answer!r}, but the example has {example!r}"]
    if isinstance(example, dict):
        missing = [f"{path}.{key}: in one of them only" for key in example.keys() ^ answer.keys()]
        return missing + [line for key in example.keys() & answer.keys()
                          for line in unlike(example[key], answer[key], free, f"{path}.{key}")]
    if isinstance(example, list):
        if len(example) != len(answer):
            return [f"{path}: {len(answer)} items, but the example has {len(example)}"]
        return [line for n, (one, other) in enumerate(zip(example, answer))
                for line in unlike(one, other, free, f"{path}[{n}]")]
    if name in FREE or name in free or example == answer:
        return []
    return [f"{path}: {answer!r}, but the example has {example!r}"]


def unlike_text(example, answer):
    """The same for a body that is no JSON; `example` may be its begin."""
    for pattern in FREE_TEXT:
        example, answer = re.sub(pattern, "*", example), re.sub(pattern, "*", answer)
    return [] if answer.startswith(example) else [json.dumps([answer[:500], example])]
