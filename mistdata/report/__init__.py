"""A store on one self-contained page: `mistdata report STORE OUT.html`."""

from mistdata.report.facts import collect
from mistdata.report.page import write_page
from mistdata.report.picture import draw

__all__ = ["collect", "draw", "write_page"]
