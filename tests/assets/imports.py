"""Import all that distributions bring, run in the image; prints what could not be, as JSON: the error by name."""

import importlib
import importlib.metadata
import json
import sys

ASIDE = ("docs", "examples", "tests")


def modules(name):
    """Return what a distribution brings to import: the uppermost packages that have code, and single files."""
    files = [file for file in importlib.metadata.distribution(name).files or () if file.suffix == ".py"]
    packages = {file.parts[:-1] for file in files if file.name == "__init__.py"}
    upper = {one for one in packages if not any(one[:size] in packages for size in range(1, len(one)))}
    names = [".".join(parts) for parts in upper] + [file.stem for file in files if len(file.parts) == 1]
    return sorted(one for one in names if one.replace(".", "").isidentifier() and one.split(".")[0] not in ASIDE)


failed = {}
for name in json.loads(sys.argv[1]):
    names = modules(name)
    if not names:
        failed[name] = "no module"
    for module in names:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001
            failed[module] = repr(error)[:300]
print(json.dumps(failed))
