"""Compares answers with AWS's own model of the X-Ray API, more strictly than boto3 does.

boto3 drops what it does not know and takes any type; other clients (Go, Java, Node) do not. So
every answer of every test is read once more here, as JSON, against botocore's service model.
"""

NUMBER_TYPES = {"integer": int, "long": int, "float": (int, float), "double": (int, float),
                "timestamp": (int, float), "boolean": bool, "string": str}
# A whole number is a fine double; a truth value is no number at all, though Python says it is.


def faults(value, shape, path="$"):
    """What in `value` differs from `shape`, as readable lines; empty when nothing does."""
    if value is None:
        return [f"{path}: null, which must be left out instead"]
    if shape.type_name == "structure":
        return list(structure_faults(value, shape, path))
    if shape.type_name == "list":
        return list(list_faults(value, shape, path))
    if shape.type_name == "map":
        return list(map_faults(value, shape, path))
    return list(scalar_faults(value, shape, path))


def structure_faults(value, shape, path):
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
        return
    for name in shape.required_members:
        if name not in value:
            yield f"{path}: lacks {name}"
    for name, inner in value.items():
        if name not in shape.members:
            yield f"{path}: has {name}, which {shape.name} has not"
        else:
            yield from faults(inner, shape.members[name], f"{path}.{name}")
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield f"{path}: a union of {len(value)} members"


def list_faults(value, shape, path):
    if not isinstance(value, list):
        yield f"{path}: {value!r} is no list"
        return
    yield from size_faults(len(value), shape, path)
    for index, inner in enumerate(value):
        yield from faults(inner, shape.member, f"{path}[{index}]")


def map_faults(value, shape, path):
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no object"
        return
    yield from size_faults(len(value), shape, path)
    for key, inner in value.items():
        yield from faults(key, shape.key, f"{path}<{key}>")
        yield from faults(inner, shape.value, f"{path}.{key}")


def scalar_faults(value, shape, path):
    wanted = NUMBER_TYPES[shape.type_name]
    right = isinstance(value, wanted)
    if shape.type_name != "boolean" and isinstance(value, bool):
        right = False
    if not right:
        yield f"{path}: {value!r} is no {shape.type_name}"
        return
    enum = getattr(shape, "enum", [])
    if enum and value not in enum:
        yield f"{path}: {value!r} is none of {enum}"
    if isinstance(value, str):
        yield from size_faults(len(value), shape, path)
    elif not isinstance(value, bool):
        yield from range_faults(value, shape, path)


def size_faults(size, shape, path):
    yield from bound_faults(size, shape, path, "long")


def range_faults(value, shape, path):
    yield from bound_faults(value, shape, path, "great")


def bound_faults(value, shape, path, word):
    lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
    if lowest is not None and value < lowest:
        yield f"{path}: {value} {word}, at least {lowest} is allowed"
    if highest is not None and value > highest:
        yield f"{path}: {value} {word}, at most {highest} is allowed"
