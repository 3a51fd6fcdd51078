"""The window: everything that knows Qt and pyqtgraph."""

from cxr_viewer.ui.singletons import spare_singletons

spare_singletons()
