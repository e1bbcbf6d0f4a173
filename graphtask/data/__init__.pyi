from .catalog import load_data as load_data
from .dataset import ImageData as ImageData
