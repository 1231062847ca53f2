"""Backports: a fix of a newer release, carried back to a line of an older one."""
