from .local import LocalEngine as LocalEngine
from .ray import RayEngine as RayEngine
