"""The files of an image: layers as values, and a Debian system from its packages, without running anything of them."""
