"""Open WebUI's settings stand in for themselves, as importing them takes seconds and makes a database.

For scripts that run in an image's own Python on a module of a tree.
"""

import sys
import types


def install(backend, data, timeout=10, **modules):
    """Have `open_webui` be a tree's, with settings of these tests, and more modules by name and content."""
    sys.path.insert(0, backend)
    env = {
        "AIOHTTP_CLIENT_ASYNC_DNS_RESOLVER": False,
        "AIOHTTP_CLIENT_TIMEOUT_MODEL_LIST": timeout,
        "ENABLE_CUSTOM_MODEL_FALLBACK": False,
        "ENABLE_FORWARD_USER_INFO_HEADERS": False,
        "WEBUI_SECRET_KEY": "of-this-test-alone",
    }
    rows = {
        "open_webui": {"__path__": [f"{backend}/open_webui"]},
        "open_webui.config": {"CACHE_DIR": f"{data}/cache", "DATA_DIR": data},
        "open_webui.env": env,
        **modules,
    }
    for name, values in rows.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(values)
