"""cxr_viewer: a chest X-ray workstation. For research, not for primary diagnosis."""

__version__ = "0.1.0"
