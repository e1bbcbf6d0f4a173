from .orient import orient_edges as orient_edges
from .random import barabasi_albert_dag as barabasi_albert_dag
from .random import erdos_renyi_dag as erdos_renyi_dag
from .random import watts_strogatz_dag as watts_strogatz_dag
from .randomize import randomize as randomize
