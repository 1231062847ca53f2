"""webui_fork: keep a patched, signed build of Open WebUI alive."""

__version__ = "0.1.0"
