from .budget import count_macs as count_macs
from .budget import count_parameters as count_parameters
from .budget import fit_channels as fit_channels
from .module import GraphModule as GraphModule
from .writeback import extract_subnetwork as extract_subnetwork
from .writeback import write_back as write_back
